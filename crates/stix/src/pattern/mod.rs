//! The STIX patterning language (STIX 2.1 §9): a full parser to a typed tree, in linear time.
//!
//! ```
//! use mithaq_stix::pattern::Pattern;
//!
//! let pattern = Pattern::parse("[file:name = 'it\\'s.exe' AND file:size NOT > 3] WITHIN 5 SECONDS")?;
//! let tests: Vec<_> = pattern.tests().map(|test| (test.path.to_string(), test.negated)).collect();
//! assert_eq!(tests, [("file:name".to_owned(), false), ("file:size".to_owned(), true)]);
//! # Ok::<(), mithaq_stix::pattern::PatternError>(())
//! ```

mod digest;
mod lex;
mod parse;
mod print;

use crate::time::TimestampRef;
pub use digest::MalformedDigest;
use std::borrow::Cow;
use thiserror::Error;

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1 << 20;
/// The most parentheses that may be open at once.
pub const NESTING_MAX: usize = 64;

/// A pattern that follows the grammar.
///
/// It prints in one form, whatever spaces, comments and doubled operators it was written with.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern<'a> {
    root: Observation<'a>,
}

impl<'a> Pattern<'a> {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When `text` is longer than [`PATTERN_BYTES_MAX`], nests deeper than [`NESTING_MAX`], holds bidirectional
    /// controls, or breaks the grammar.
    pub fn parse(text: &'a str) -> Result<Pattern<'a>, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError { kind: PatternErrorKind::TooLong, offset: PATTERN_BYTES_MAX });
        }
        if let Some(offset) = lex::find_bidi_control(text) {
            return Err(PatternError { kind: PatternErrorKind::BidiControl, offset });
        }
        let root = parse::Parser::new(text)?.pattern()?;
        Ok(Pattern { root })
    }

    /// The outermost expression.
    #[must_use]
    pub fn root(&self) -> &Observation<'a> {
        &self.root
    }

    /// The outermost expression, to be changed.
    pub(crate) fn root_mut(&mut self) -> &mut Observation<'a> {
        &mut self.root
    }

    /// Every comparison with a value, from left to right, whatever joins them; `EXISTS` compares with none.
    pub fn tests(&self) -> impl Iterator<Item = &Test<'a>> {
        self.leaves().filter_map(|comparison| match comparison {
            Comparison::Test(test) => Some(test),
            _ => None,
        })
    }

    /// The path of every comparison, from left to right, those of `EXISTS` too.
    pub fn paths(&self) -> impl Iterator<Item = &ObjectPath<'a>> {
        self.leaves().filter_map(|comparison| match comparison {
            Comparison::Test(test) => Some(&test.path),
            Comparison::Exists { path, .. } => Some(path),
            Comparison::And(_) | Comparison::Or(_) => None,
        })
    }

    fn leaves(&self) -> impl Iterator<Item = &Comparison<'a>> {
        let mut leaves = Vec::new();
        self.root.collect(&mut leaves);
        leaves.into_iter()
    }
}

