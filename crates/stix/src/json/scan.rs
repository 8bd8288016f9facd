//! Through a value whose text comes in pieces: the skipper for inputs of which only a part is held.

use super::{JsonError, JsonErrorKind, lex, skip::Nesting};

/// How many brackets may be open around a value whose beginning and end are still told.
const MARKED_DEPTH_MAX: usize = 2;

/// The most brackets that may be open at once. Each costs a bit, and readers refuse what is far less deep.
const NESTING_MAX: usize = 1 << 26;

/// Goes through one JSON value in pieces of any size, and checks the grammar as [`super::value_end`] does.
///
/// It stops at marks, where whoever drives it may want to cut.
#[derive(Clone)]
pub(crate) struct Scanner {
    state: State,
    nesting: Nesting,
    /// Where the next byte stands in the whole input.
    position: usize,
}

/// A place at which the scanner stops, with the number of brackets that are open around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A value begins at the next byte.
    Begins(usize),
    /// A value ended before the next byte.
    Ends(usize),
    /// A name in the outermost object ended before the next byte; its opening quote stands here in the input.
    Name(usize),
}

#[derive(Clone, Copy)]
enum State {
    /// Before a value.
    Value,
    /// Before the first value of an array, or its end.
    FirstValue,
    /// Before the first byte of a value.
    Begin,
    /// Before a name.
    Name,
    /// Before the first name of an object, or its end.
    FirstName,
    /// Between a name and its value.
    Colon,
    /// Behind a value inside of brackets.
    After,
    String(Text),
    /// Behind the backslash at this place of the input.
    Escape(Text, usize),
    /// Before so many more hexadecimal digits of the escape whose backslash is at this place of the input.
    Digits(Text, usize, u8),
    /// In a number that begins at this place of the input.
    Number(usize, Part),
    /// Before the rest of `true`, `false` or `null`.
    Literal(&'static [u8]),
    /// Behind the whole value.
    Done,
}

/// What a string is.
#[derive(Clone, Copy)]
enum Text {
    Value,
    /// A name whose opening quote is at this place of the input.
    Name(usize),
}

/// What of a number was read last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Sign,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Scanner {
    /// A scanner before a value that begins at `position` of the input.
    pub(crate) fn at(position: usize) -> Scanner {
        Scanner { state: State::Value, nesting: Nesting::default(), position }
    }

    /// Where the next byte stands in the whole input.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Goes on through `bytes`, the input from [`Self::position`] on, up to a mark; without one it goes past all.
    ///
    /// # Errors
    /// Where the text is not JSON, or nests deeper than anything that is ever read.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Option<Mark>, JsonError> {
        let start = self.position;
        let mut at = 0;
        while let Some(next) = self.place(bytes, at) {
            self.position = start + next;
            let mark = self.take(bytes[next])?;
            at = self.position - start;
            if mark.is_some() {
                return Ok(mark);
            }
        }
        self.position = start + bytes.len();
        Ok(None)
    }

    /// At the end of the input: a number ends here, and nothing else.
    ///
    /// # Errors
    /// When the input ends inside the value.
    pub(crate) fn finish(&mut self) -> Result<Mark, JsonError> {
        match self.state {
            State::Number(_, part) if part.may_end() => Ok(self.ended().unwrap_or(Mark::Ends(self.nesting.depth()))),
            _ => Err(JsonError::new(JsonErrorKind::UnexpectedEnd, self.position)),
        }
    }

    /// The next byte of interest.
    fn place(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let at = match self.state {
            State::String(_) => lex::next_special(bytes, at),
            State::Begin | State::Escape(..) | State::Digits(..) | State::Number(..) | State::Literal(_) => at,
            _ => lex::whitespace_end(bytes, at),
        };
        (at < bytes.len()).then_some(at)
    }

    /// Takes the byte at the scanner's place; goes past it, unless it belongs to what follows.
    fn take(&mut self, byte: u8) -> Result<Option<Mark>, JsonError> {
        match (self.state, byte) {
            (State::FirstValue, b']') | (State::FirstName, b'}') => return Ok(self.close()),
            (State::Value | State::FirstValue, _) => {
                self.state = State::Begin;
                return Ok(self.mark(Mark::Begins));
            }
            (State::Begin, _) => self.begin(byte)?,
            (State::Name | State::FirstName, b'"') => self.state = State::String(Text::Name(self.position)),
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.state = if self.in_object() { State::Name } else { State::Value },
            (State::After, b'}') if self.in_object() => return Ok(self.close()),
            (State::After, b']') if !self.in_object() => return Ok(self.close()),
            (State::String(text), b'"') => return Ok(self.string_ended(text)),
            (State::String(text), b'\\') => self.state = State::Escape(text, self.position),
            (State::String(_), _) => return Err(self.error(JsonErrorKind::ControlCharacter)),
            (State::Escape(text, backslash), _) => self.escape(text, backslash, byte)?,
            (State::Digits(text, backslash, left), _) => self.digit(text, backslash, left, byte)?,
            (State::Number(start, part), _) => match part.then(byte) {
                Some(part) => self.state = State::Number(start, part),
                None => return self.number_ended(start, part, byte),
            },
            (State::Literal(&[first, ref rest @ ..]), _) if first == byte => {
                self.state = State::Literal(rest);
                if rest.is_empty() {
                    self.position += 1;
                    return Ok(self.ended());
                }
            }
            _ => return Err(self.error(JsonErrorKind::UnexpectedByte(byte))),
        }
        self.position += 1;
        Ok(None)
    }

    fn begin(&mut self, byte: u8) -> Result<(), JsonError> {
        if matches!(byte, b'{' | b'[') {
            if self.nesting.depth() == NESTING_MAX {
                return Err(self.error(JsonErrorKind::Depth));
            }
            self.nesting.push(byte == b'{');
        }
        self.state = match byte {
            b'{' => State::FirstName,
            b'[' => State::FirstValue,
            b'"' => State::String(Text::Value),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            b'-' => State::Number(self.position, Part::Sign),
            b'0' => State::Number(self.position, Part::Zero),
            b'1'..=b'9' => State::Number(self.position, Part::Integer),
            _ => return Err(self.error(JsonErrorKind::UnexpectedByte(byte))),
        };
        Ok(())
    }

    fn close(&mut self) -> Option<Mark> {
        self.position += 1;
        self.nesting.pop();
        self.ended()
    }

    /// Behind a value.
    fn ended(&mut self) -> Option<Mark> {
        self.state = if self.nesting.depth() == 0 { State::Done } else { State::After };
        self.mark(Mark::Ends)
    }

    fn string_ended(&mut self, text: Text) -> Option<Mark> {
        self.position += 1;
        match text {
            Text::Value => self.ended(),
            Text::Name(start) => {
                self.state = State::Colon;
                (self.nesting.depth() == 1).then_some(Mark::Name(start))
            }
        }
    }

    fn escape(&mut self, text: Text, backslash: usize, byte: u8) -> Result<(), JsonError> {
        self.state = match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::String(text),
            b'u' => State::Digits(text, backslash, 4),
            _ => return Err(JsonError::new(JsonErrorKind::InvalidEscape, backslash)),
        };
        Ok(())
    }

    fn digit(&mut self, text: Text, backslash: usize, left: u8, byte: u8) -> Result<(), JsonError> {
        if !byte.is_ascii_hexdigit() {
            return Err(JsonError::new(JsonErrorKind::InvalidEscape, backslash));
        }
        self.state = if left == 1 { State::String(text) } else { State::Digits(text, backslash, left - 1) };
        Ok(())
    }

    /// At a byte that is not of the number.
    fn number_ended(&mut self, start: usize, part: Part, byte: u8) -> Result<Option<Mark>, JsonError> {
        let at = match part {
            Part::Sign => start,
            Part::Zero if byte.is_ascii_digit() => start,
            part if part.may_end() => return Ok(self.ended()),
            _ => self.position,
        };
        Err(JsonError::new(JsonErrorKind::InvalidNumber, at))
    }

    fn mark(&self, mark: impl FnOnce(usize) -> Mark) -> Option<Mark> {
        let depth = self.nesting.depth();
        (depth <= MARKED_DEPTH_MAX).then(|| mark(depth))
    }

    fn in_object(&self) -> bool {
        self.nesting.top() == Some(true)
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError::new(kind, self.position)
    }
}

