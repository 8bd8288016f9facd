//! A bundle whose objects are given one by one, and what is left of it at its end.

use super::{
    Found, FoundObject, InBundle, Progress, Splitter, State,
    object::{id_hint_of, shifted, too_long},
};
use crate::{
    bundle::{Entry, Reader},
    json::{JsonError, Mark, Parser, Scanner},
    object::{OBJECT_BYTES_MAX, ObjectError},
};

/// A bundle whose objects are being given.
pub(super) struct OpenBundle {
    offset: usize,
    scanner: Scanner,
    /// How much of the envelope stands before the objects.
    head_len: usize,
    place: Place,
    given: usize,
    pub(super) is_stix_2_0: bool,
    /// A member before the objects is poisoned: none of them is given.
    pub(super) is_refused: bool,
    /// It became too long before it said what it is.
    pub(super) is_guess: bool,
}

/// Where in a bundle the splitter is.
enum Place {
    /// Before or between the objects.
    Objects,
    /// In the object that begins here.
    Object(usize),
    /// In an object that begins here and is too long to be held, with what it may have for an `id`.
    TooLong(usize, Option<String>),
    /// Behind the array of objects, which ended here.
    Tail(usize),
}

/// A bundle that was read to its end.
pub(super) struct Closed {
    offset: usize,
    head_len: usize,
    /// Where the array of objects ended.
    close: usize,
    objects: usize,
    is_guess: bool,
}

/// What a bundle says beside its objects.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Where the bundle begins in the input, in bytes.
    pub offset: usize,
    /// How many objects it held.
    pub objects: usize,
    /// The bundle's text with an empty array of `objects`, or as it is if it has no such array; cut off where it is
    /// longer than an object may be.
    pub text: &'a [u8],
    problem: Option<Problem>,
}

#[derive(Debug)]
struct Problem {
    index: usize,
    error: ObjectError,
}

impl OpenBundle {
    pub(super) fn new(offset: usize, scanner: Scanner, head_len: usize) -> OpenBundle {
        let place = Place::Objects;
        OpenBundle {
            offset,
            scanner,
            head_len,
            place,
            given: 0,
            is_stix_2_0: false,
            is_refused: false,
            is_guess: false,
        }
    }

    fn found(&mut self, offset: usize, end: Result<usize, Option<String>>) -> Progress {
        self.place = Place::Objects;
        self.given += 1;
        let bundle = Some(InBundle { offset: self.offset, is_stix_2_0: self.is_stix_2_0 });
        Progress::Found(Found::Object(FoundObject { offset, bundle, end }))
    }
}

impl Splitter {
    /// Goes on in a bundle.
    pub(super) fn bundle(&mut self, mut bundle: OpenBundle) -> Result<Progress, JsonError> {
        let from = bundle.scanner.position();
        let mark = self.advance(&mut bundle.scanner)?;
        let at = bundle.scanner.position();
        let mut progress = if mark.is_none() { Progress::Hungry } else { Progress::Onward };
        let mut needed = at;
        match (&mut bundle.place, mark) {
            (Place::Objects, Some(Mark::Begins(2))) if !bundle.is_refused => bundle.place = Place::Object(at),
            (Place::Objects, Some(Mark::Ends(1))) => {
                bundle.place = Place::Tail(at - 1);
                self.keep(bundle.head_len, at - 1, at);
            }
            (Place::Objects, _) => {}
            (&mut Place::Object(offset), mark) if at - offset > OBJECT_BYTES_MAX => {
                let id_hint = self.id_hint_of_long(offset);
                match mark {
                    Some(Mark::Ends(2)) => progress = bundle.found(offset, Err(id_hint)),
                    _ => bundle.place = Place::TooLong(offset, id_hint),
                }
            }
            (&mut Place::Object(offset), Some(Mark::Ends(2))) => progress = bundle.found(offset, Ok(at)),
            (&mut Place::Object(offset), _) => needed = offset,
            (&mut Place::TooLong(offset, ref mut id_hint), Some(Mark::Ends(2))) => {
                let id_hint = id_hint.take();
                progress = bundle.found(offset, Err(id_hint));
            }
            (Place::TooLong(..), _) => {}
            (&mut Place::Tail(close), mark) => {
                self.keep(bundle.head_len, from, at);
                if mark == Some(Mark::Ends(0)) {
                    let OpenBundle { offset, head_len, given: objects, is_guess, .. } = bundle;
                    self.needed = at;
                    self.state = State::Between;
                    return Ok(Progress::Found(Found::Bundle(Closed { offset, head_len, close, objects, is_guess })));
                }
            }
        }
        self.needed = needed;
        self.state = State::Bundle(bundle);
        Ok(progress)
    }

    /// Adds a span of the input to what is kept of a bundle behind its objects, up to a byte more than may stand there.
    fn keep(&mut self, head_len: usize, from: usize, to: usize) {
        let room = (head_len + OBJECT_BYTES_MAX + 1).saturating_sub(self.envelope.len());
        let from = from - self.base;
        let to = (to - self.base).min(from + room);
        self.envelope.extend_from_slice(&self.buffer[from..to]);
    }
}

impl Closed {
    /// A bundle whose whole text is its envelope.
    pub(super) fn without_objects(offset: usize, len: usize) -> Closed {
        Closed { offset, head_len: len, close: offset + len, objects: 0, is_guess: false }
    }

    /// What stood in the bundle beside its objects; a problem with it is the entry `next_index`.
    pub(super) fn envelope<'a>(&self, text: &'a [u8], next_index: usize) -> Envelope<'a> {
        let problem = self.problem(text).map(|error| Problem { index: next_index, error });
        Envelope { offset: self.offset, objects: self.objects, text, problem }
    }

    fn problem(&self, text: &[u8]) -> Option<ObjectError> {
        if text.len() > self.head_len + OBJECT_BYTES_MAX {
            return Some(too_long(self.close).into());
        }
        if self.is_guess {
            let [found_type, version] = Parser::new(text).find_strings(1, None, ["type", "spec_version"]);
            if found_type.is_none_or(|found| found != "bundle") {
                return Some(too_long(self.offset).into());
            }
            if version.is_some_and(|version| version == "2.0") {
                return Some(ObjectError::Stix20 { evidence: "bundle's spec_version" });
            }
        }
        match Reader::new(text).next()? {
            Ok(entry) => entry.object.err().map(|error| shifted(error, |offset| self.place(offset))),
            Err(error) => Some(JsonError { offset: self.place(error.offset), ..error }.into()),
        }
    }

    /// The place in the input of what stands at `offset` of the envelope.
    fn place(&self, offset: usize) -> usize {
        match offset.checked_sub(self.head_len) {
            Some(behind) => self.close + behind,
            None => self.offset + offset,
        }
    }
}

impl Envelope<'_> {
    /// The entry that [`Reader`] has for what is wrong with the bundle as a whole.
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'static>> {
        let Problem { index, error } = self.problem.as_ref()?;
        Some(Entry { index: *index, offset: self.offset, object: Err(error.clone()), id_hint: self.id_hint() })
    }

    /// What is wrong with the bundle as a whole.
    #[must_use]
    pub fn problem(&self) -> Option<&ObjectError> {
        self.problem.as_ref().map(|problem| &problem.error)
    }

    /// What the bundle has for an `id`, fit for a message; never to be taken for an identifier.
    #[must_use]
    pub fn id_hint(&self) -> Option<String> {
        id_hint_of(self.text)
    }

    /// The place among all entries of what is wrong with the bundle as a whole.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        self.problem.as_ref().map(|problem| problem.index)
    }
}
