//! The reader: one recursive pass, no deeper than [`DEPTH_MAX`], that builds borrowed values.

use std::cmp::Ordering;

use super::{DEPTH_MAX, JsonError, JsonErrorKind, Map, Member, Number, Str, Value, lex, value_end};

/// Room for the open objects' members, enough for all but large objects: a guess that only saves growing.
const MEMBERS_EXPECTED: usize = 32;

/// Reads values out of a text, one after the other.
///
/// Members and elements collect on two stacks that all levels share, so that each array and object is allocated
/// once, at its exact size, and an input of many objects reuses the stacks.
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    /// The same bytes, when all of them are UTF-8: then no string needs to be checked again.
    text: Option<&'a str>,
    at: usize,
    depth: usize,
    canonical: bool,
    limits: Limits,
    /// No value may begin at or after this byte, and the value ends before it.
    end_max: usize,
    values_left: usize,
    members: Vec<Member<'a>>,
    values: Vec<Value<'a>>,
    /// Room for sorting members: the first bytes of each one's name, and its place.
    order: Vec<(u64, usize)>,
}

/// The most that one value may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) values: usize,
}

/// How far the reading of an envelope's members came.
pub(crate) enum Step<'a> {
    /// The object is closed.
    Closed(Map<'a>),
    /// Before the array under this key, `objects`, which may hold more than fits in memory.
    Objects(Str<'a>),
}

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Parser<'a> {
        Parser::with_limits(bytes, Limits { bytes: usize::MAX, values: usize::MAX })
    }

    pub(crate) fn with_limits(bytes: &'a [u8], limits: Limits) -> Parser<'a> {
        Parser {
            bytes,
            text: std::str::from_utf8(bytes).ok(),
            at: 0,
            depth: 0,
            canonical: true,
            limits,
            end_max: limits.bytes,
            values_left: limits.values,
            members: Vec::with_capacity(MEMBERS_EXPECTED),
            values: Vec::new(),
            order: Vec::new(),
        }
    }

    /// The one value that the whole text is.
    pub(crate) fn document(&mut self) -> Result<Value<'a>, JsonError> {
        self.space();
        let spaced = self.at > 0;
        self.begin(self.at);
        let value = self.value()?;
        self.canonical = self.canonical && !spaced;
        self.space();
        match self.at == self.bytes.len() {
            true => Ok(value),
            false => Err(self.error(JsonErrorKind::TrailingData)),
        }
    }

    /// Starts afresh for the value at `at`.
    pub(crate) fn begin(&mut self, at: usize) {
        self.at = at;
        self.depth = 0;
        self.canonical = true;
        self.end_max = at.saturating_add(self.limits.bytes);
        self.values_left = self.limits.values;
        self.members.clear();
        self.values.clear();
    }

    /// Whether all that was read since [`Self::begin`] is as RFC 8785 writes it.
    pub(crate) fn is_canonical(&self) -> bool {
        self.canonical
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError::new(kind, self.at)
    }

    pub(crate) fn unexpected(&self) -> JsonError {
        lex::unexpected(self.bytes, self.at)
    }

    pub(crate) fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.at = lex::whitespace_end(self.bytes, self.at);
            self.canonical = false;
        }
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    /// Goes past the value here without reading it.
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        self.at = value_end(self.bytes, self.at)?;
        Ok(())
    }

    /// Reads the value here.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        self.count()?;
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Value::Bool(true)),
            Some(b'f') => self.literal(b"false", Value::Bool(false)),
            Some(b'n') => self.literal(b"null", Value::Null),
            _ => Err(self.unexpected()),
        }
    }

    /// Holds the limits: each value is counted before it is read, so that none is built beyond them.
    fn count(&mut self) -> Result<(), JsonError> {
        self.within_bytes()?;
        if self.values_left == 0 {
            return Err(self.error(JsonErrorKind::TooManyValues(self.limits.values)));
        }
        self.values_left -= 1;
        Ok(())
    }

    fn within_bytes(&self) -> Result<(), JsonError> {
        match self.at <= self.end_max {
            true => Ok(()),
            false => Err(self.error(JsonErrorKind::TooLong(self.limits.bytes))),
        }
    }

    fn literal(&mut self, word: &[u8], value: Value<'a>) -> Result<Value<'a>, JsonError> {
        self.at = lex::literal_end(self.bytes, self.at, word)?;
        Ok(value)
    }

    #[inline(always)]
    fn slice(&self, start: usize, end: usize) -> Result<&'a str, JsonError> {
        match self.text {
            // INVARIANT: callers cut at ASCII bytes, which are character boundaries.
            Some(text) => Ok(&text[start..end]),
            None => std::str::from_utf8(&self.bytes[start..end])
                .map_err(|error| JsonError::new(JsonErrorKind::InvalidUtf8, start + error.valid_up_to())),
        }
    }

    #[inline(always)] // So that the string is built where it is needed, and not moved there.
    pub(crate) fn string(&mut self) -> Result<Str<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let (end, escaped) = lex::string_end(self.bytes, self.at)?;
        let start = self.at + 1;
        self.at = end + 1;
        let string = Str::from_json(self.slice(start, end)?, escaped, start)?;
        self.canonical = self.canonical && string.is_canonical();
        Ok(string)
    }

    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        let (end, is_integer) = lex::number_end(self.bytes, start)?;
        let token = self.slice(start, end)?;
        let (number, canonical) = Number::from_json(token, is_integer).map_err(|kind| JsonError::new(kind, start))?;
        self.at = end;
        self.canonical = self.canonical && canonical;
        Ok(Value::Number(number))
    }

    /// Goes into the array or object here; tells whether it is empty, and then already left.
    fn enter(&mut self, close: u8) -> Result<bool, JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(JsonErrorKind::Depth));
        }
        self.at += 1;
        self.space();
        let empty = self.peek() == Some(close);
        if empty {
            self.at += 1;
        } else {
            self.depth += 1;
        }
        Ok(empty)
    }

    /// After an element: goes to the next one, or past the bracket that closes.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, JsonError> {
        self.space();
        let more = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == close => false,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        if more {
            self.space();
        } else if self.depth > 0 {
            self.within_bytes()?;
            self.depth -= 1;
        }
        Ok(more)
    }

    fn array(&mut self) -> Result<Value<'a>, JsonError> {
        if self.enter(b']')? {
            return Ok(Value::Array(Vec::new()));
        }
        let start = self.values.len();
        loop {
            let value = self.value()?;
            self.values.push(value);
            if !self.more(b']')? {
                return Ok(Value::Array(self.values.drain(start..).collect()));
            }
        }
    }

    fn object(&mut self) -> Result<Value<'a>, JsonError> {
        if self.enter(b'}')? {
            return Ok(Value::Object(Map::default()));
        }
        let start = self.members.len();
        loop {
            let key = self.key()?;
            let value = self.value()?;
            self.members.push(Member::new(key, value));
            if !self.more(b'}')? {
                return self.close_object(start).map(Value::Object);
            }
        }
    }

    /// Reads a name and goes to its value.
    pub(crate) fn key(&mut self) -> Result<Str<'a>, JsonError> {
        let key = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    /// Takes the members from `start` on, in canonical order, and finds names that appear twice.
    fn close_object(&mut self, start: usize) -> Result<Map<'a>, JsonError> {
        if self.members[start..].is_sorted_by(|a, b| a.order(b).is_lt()) {
            return Ok(Map { members: self.members.drain(start..).collect() });
        }
        self.canonical = false;
        self.sort_members(start)?;
        let members = &mut self.members[start..];
        let take = |at: &usize| {
            let value = std::mem::replace(&mut members[*at].value, Value::Null);
            Member { value, ..members[*at] }
        };
        let map = Map { members: self.order.iter().map(|(_, at)| at).map(take).collect() };
        self.members.truncate(start);
        Ok(map)
    }

    /// Finds the canonical order of the members from `start` on: their places, counted from there.
    fn sort_members(&mut self, start: usize) -> Result<(), JsonError> {
        let members = &self.members[start..];
        self.order.clear();
        self.order.extend(members.iter().enumerate().map(|(at, member)| (member.prefix, at)));
        let by_name = |a: &(u64, usize), b: &(u64, usize)| match a.0.cmp(&b.0) {
            Ordering::Equal => members[a.1].key.order(&members[b.1].key).then(a.1.cmp(&b.1)),
            order => order,
        };
        self.order.sort_unstable_by(by_name);
        let is_twice =
            |pair: &&[(u64, usize)]| pair[0].0 == pair[1].0 && members[pair[0].1].key == members[pair[1].1].key;
        match self.order.windows(2).find(is_twice) {
            Some(pair) => {
                let second = members[pair[1].1].key.offset_in(self.bytes);
                Err(JsonError::new(JsonErrorKind::DuplicateKey, second))
            }
            None => Ok(()),
        }
    }

    /// Reads the object here up to an array called `objects`, or to its end.
    pub(crate) fn envelope(&mut self) -> Result<Step<'a>, JsonError> {
        self.count()?;
        match self.enter(b'}')? {
            true => Ok(Step::Closed(Map::default())),
            false => self.envelope_members(true),
        }
    }

    /// After [`Step::Objects`]: reads the array as an ordinary value, and the rest.
    pub(crate) fn resume(&mut self, key: Str<'a>) -> Result<Step<'a>, JsonError> {
        let value = self.value()?;
        self.close_member(key, value)
    }

    /// After [`Step::Objects`], when the array was read to its end elsewhere: reads the rest.
    pub(crate) fn close_member(&mut self, key: Str<'a>, value: Value<'a>) -> Result<Step<'a>, JsonError> {
        self.members.push(Member::new(key, value));
        match self.more(b'}')? {
            true => self.envelope_members(false),
            false => self.close_object(0).map(Step::Closed),
        }
    }

    fn envelope_members(&mut self, stop_at_objects: bool) -> Result<Step<'a>, JsonError> {
        loop {
            let key = self.key()?;
            if stop_at_objects && self.peek() == Some(b'[') && key == "objects" {
                return Ok(Step::Objects(key));
            }
            let value = self.value()?;
            self.members.push(Member::new(key, value));
            if !self.more(b'}')? {
                return self.close_object(0).map(Step::Closed);
            }
        }
    }

    /// The members of the envelope that were read before it stopped at `objects`.
    pub(crate) fn take_members(&mut self) -> Vec<Member<'a>> {
        std::mem::take(&mut self.members)
    }

    /// Gives back what [`Self::take_members`] took.
    pub(crate) fn restore_members(&mut self, members: Vec<Member<'a>>) {
        self.members = members;
    }

    /// Takes up an envelope again, whose members so far are `members`.
    pub(crate) fn reopen(&mut self, members: Vec<Member<'a>>) {
        self.begin(self.at);
        self.depth = 1;
        self.members = members;
    }

    /// Looks through the members of an object, from the one at `at` or from the value of `key` at `at`, for strings
    /// under `wanted` names, without building anything. Stops where the text is broken; leaves the reader where it was.
    pub(crate) fn find_strings<const N: usize>(
        &mut self,
        at: usize,
        mut key: Option<Str<'a>>,
        wanted: [&str; N],
    ) -> [Option<Str<'a>>; N] {
        let (was_at, was_canonical, was_depth) = (self.at, self.canonical, self.depth);
        let mut found = [None; N];
        self.at = at;
        self.space();
        while let Ok(name) = key.take().map_or_else(|| self.key(), Ok) {
            if let Some(i) = wanted.iter().position(|wanted| name == *wanted) {
                let at = self.at;
                found[i] = self.string().ok();
                self.at = at;
            }
            if self.skip().is_err() || !matches!(self.more(b'}'), Ok(true)) {
                break;
            }
        }
        (self.at, self.canonical, self.depth) = (was_at, was_canonical, was_depth);
        found
    }
}
