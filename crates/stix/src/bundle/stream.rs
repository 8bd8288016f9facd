//! Inputs of any size, fed in chunks: the text of one object after the other, and what is left of each bundle.
//!
//! ```
//! use mithaq_stix::bundle::stream::{Part, Splitter};
//!
//! let mut splitter = Splitter::default();
//! let mut ids = Vec::new();
//! for chunk in [r#"{"objects":[{"id":"a--1"},{"i"#, r#"d":"b--2"}],"type":"bundle"}"#] {
//!     splitter.feed(chunk.as_bytes());
//!     while let Some(part) = splitter.next_part() {
//!         if let Part::Object(object) = part? {
//!             ids.push(object.value()?.get("id").and_then(|id| id.as_str()).unwrap_or_default().into_owned());
//!         }
//!     }
//! }
//! assert_eq!(ids, ["a--1", "b--2"]);
//! # Ok::<(), mithaq_stix::json::JsonError>(())
//! ```

mod envelope;
mod object;

use super::Nature;
use crate::{
    json::{JsonError, Mark, Parser, Scanner, Step},
    object::{LIMITS, OBJECT_BYTES_MAX},
};
pub use envelope::Envelope;
use envelope::{Closed, OpenBundle};
pub use object::{InBundle, ObjectText};
use object::{Text, id_hint_of};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts an input that is fed in chunks into its objects.
///
/// It takes what [`super::Reader`] takes and agrees with it on every input, but that it holds no more than the largest
/// object may have ([`OBJECT_BYTES_MAX`]), what a bundle says beside its objects, and a chunk. So a value that is longer
/// is refused whatever it is, and a longer object that tells only behind its array of `objects` what it is, is taken for
/// a bundle until then.
///
/// After each [`Self::feed`], and after [`Self::end`], take what [`Self::next_part`] gives until it gives nothing.
#[derive(Default)]
pub struct Splitter {
    /// The text that is held.
    buffer: Vec<u8>,
    /// Where it begins in the input.
    base: usize,
    /// From where in the input on text is still needed.
    needed: usize,
    is_ended: bool,
    next_index: usize,
    state: State,
    /// Of the bundle that was given last: its text without its objects.
    envelope: Vec<u8>,
}

#[derive(Default)]
enum State {
    /// Before the first byte.
    #[default]
    Start,
    /// Before a bundle, an object or the end.
    Between,
    /// In a bundle, or an object, of which nothing was given yet.
    Whole(Whole),
    /// In a value that is too long, which is passed over.
    TooLong { scanner: Scanner, offset: usize, id_hint: Option<String> },
    /// In a bundle whose objects are given.
    Bundle(OpenBundle),
    /// After the end or a broken text.
    Done,
}

/// A value that is collected whole.
struct Whole {
    scanner: Scanner,
    offset: usize,
    /// The name of the member that is being read, and where its value begins.
    name: Name,
    value: usize,
    /// By its type, as far as it was read.
    is_bundle: bool,
    objects: Objects,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Type,
    Objects,
    Other,
}

/// What is known of an object's array of `objects`.
enum Objects {
    /// No such array yet.
    None,
    /// The object is no bundle.
    Own,
    /// The object may be a bundle: this is the scanner before the array.
    Perhaps(Scanner),
}

/// A part of the input.
#[derive(Debug)]
pub enum Part<'a> {
    /// A value that stands where an object should.
    Object(ObjectText<'a>),
    /// The end of a bundle.
    Bundle(Envelope<'a>),
}

/// What was found in the buffer.
enum Found {
    Object(FoundObject),
    Bundle(Closed),
}

struct FoundObject {
    offset: usize,
    bundle: Option<InBundle>,
    /// Where it ends, if it is held.
    end: Result<usize, Option<String>>,
}

/// How a step ended.
enum Progress {
    Found(Found),
    /// There is more to do.
    Onward,
    /// Only more text helps.
    Hungry,
}

impl std::fmt::Debug for Splitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Splitter").field("held", &self.buffer.len()).field("base", &self.base).finish_non_exhaustive()
    }
}