/// What is to be observed.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation<'a> {
    /// `[…]`: one observation.
    Comparison(Comparison<'a>),
    /// All of these, in any order.
    And(Vec<Observation<'a>>),
    /// Any of these.
    Or(Vec<Observation<'a>>),
    /// All of these, one after the other.
    FollowedBy(Vec<Observation<'a>>),
    /// An observation within limits.
    Qualified {
        /// What is limited.
        observation: Box<Observation<'a>>,
        /// The limits, as they stand from left to right.
        qualifiers: Vec<Qualifier<'a>>,
    },
}

/// A limit on an observation.
#[derive(Debug, Clone, PartialEq)]
pub enum Qualifier<'a> {
    /// `START … STOP …`.
    StartStop {
        /// From this instant on.
        start: TimestampRef<'a>,
        /// Until before this instant.
        stop: TimestampRef<'a>,
    },
    /// `WITHIN … SECONDS`.
    Within {
        /// The number as written, above zero.
        seconds: &'a str,
    },
    /// `REPEATS … TIMES`.
    Repeats {
        /// The number as written, above zero.
        times: &'a str,
    },
}

/// What must hold of one observation.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison<'a> {
    /// All of these.
    And(Vec<Comparison<'a>>),
    /// Any of these.
    Or(Vec<Comparison<'a>>),
    /// A property compared with a value.
    Test(Test<'a>),
    /// A property that is there.
    Exists {
        /// The property.
        path: ObjectPath<'a>,
        /// It must not be there.
        negated: bool,
    },
}

/// A property compared with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Test<'a> {
    /// The property.
    pub path: ObjectPath<'a>,
    /// The comparison must not hold.
    pub negated: bool,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub operand: Operand<'a>,
}

/// How a property is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the grammar's own")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Like,
    Matches,
    IsSubset,
    IsSuperset,
}

/// What a property is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand<'a> {
    /// One value.
    One(Literal<'a>),
    /// The values of `IN (…)`.
    Set(Vec<Literal<'a>>),
}

impl<'a> Operand<'a> {
    /// The values.
    #[must_use]
    pub fn literals(&self) -> &[Literal<'a>] {
        match self {
            Operand::One(literal) => std::slice::from_ref(literal),
            Operand::Set(literals) => literals,
        }
    }
}

/// A value in a pattern; numbers and binary values are as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal<'a> {
    /// A string, its escapes undone.
    String(Cow<'a, str>),
    /// A whole number.
    Integer(&'a str),
    /// A number with a point.
    Float(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// The digits of `h'…'`.
    Hex(&'a str),
    /// The base64 text of `b'…'`.
    Binary(&'a str),
    /// `t'…'`.
    Timestamp(TimestampRef<'a>),
}

/// The way to a property: an object type, and steps from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectPath<'a> {
    /// The type, such as `ipv4-addr`.
    pub object_type: &'a str,
    /// The steps, of which the first is a key.
    pub steps: Vec<PathStep<'a>>,
}

/// A step of an object path.
#[derive(Debug, Clone, PartialEq)]
pub enum PathStep<'a> {
    /// Into the property of this name.
    Key(Cow<'a, str>),
    /// To this element of a list; the number as written.
    Index(&'a str),
    /// To any element of a list.
    AnyIndex,
}

/// A pattern that was refused: why, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct PatternError {
    /// What is wrong.
    pub kind: PatternErrorKind,
    /// Where, in bytes from the start of the pattern.
    pub offset: usize,
}

/// The ways in which a text can fail to be a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// The grammar wants something else here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A character that begins nothing.
    #[error("unexpected character")]
    UnexpectedCharacter,
    /// A quote that is never closed.
    #[error("a quoted value has no end")]
    UnclosedString,
    /// A backslash before something else than a quote or a backslash.
    #[error("in a string, only \\' and \\\\ may follow a backslash")]
    InvalidEscape,
    /// A number, or the content of `h''`, `b''` or `t''`, is malformed.
    #[error("malformed value")]
    InvalidLiteral,
    /// `START` is not before `STOP`.
    #[error("START is not before STOP")]
    StartNotBeforeStop,
    /// More than [`NESTING_MAX`] parentheses are open.
    #[error("more than {NESTING_MAX} parentheses are open")]
    Nesting,
    /// The pattern is longer than [`PATTERN_BYTES_MAX`].
    #[error("the pattern is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// A bidirectional control, which could make the pattern look like another.
    #[error("invisible bidirectional control character")]
    BidiControl,
}

impl<'a> Observation<'a> {
    /// Appends the comparisons that are not made of others, from left to right.
    fn collect<'t>(&'t self, leaves: &mut Vec<&'t Comparison<'a>>) {
        match self {
            Observation::Comparison(comparison) => comparison.collect(leaves),
            Observation::And(all) | Observation::Or(all) | Observation::FollowedBy(all) => {
                all.iter().for_each(|observation| observation.collect(leaves));
            }
            Observation::Qualified { observation, .. } => observation.collect(leaves),
        }
    }
}

impl<'a> Comparison<'a> {
    fn collect<'t>(&'t self, leaves: &mut Vec<&'t Comparison<'a>>) {
        match self {
            Comparison::And(all) | Comparison::Or(all) => {
                all.iter().for_each(|comparison| comparison.collect(leaves));
            }
            Comparison::Test(_) | Comparison::Exists { .. } => leaves.push(self),
        }
    }
}

#[cfg(test)]
mod tests;