impl Part {
    /// What was read last once `byte` was read too, if it is of the number.
    fn then(self, byte: u8) -> Option<Part> {
        Some(match (self, byte) {
            (Part::Sign, b'0') => Part::Zero,
            (Part::Sign | Part::Integer, b'0'..=b'9') => Part::Integer,
            (Part::Zero | Part::Integer, b'.') => Part::Point,
            (Part::Point | Part::Fraction, b'0'..=b'9') => Part::Fraction,
            (Part::Zero | Part::Integer | Part::Fraction, b'e' | b'E') => Part::Exponent,
            (Part::Exponent, b'+' | b'-') => Part::ExponentSign,
            (Part::Exponent | Part::ExponentSign | Part::ExponentDigits, b'0'..=b'9') => Part::ExponentDigits,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Part::Zero | Part::Integer | Part::Fraction | Part::ExponentDigits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::value_end;
    use proptest::prelude::*;

    /// Where the value that `text` begins with ends, scanned in pieces of `size`.
    fn end(text: &[u8], size: usize) -> Result<usize, JsonError> {
        let mut scanner = Scanner::at(0);
        let mut fed = size.min(text.len());
        loop {
            let mark = match scanner.advance(&text[scanner.position()..fed])? {
                None if fed == text.len() => Some(scanner.finish()?),
                None => {
                    fed = (fed + size).min(text.len());
                    None
                }
                mark => mark,
            };
            if mark == Some(Mark::Ends(0)) {
                return Ok(scanner.position());
            }
        }
    }

    #[track_caller]
    fn check(text: &str) {
        for size in [1, 2, 3, text.len().max(1)] {
            assert_eq!(end(text.as_bytes(), size), value_end(text.as_bytes(), 0), "{text} in pieces of {size}");
        }
    }

    #[test]
    fn ends_and_errors_are_those_of_the_skipper() {
        for text in [
            "",
            " ",
            "{}",
            " [ ] ,",
            "[1,]",
            "[,1]",
            "{\"a\" 1}",
            "{,}",
            "[1 2]",
            "[}",
            "{\"a\":1]",
            "{\"a\":1,}",
            "01",
            "-",
            "-x",
            "1.",
            "1.x",
            "1e",
            "1e+",
            "1e+x",
            "-0.5e-10 ",
            "tru",
            "trux",
            "nullx",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\u12",
            "\"\\u12g4\"",
            "\"\\\"\\u00e9\"",
            "{\"a\":[1,{\"b\":\"]}\"},null],\"c\":-1.5e3}}",
            "[[],[[{}]],{}]",
        ] {
            check(text);
        }
    }

    #[test]
    fn deep_nesting_costs_bits() {
        let bomb = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(end(bomb.as_bytes(), 4_096), Ok(bomb.len()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_understood_otherwise(text in "[\\[\\]{},:\"\\\\untrefals0-9.eE+ -]{0,16}", size in 1..9_usize) {
            prop_assert_eq!(end(text.as_bytes(), size), value_end(text.as_bytes(), 0));
        }
    }
}