impl Splitter {
    /// Takes the next chunk of the input, of any size.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.needed - self.base);
        self.base = self.needed;
        self.buffer.extend_from_slice(chunk);
    }

    /// Tells whether there is nothing more to come, whatever is fed: after the end of the input, or where it broke.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Says that there is no more input.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// The next part of the input; `None` if more has to be fed first, or there is no more.
    ///
    /// A text that is not JSON yields an error, with its place in the whole input, which is the last item.
    pub fn next_part(&mut self) -> Option<Result<Part<'_>, JsonError>> {
        loop {
            match self.step() {
                Ok(Progress::Onward) => {}
                Ok(Progress::Hungry) => return None,
                Ok(Progress::Found(found)) => return Some(Ok(self.part(found))),
                Err(error) => {
                    self.state = State::Done;
                    return Some(Err(error));
                }
            }
        }
    }

    fn step(&mut self) -> Result<Progress, JsonError> {
        match std::mem::take(&mut self.state) {
            State::Start => Ok(self.start()),
            State::Between => Ok(self.between()),
            State::Whole(whole) => self.whole(whole),
            State::TooLong { scanner, offset, id_hint } => self.too_long(scanner, offset, id_hint),
            State::Bundle(bundle) => self.bundle(bundle),
            State::Done => {
                self.state = State::Done;
                self.needed = self.base + self.buffer.len();
                Ok(Progress::Hungry)
            }
        }
    }

    /// The text that is held from `offset` of the input on.
    fn text(&self, offset: usize) -> &[u8] {
        &self.buffer[offset - self.base..]
    }

    fn span(&self, offset: usize, end: usize) -> &[u8] {
        &self.buffer[offset - self.base..end - self.base]
    }

    fn start(&mut self) -> Progress {
        let has_mark = self.buffer.starts_with(BYTE_ORDER_MARK);
        if !has_mark && !self.is_ended && BYTE_ORDER_MARK.starts_with(&self.buffer) {
            return Progress::Hungry;
        }
        self.needed = self.base + if has_mark { BYTE_ORDER_MARK.len() } else { 0 };
        self.state = State::Between;
        Progress::Onward
    }

    fn between(&mut self) -> Progress {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let text = self.text(self.needed);
        let space = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
        let is_empty = space == text.len();
        self.needed += space;
        if is_empty {
            self.state = State::Between;
            return Progress::Hungry;
        }
        let offset = self.needed;
        let scanner = Scanner::at(offset);
        self.state = State::Whole(Whole {
            scanner,
            offset,
            name: Name::Other,
            value: offset,
            is_bundle: false,
            objects: Objects::None,
        });
        Progress::Onward
    }

    /// Goes on to the next mark; `None` if only more text helps.
    fn advance(&self, scanner: &mut Scanner) -> Result<Option<Mark>, JsonError> {
        match scanner.advance(self.text(scanner.position()))? {
            None if self.is_ended => scanner.finish().map(Some),
            mark => Ok(mark),
        }
    }

    fn whole(&mut self, mut whole: Whole) -> Result<Progress, JsonError> {
        let mark = match self.advance(&mut whole.scanner) {
            Ok(mark) => mark,
            Err(error) => return self.broken(whole, error),
        };
        let at = whole.scanner.position();
        if at - whole.offset > OBJECT_BYTES_MAX {
            return Ok(self.outgrown(whole, mark));
        }
        match mark {
            Some(Mark::Ends(0)) => return Ok(self.whole_ended(whole)),
            Some(Mark::Name(start)) => whole.name = Name::of(self.span(start, at)),
            Some(Mark::Begins(1)) => {
                whole.value = at;
                let is_array = self.text(at).first() == Some(&b'[');
                if is_array && whole.name == Name::Objects && matches!(whole.objects, Objects::None) {
                    return Ok(self.array_of_objects(whole));
                }
            }
            Some(Mark::Ends(1)) if whole.name == Name::Type => {
                whole.is_bundle = is_string(self.span(whole.value, at), "bundle");
            }
            _ => {}
        }
        self.state = State::Whole(whole);
        Ok(if mark.is_none() { Progress::Hungry } else { Progress::Onward })
    }

    /// Before the first array of `objects`: the members before it may tell whether the object is a bundle.
    fn array_of_objects(&mut self, mut whole: Whole) -> Progress {
        let head = self.span(whole.offset, whole.scanner.position() + 1);
        let Some(nature) = nature(head, false) else {
            // Such a bundle is refused whole.
            return self.open(whole.offset, whole.scanner, |bundle| bundle.is_refused = true);
        };
        whole.objects = match nature.is_bundle {
            Some(true) => {
                let is_stix_2_0 = nature.is_stix_2_0;
                return self.open(whole.offset, whole.scanner, |bundle| bundle.is_stix_2_0 = is_stix_2_0);
            }
            Some(false) => Objects::Own,
            None => Objects::Perhaps(whole.scanner.clone()),
        };
        self.state = State::Whole(whole);
        Progress::Onward
    }

    /// Gives the objects of a bundle from now on; `scanner` stands before their array.
    fn open(&mut self, offset: usize, scanner: Scanner, change: impl FnOnce(&mut OpenBundle)) -> Progress {
        let array = scanner.position();
        self.envelope.clear();
        self.envelope.extend_from_slice(&self.buffer[offset - self.base..=array - self.base]);
        let mut bundle = OpenBundle::new(offset, scanner, self.envelope.len());
        change(&mut bundle);
        self.needed = array;
        self.state = State::Bundle(bundle);
        Progress::Onward
    }

    fn whole_ended(&mut self, whole: Whole) -> Progress {
        let (offset, end) = (whole.offset, whole.scanner.position());
        if let Objects::Perhaps(scanner) = whole.objects {
            let nature = nature(self.span(offset, end), true);
            if let Some(nature) = nature.filter(|nature| nature.is_bundle == Some(true)) {
                return self.open(offset, scanner, |bundle| bundle.is_stix_2_0 = nature.is_stix_2_0);
            }
        }
        self.needed = end;
        self.state = State::Between;
        if whole.is_bundle {
            self.envelope.clear();
            self.envelope.extend_from_slice(&self.buffer[offset - self.base..end - self.base]);
            return Progress::Found(Found::Bundle(Closed::without_objects(offset, self.envelope.len())));
        }
        Progress::Found(Found::Object(FoundObject { offset, bundle: None, end: Ok(end) }))
    }

    /// The text is broken in a value of which nothing was given yet.
    fn broken(&mut self, whole: Whole, error: JsonError) -> Result<Progress, JsonError> {
        let Objects::Perhaps(scanner) = whole.objects else {
            return Err(error);
        };
        if whole.scanner.position() - whole.offset > OBJECT_BYTES_MAX {
            return Ok(self.open(whole.offset, scanner, |bundle| bundle.is_guess = true));
        }
        match nature(self.text(whole.offset), true) {
            Some(Nature { is_bundle: None | Some(true), is_stix_2_0 }) => {
                Ok(self.open(whole.offset, scanner, |bundle| bundle.is_stix_2_0 = is_stix_2_0))
            }
            _ => Err(error),
        }
    }

    /// The value has become too long to be held.
    fn outgrown(&mut self, whole: Whole, mark: Option<Mark>) -> Progress {
        let Whole { scanner, offset, objects, .. } = whole;
        if let Objects::Perhaps(scanner) = objects {
            return self.open(offset, scanner, |bundle| bundle.is_guess = true);
        }
        let id_hint = self.id_hint_of_long(offset);
        if mark == Some(Mark::Ends(0)) {
            return self.too_long_ended(&scanner, offset, id_hint);
        }
        self.needed = scanner.position();
        self.state = State::TooLong { scanner, offset, id_hint };
        if mark.is_none() { Progress::Hungry } else { Progress::Onward }
    }

    /// What the value at `offset`, too long to be held, has for an `id` in as much of it as may be held.
    fn id_hint_of_long(&self, offset: usize) -> Option<String> {
        let text = self.text(offset);
        id_hint_of(&text[..text.len().min(OBJECT_BYTES_MAX + 1)])
    }

    fn too_long(
        &mut self,
        mut scanner: Scanner,
        offset: usize,
        id_hint: Option<String>,
    ) -> Result<Progress, JsonError> {
        let mark = self.advance(&mut scanner)?;
        self.needed = scanner.position();
        if mark == Some(Mark::Ends(0)) {
            return Ok(self.too_long_ended(&scanner, offset, id_hint));
        }
        self.state = State::TooLong { scanner, offset, id_hint };
        Ok(if mark.is_none() { Progress::Hungry } else { Progress::Onward })
    }

    fn too_long_ended(&mut self, scanner: &Scanner, offset: usize, id_hint: Option<String>) -> Progress {
        self.needed = scanner.position();
        self.state = State::Between;
        Progress::Found(Found::Object(FoundObject { offset, bundle: None, end: Err(id_hint) }))
    }

    fn part(&mut self, found: Found) -> Part<'_> {
        match found {
            Found::Object(FoundObject { offset, bundle, end }) => {
                let index = self.next_index;
                self.next_index += 1;
                let text = match end {
                    Ok(end) => Text::Held(self.span(offset, end)),
                    Err(id_hint) => Text::TooLong(id_hint),
                };
                Part::Object(ObjectText { index, offset, bundle, text })
            }
            Found::Bundle(closed) => {
                let envelope = closed.envelope(&self.envelope, self.next_index);
                self.next_index += usize::from(envelope.index().is_some());
                Part::Bundle(envelope)
            }
        }
    }
}

impl Name {
    fn of(quoted: &[u8]) -> Name {
        match quoted {
            _ if is_string(quoted, "type") => Name::Type,
            _ if is_string(quoted, "objects") => Name::Objects,
            _ => Name::Other,
        }
    }
}

/// Tells whether the JSON value that `json` is says `text`.
fn is_string(json: &[u8], text: &str) -> bool {
    let plain = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    match plain {
        Some(plain) if plain.contains(&b'\\') => Parser::new(json).string().is_ok_and(|found| found == text),
        Some(plain) => plain == text.as_bytes(),
        None => false,
    }
}

/// What an object tells of itself before its array of `objects`, and behind it if that is asked; `None` if a member
/// before it cannot be read.
fn nature(text: &[u8], looks_behind: bool) -> Option<Nature> {
    let mut parser = Parser::with_limits(text, LIMITS);
    let Ok(Step::Objects(key)) = parser.envelope() else {
        return None;
    };
    let before = Nature::told_before(&parser.take_members());
    Some(if looks_behind { before.or(Nature::told_behind(&mut parser, key)) } else { before })
}

#[cfg(test)]
pub(super) mod tests;
