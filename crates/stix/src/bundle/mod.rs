//! A stream of objects out of bundles, single objects, or lines of either: from text that is held as a whole
//! ([`Reader`]), from text that comes in chunks ([`stream`]), and with what the standard has to say of each ([`report`]).

pub mod report;
pub mod stream;

use crate::{
    json::{JsonError, Map, Member, Parser, Step, Str, Value, value_end},
    object::{LIMITS, Object, ObjectError},
    quote::quote,
};

/// One object of the input, read or refused.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The entry's place among all entries of the input, from 0.
    pub index: usize,
    /// Where the object begins in the input, in bytes.
    pub offset: usize,
    /// The object, or why it is refused.
    pub object: Result<Object<'a>, ObjectError>,
    /// What a refused object has for an `id`, fit for a message; never to be taken for an identifier.
    pub id_hint: Option<String>,
}

/// Reads objects one after the other, in one pass, and holds no more than one of them.
///
/// The input is any number of JSON values with whitespace between them, each a bundle or an object: a bundle file, one
/// object, lines of objects and lines of bundles are all of this form. A byte order mark at the start is passed over.
///
/// An object that cannot be taken is an [`Entry`] that says why, and the next one follows. So is what is wrong with a
/// bundle as a whole. A text that is not JSON yields an error, which is the last item.
///
/// A bundle in which a member before `objects` is poisoned is refused whole, as one entry.
pub struct Reader<'a> {
    input: &'a [u8],
    parser: Parser<'a>,
    state: State<'a>,
    next_index: usize,
}

enum State<'a> {
    /// Before a bundle, an object or the end.
    Between,
    /// In the `objects` of a bundle.
    Inside(Envelope<'a>),
    /// After the end or a broken text.
    Done,
}

/// A bundle whose `objects` are being read.
struct Envelope<'a> {
    /// Where the bundle begins.
    offset: usize,
    /// The members before `objects`.
    members: Vec<Member<'a>>,
    objects_key: Str<'a>,
    is_stix_2_0: bool,
    /// No element was read yet.
    is_fresh: bool,
}

/// What the members of an object tell of it that has an array of `objects`.
///
/// When its type is not among the members before the array, which is the rule in canonical form, it is looked for behind
/// the array. Where that meets broken text, the objects before it are still wanted.
#[derive(Debug, Clone, Copy)]
struct Nature {
    /// By its type; `None` if it was not found.
    is_bundle: Option<bool>,
    /// It says that it is STIX 2.0.
    is_stix_2_0: bool,
}

impl Nature {
    /// What the members before the array tell.
    fn told_before(members: &[Member<'_>]) -> Nature {
        let value = |name: &str| members.iter().find(|member| member.key == name).map(|member| &member.value);
        let is = |value: &Value<'_>, text: &str| matches!(value, Value::String(found) if *found == text);
        Nature {
            is_bundle: value("type").map(|found| is(found, "bundle")),
            is_stix_2_0: value("spec_version").is_some_and(|found| is(found, "2.0")),
        }
    }

    /// What the members behind the array tell, before which `parser` stands; it stays there.
    fn told_behind<'a>(parser: &mut Parser<'a>, key: Str<'a>) -> Nature {
        let [found_type, version] = parser.find_strings(parser.position(), Some(key), ["type", "spec_version"]);
        Nature {
            is_bundle: found_type.map(|found| found == "bundle"),
            is_stix_2_0: version.is_some_and(|version| version == "2.0"),
        }
    }

    fn or(self, other: Nature) -> Nature {
        Nature { is_bundle: self.is_bundle.or(other.is_bundle), is_stix_2_0: self.is_stix_2_0 || other.is_stix_2_0 }
    }
}

/// What the object that `parser` reads has for an `id`, its opening brace standing at `offset`.
fn id_hint(parser: &mut Parser<'_>, offset: usize) -> Option<String> {
    let [id] = parser.find_strings(offset + 1, None, ["id"]);
    id.map(|id| quote(&id.as_str()))
}

type Item<'a> = Result<Entry<'a>, JsonError>;

