//! What is known of a marking other than TLP.

use mithaq_stix::{
    marking::{Definition, Pap, definition},
    object::Object,
};

use super::Iep;
use crate::time::Time;

/// What a marking means, as far as its definition is at hand and can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marking {
    /// Words for people.
    Statement,
    /// A level of the Permissible Actions Protocol.
    Pap(Pap),
    /// An Information Exchange Policy.
    Iep(Iep),
    /// Not known: nothing goes under it but where an agreement names its id.
    Unknown,
}

impl Marking {
    /// What a marking definition says at `now`; a policy that is over is as good as unknown.
    #[must_use]
    pub fn of(object: &Object<'_>, now: Time) -> Self {
        match definition(object) {
            Some(Definition::Statement(_)) => Self::Statement,
            Some(Definition::Pap(level)) => Self::Pap(level),
            Some(Definition::Iep(policy)) => {
                let policy = Iep::from(&policy);
                if policy.end.is_some_and(|end| end < now) { Self::Unknown } else { Self::Iep(policy) }
            }
            _ => Self::Unknown,
        }
    }

    /// What is known when several definitions claim one id: what they agree on, or nothing.
    #[must_use]
    pub fn agreed(definitions: impl IntoIterator<Item = Self>) -> Self {
        let mut definitions = definitions.into_iter();
        let Some(first) = definitions.next() else { return Self::Unknown };
        if definitions.all(|other| other == first) { first } else { Self::Unknown }
    }
}
