//! Recursive descent over the grammar of STIX 2.1 §9; only brackets recurse, and their depth is limited.

use super::lex::{Keyword, Kind, Lexer, Token};
use super::{
    Comparison, Literal, NESTING_MAX, ObjectPath, Observation, Operand, Operator, PathStep, PatternError,
    PatternErrorKind, Qualifier, Test,
};
use crate::time::TimestampRef;
use std::borrow::Cow;

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    depth: usize,
}

type Parsed<T> = Result<T, PatternError>;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Parsed<Parser<'a>> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token()?;
        Ok(Parser { lexer, token, depth: 0 })
    }

    pub(super) fn pattern(mut self) -> Parsed<Observation<'a>> {
        let observation = self.observations()?;
        match self.token.kind {
            Kind::End => Ok(observation),
            _ => Err(self.unexpected("the end of the pattern or an operator")),
        }
    }

    fn unexpected(&self, expected: &'static str) -> PatternError {
        self.error(PatternErrorKind::Expected(expected))
    }

    fn error(&self, kind: PatternErrorKind) -> PatternError {
        PatternError { kind, offset: self.token.offset }
    }

    fn advance(&mut self) -> Parsed<Kind<'a>> {
        let next = self.lexer.next_token()?;
        Ok(std::mem::replace(&mut self.token, next).kind)
    }

    fn accept(&mut self, kind: &Kind<'_>) -> Parsed<bool> {
        let is_here = self.token.kind == *kind;
        if is_here {
            self.advance()?;
        }
        Ok(is_here)
    }

    fn accept_word(&mut self, word: Keyword) -> Parsed<bool> {
        self.accept(&Kind::Keyword(word))
    }

    fn expect(&mut self, kind: &Kind<'_>, expected: &'static str) -> Parsed<()> {
        if self.accept(kind)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Reads what stands in brackets, one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == NESTING_MAX {
            return Err(self.error(PatternErrorKind::Nesting));
        }
        self.depth += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// Reads one or more operands that `word` joins.
    fn joined<T>(
        &mut self,
        word: Keyword,
        read: impl Fn(&mut Self) -> Parsed<T>,
        join: impl FnOnce(Vec<T>) -> T,
    ) -> Parsed<T> {
        let first = read(self)?;
        if self.token.kind != Kind::Keyword(word) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.accept_word(word)? {
            operands.push(read(self)?);
        }
        Ok(join(operands))
    }

    fn observations(&mut self) -> Parsed<Observation<'a>> {
        self.joined(Keyword::FollowedBy, Self::observations_or, Observation::FollowedBy)
    }

    fn observations_or(&mut self) -> Parsed<Observation<'a>> {
        self.joined(Keyword::Or, Self::observations_and, Observation::Or)
    }

    fn observations_and(&mut self) -> Parsed<Observation<'a>> {
        self.joined(Keyword::And, Self::observation, Observation::And)
    }

    fn observation(&mut self) -> Parsed<Observation<'a>> {
        let observation = if self.accept(&Kind::Mark(b'['))? {
            let comparison = self.comparisons()?;
            self.expect(&Kind::Mark(b']'), "] or an operator")?;
            Observation::Comparison(comparison)
        } else if self.accept(&Kind::Mark(b'('))? {
            let inner = self.nested(Self::observations)?;
            self.expect(&Kind::Mark(b')'), ") or an operator")?;
            inner
        } else {
            return Err(self.unexpected("[ or ("));
        };
        let mut qualifiers = Vec::new();
        while let Some(qualifier) = self.qualifier()? {
            qualifiers.push(qualifier);
        }
        match qualifiers.is_empty() {
            true => Ok(observation),
            false => Ok(Observation::Qualified { observation: Box::new(observation), qualifiers }),
        }
    }

    fn qualifier(&mut self) -> Parsed<Option<Qualifier<'a>>> {
        let offset = self.token.offset;
        if self.accept_word(Keyword::Start)? {
            let start = self.timestamp()?;
            self.expect(&Kind::Keyword(Keyword::Stop), "STOP")?;
            let stop = self.timestamp()?;
            if start >= stop {
                return Err(PatternError { kind: PatternErrorKind::StartNotBeforeStop, offset });
            }
            return Ok(Some(Qualifier::StartStop { start, stop }));
        }
        if self.accept_word(Keyword::Within)? {
            let seconds = self.positive("a number of seconds", true)?;
            self.expect(&Kind::Keyword(Keyword::Seconds), "SECONDS")?;
            return Ok(Some(Qualifier::Within { seconds }));
        }
        if self.accept_word(Keyword::Repeats)? {
            let times = self.positive("a number of times", false)?;
            self.expect(&Kind::Keyword(Keyword::Times), "TIMES")?;
            return Ok(Some(Qualifier::Repeats { times }));
        }
        Ok(None)
    }

    fn timestamp(&mut self) -> Parsed<TimestampRef<'a>> {
        let Kind::Timestamp(text) = self.token.kind else {
            return Err(self.unexpected("a timestamp such as t'2024-05-01T00:00:00Z'"));
        };
        let timestamp = TimestampRef::borrow(text).map_err(|_| self.error(PatternErrorKind::InvalidLiteral))?;
        self.advance()?;
        Ok(timestamp)
    }

    /// A number without a minus and above zero.
    fn positive(&mut self, expected: &'static str, float_too: bool) -> Parsed<&'a str> {
        let text = match self.token.kind {
            Kind::Integer(text) => text,
            Kind::Float(text) if float_too => text,
            _ => return Err(self.unexpected(expected)),
        };
        if text.starts_with('-') || !text.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            return Err(self.unexpected(expected));
        }
        self.advance()?;
        Ok(text)
    }

    fn comparisons(&mut self) -> Parsed<Comparison<'a>> {
        self.joined(Keyword::Or, Self::comparisons_and, Comparison::Or)
    }

    fn comparisons_and(&mut self) -> Parsed<Comparison<'a>> {
        self.joined(Keyword::And, Self::comparison, Comparison::And)
    }

    fn comparison(&mut self) -> Parsed<Comparison<'a>> {
        if self.accept(&Kind::Mark(b'('))? {
            let inner = self.nested(Self::comparisons)?;
            self.expect(&Kind::Mark(b')'), ") or an operator")?;
            return Ok(inner);
        }
        let negated = self.accept_word(Keyword::Not)?;
        if self.accept_word(Keyword::Exists)? {
            return Ok(Comparison::Exists { path: self.path()?, negated });
        }
        if negated {
            return Err(self.unexpected("EXISTS"));
        }
        self.test().map(Comparison::Test)
    }

    fn test(&mut self) -> Parsed<Test<'a>> {
        let path = self.path()?;
        let negated = self.accept_word(Keyword::Not)?;
        let operator = self.operator()?;
        let operand = match operator {
            Operator::In => Operand::Set(self.set()?),
            Operator::Like | Operator::Matches | Operator::IsSubset | Operator::IsSuperset => {
                Operand::One(Literal::String(self.string("a string")?))
            }
            Operator::Equal | Operator::NotEqual => Operand::One(self.literal()?),
            _ if matches!(self.token.kind, Kind::Bool(_)) => {
                return Err(self.unexpected("a value that has an order"));
            }
            _ => Operand::One(self.literal()?),
        };
        Ok(Test { path, negated, operator, operand })
    }

    fn operator(&mut self) -> Parsed<Operator> {
        let operator = match self.token.kind {
            Kind::Equal => Operator::Equal,
            Kind::NotEqual => Operator::NotEqual,
            Kind::Less => Operator::Less,
            Kind::LessOrEqual => Operator::LessOrEqual,
            Kind::Greater => Operator::Greater,
            Kind::GreaterOrEqual => Operator::GreaterOrEqual,
            Kind::Keyword(Keyword::In) => Operator::In,
            Kind::Keyword(Keyword::Like) => Operator::Like,
            Kind::Keyword(Keyword::Matches) => Operator::Matches,
            Kind::Keyword(Keyword::IsSubset) => Operator::IsSubset,
            Kind::Keyword(Keyword::IsSuperset) => Operator::IsSuperset,
            _ => return Err(self.unexpected("a comparison operator")),
        };
        self.advance()?;
        Ok(operator)
    }

    fn set(&mut self) -> Parsed<Vec<Literal<'a>>> {
        self.expect(&Kind::Mark(b'('), "( and a list of values")?;
        let mut literals = Vec::new();
        if self.accept(&Kind::Mark(b')'))? {
            return Ok(literals);
        }
        loop {
            literals.push(self.literal()?);
            if !self.accept(&Kind::Mark(b','))? {
                self.expect(&Kind::Mark(b')'), ") or a comma")?;
                return Ok(literals);
            }
        }
    }

    fn string(&mut self, expected: &'static str) -> Parsed<Cow<'a, str>> {
        if !matches!(self.token.kind, Kind::String(_)) {
            return Err(self.unexpected(expected));
        }
        match self.advance()? {
            Kind::String(text) => Ok(text),
            _ => Err(self.unexpected(expected)),
        }
    }

    fn literal(&mut self) -> Parsed<Literal<'a>> {
        let literal = match &self.token.kind {
            Kind::String(text) => Literal::String(text.clone()),
            Kind::Integer(text) => Literal::Integer(text),
            Kind::Float(text) => Literal::Float(text),
            Kind::Bool(value) => Literal::Bool(*value),
            Kind::Hex(text) => Literal::Hex(text),
            Kind::Binary(text) => Literal::Binary(text),
            Kind::Timestamp(_) => return self.timestamp().map(Literal::Timestamp),
            _ => return Err(self.unexpected("a value: strings stand in single quotes")),
        };
        self.advance()?;
        Ok(literal)
    }

    fn path(&mut self) -> Parsed<ObjectPath<'a>> {
        let Kind::Name(object_type) = self.token.kind else {
            return Err(self.unexpected("an object path such as ipv4-addr:value"));
        };
        self.advance()?;
        self.expect(&Kind::Mark(b':'), ": after the object type")?;
        let mut steps = vec![self.key()?];
        loop {
            if self.accept(&Kind::Mark(b'.'))? {
                steps.push(self.key()?);
            } else if self.accept(&Kind::Mark(b'['))? {
                steps.push(self.index()?);
                self.expect(&Kind::Mark(b']'), "] after the index")?;
            } else {
                return Ok(ObjectPath { object_type, steps });
            }
        }
    }

    fn key(&mut self) -> Parsed<PathStep<'a>> {
        match self.token.kind {
            Kind::Name(name) if !name.contains('-') => {
                self.advance()?;
                Ok(PathStep::Key(Cow::Borrowed(name)))
            }
            _ => self.string("a property name: one with hyphens stands in single quotes").map(PathStep::Key),
        }
    }

    fn index(&mut self) -> Parsed<PathStep<'a>> {
        match self.advance()? {
            Kind::Integer(text) => Ok(PathStep::Index(text)),
            Kind::Mark(b'*') => Ok(PathStep::AnyIndex),
            _ => Err(self.unexpected("an index or *")),
        }
    }
}