impl<'a> Reader<'a> {
    /// A reader at the start of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Reader<'a> {
        let mut parser = Parser::with_limits(input, LIMITS);
        if input.starts_with(b"\xef\xbb\xbf") {
            parser.begin(3);
        }
        Reader { input, parser, state: State::Between, next_index: 0 }
    }

    fn entry(&mut self, offset: usize, object: Result<Object<'a>, ObjectError>) -> Entry<'a> {
        let id_hint = if object.is_err() { self.id_hint(offset) } else { None };
        let index = self.next_index;
        self.next_index += 1;
        Entry { index, offset, object, id_hint }
    }

    fn id_hint(&mut self, offset: usize) -> Option<String> {
        if self.input.get(offset) != Some(&b'{') {
            return None;
        }
        id_hint(&mut self.parser, offset)
    }

    /// A value that was refused as JSON: an entry, and the reader goes past it; or the end, if the text is broken.
    fn refuse(&mut self, offset: usize, error: JsonError) -> Item<'a> {
        if error.kind.is_syntax() {
            return Err(error);
        }
        let end = value_end(self.input, offset)?;
        self.parser.begin(end);
        Ok(self.entry(offset, Err(error.into())))
    }

    /// Reads what begins at the reader's place between bundles.
    fn next_value(&mut self) -> Option<Item<'a>> {
        self.parser.space();
        let offset = self.parser.position();
        self.parser.begin(offset);
        match self.parser.peek() {
            None => {
                self.state = State::Done;
                None
            }
            Some(b'{') => self.next_envelope(offset).transpose(),
            Some(_) => Some(self.next_object(offset)),
        }
    }

    /// Reads an object, unless it turns out to be a bundle.
    fn next_envelope(&mut self, offset: usize) -> Result<Option<Entry<'a>>, JsonError> {
        let step = match self.parser.envelope() {
            Ok(Step::Objects(key)) => match self.open_bundle(offset, key) {
                Some(envelope) => {
                    self.state = State::Inside(envelope);
                    return Ok(None);
                }
                None => self.parser.resume(key),
            },
            step => step,
        };
        match step {
            Ok(Step::Closed(map)) if is_bundle(&map) => Ok(self.bundle_without_objects(offset, &map)),
            Ok(Step::Closed(map)) => Ok(Some(self.object(offset, Value::Object(map)))),
            // INVARIANT: `resume` never stops at `objects`; were it to, the text is refused.
            Ok(Step::Objects(_)) => Err(self.parser.unexpected()),
            Err(error) => self.refuse(offset, error).map(Some),
        }
    }

    /// Tells whether the object that stopped before its array of `objects` is a bundle, and enters the array if so.
    fn open_bundle(&mut self, offset: usize, key: Str<'a>) -> Option<Envelope<'a>> {
        let members = self.parser.take_members();
        let mut nature = Nature::told_before(&members);
        if nature.is_bundle.is_none() {
            nature = nature.or(Nature::told_behind(&mut self.parser, key));
        }
        let is_bundle = nature.is_bundle.unwrap_or_else(|| value_end(self.input, offset).is_err());
        if !is_bundle {
            self.parser.restore_members(members);
            return None;
        }
        self.parser.begin(self.parser.position() + 1);
        let is_stix_2_0 = nature.is_stix_2_0;
        Some(Envelope { offset, members, objects_key: key, is_stix_2_0, is_fresh: true })
    }

    fn bundle_without_objects(&mut self, offset: usize, map: &Map<'a>) -> Option<Entry<'a>> {
        let found = map.get("objects")?.kind();
        Some(self.entry(offset, Err(ObjectError::BundleObjects { found })))
    }

    fn object(&mut self, offset: usize, value: Value<'a>) -> Entry<'a> {
        let source = &self.input[offset..self.parser.position()];
        let object = Object::from_parts(value, source, self.parser.is_canonical());
        self.entry(offset, object)
    }

    /// Reads the value at the reader's place, whatever it is.
    fn next_object(&mut self, offset: usize) -> Item<'a> {
        self.parser.begin(offset);
        match self.parser.value() {
            Ok(value) => Ok(self.object(offset, value)),
            Err(error) => self.refuse(offset, error),
        }
    }

    /// Reads the next of a bundle's objects, or its end.
    fn next_element(&mut self, mut envelope: Envelope<'a>) -> Option<Item<'a>> {
        match self.has_element(&mut envelope) {
            Ok(true) => {}
            Ok(false) => return self.close_bundle(envelope).transpose(),
            Err(error) => return Some(Err(error)),
        }
        let offset = self.parser.position();
        let mut item = self.next_object(offset);
        if envelope.is_stix_2_0
            && let Ok(entry) = &mut item
        {
            entry.object = Err(ObjectError::Stix20 { evidence: "bundle's spec_version" });
            entry.id_hint = self.id_hint(offset);
        }
        self.state = State::Inside(envelope);
        Some(item)
    }

    fn has_element(&mut self, envelope: &mut Envelope<'a>) -> Result<bool, JsonError> {
        // What lies between two elements counts to neither.
        self.parser.begin(self.parser.position());
        if !std::mem::take(&mut envelope.is_fresh) {
            return self.parser.more(b']');
        }
        self.parser.space();
        match self.parser.peek() {
            Some(b']') => self.parser.expect(b']').map(|()| false),
            _ => Ok(true),
        }
    }

    /// After a bundle's objects: reads its other members and says what is wrong with it as a whole.
    fn close_bundle(&mut self, envelope: Envelope<'a>) -> Result<Option<Entry<'a>>, JsonError> {
        let Envelope { offset, members, objects_key, is_stix_2_0, .. } = envelope;
        self.state = State::Between;
        self.parser.reopen(members);
        // What was read is not kept: an empty array stands for it.
        let map = match self.parser.close_member(objects_key, Value::Array(Vec::new())) {
            Ok(Step::Closed(map)) => map,
            Ok(Step::Objects(_)) => return Err(self.parser.unexpected()),
            Err(error) => return self.refuse(offset, error).map(Some),
        };
        let says_2_0 = map.get("spec_version").is_some_and(|version| *version == Value::from("2.0"));
        if says_2_0 && !is_stix_2_0 {
            let error = ObjectError::Stix20 { evidence: "bundle's spec_version" };
            return Ok(Some(self.entry(offset, Err(error))));
        }
        Ok(None)
    }
}

fn is_bundle(map: &Map<'_>) -> bool {
    map.get("type").is_some_and(|value| *value == Value::from("bundle"))
}

impl<'a> Iterator for Reader<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let item = match std::mem::replace(&mut self.state, State::Between) {
                State::Between => self.next_value(),
                State::Inside(envelope) => self.next_element(envelope),
                State::Done => {
                    self.state = State::Done;
                    return None;
                }
            };
            if matches!(item, Some(Err(_))) {
                self.state = State::Done;
            }
            if item.is_some() || matches!(self.state, State::Done) {
                return item;
            }
        }
    }
}

#[cfg(test)]
mod tests;
