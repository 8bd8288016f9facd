//! Where in an object a check stands, written out only when there is something to say.

use crate::quote::quote;
use std::fmt;

/// A step into an object, and the steps before it.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Name(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The object itself.
    pub(super) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// Into the member called `name`.
    pub(super) fn name(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Name(name) }
    }

    /// Tells whether the value is a reference between observables: neither the object's own id nor one of a marking.
    pub(super) fn is_embedded_ref(&self) -> bool {
        match self.step {
            Step::Root => false,
            Step::Name(name) => !matches!(name, "id" | "marking_ref" | "object_marking_refs"),
            Step::Index(_) => self.parent.is_some_and(Path::is_embedded_ref),
        }
    }

    /// To the element at `index`.
    pub(super) fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

/// A JSON pointer (RFC 6901), in which names from outside are shortened and made safe to print: one name can be as long as
/// an object, and stand in a thousand findings.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Name(name) => write!(f, "/{}", quote(name).replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}
