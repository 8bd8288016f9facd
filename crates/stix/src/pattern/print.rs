//! Patterns printed in one form: single spaces, `=` and `!=`, parentheses only where they change the meaning.

use super::lex::is_reserved;
use super::{Comparison, Literal, ObjectPath, Observation, Operand, Operator, PathStep, Pattern, Qualifier, Test};
use std::fmt::{Display, Formatter, Result, Write};

impl Display for Pattern<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.root().fmt(f)
    }
}

impl Display for Observation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Observation::Comparison(comparison) => write!(f, "[{comparison}]"),
            Observation::And(all) => join(f, all, " AND ", |inner| self.must_enclose(inner)),
            Observation::Or(all) => join(f, all, " OR ", |inner| self.must_enclose(inner)),
            Observation::FollowedBy(all) => join(f, all, " FOLLOWEDBY ", |inner| self.must_enclose(inner)),
            Observation::Qualified { observation, qualifiers } => {
                enclose(f, &**observation, self.must_enclose(observation))?;
                qualifiers.iter().try_for_each(|qualifier| write!(f, " {qualifier}"))
            }
        }
    }
}

impl Observation<'_> {
    /// How tightly the expression holds together.
    fn rank(&self) -> u8 {
        match self {
            Observation::FollowedBy(_) => 0,
            Observation::Or(_) => 1,
            Observation::And(_) => 2,
            Observation::Qualified { .. } => 3,
            Observation::Comparison(_) => 4,
        }
    }

    fn must_enclose(&self, inner: &Observation<'_>) -> bool {
        inner.rank() <= self.rank()
    }
}

impl Display for Qualifier<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Qualifier::StartStop { start, stop } => write!(f, "START t'{start}' STOP t'{stop}'"),
            Qualifier::Within { seconds } => write!(f, "WITHIN {seconds} SECONDS"),
            Qualifier::Repeats { times } => write!(f, "REPEATS {times} TIMES"),
        }
    }
}

impl Display for Comparison<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Comparison::And(all) => {
                join(f, all, " AND ", |inner| matches!(inner, Comparison::And(_) | Comparison::Or(_)))
            }
            Comparison::Or(all) => join(f, all, " OR ", |inner| matches!(inner, Comparison::Or(_))),
            Comparison::Test(test) => test.fmt(f),
            Comparison::Exists { path, negated } => {
                write!(f, "{}EXISTS {path}", if *negated { "NOT " } else { "" })
            }
        }
    }
}

impl Display for Test<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let not = if self.negated { "NOT " } else { "" };
        write!(f, "{} {not}{} {}", self.path, self.operator.as_str(), self.operand)
    }
}

impl Operator {
    /// The operator as the grammar writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "IN",
            Operator::Like => "LIKE",
            Operator::Matches => "MATCHES",
            Operator::IsSubset => "ISSUBSET",
            Operator::IsSuperset => "ISSUPERSET",
        }
    }
}

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Operand::One(literal) => literal.fmt(f),
            Operand::Set(literals) => {
                f.write_char('(')?;
                join(f, literals, ", ", |_| false)?;
                f.write_char(')')
            }
        }
    }
}

impl Display for Literal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Literal::String(text) => quoted(f, text),
            Literal::Integer(text) | Literal::Float(text) => f.write_str(text),
            Literal::Bool(value) => value.fmt(f),
            Literal::Hex(text) => write!(f, "h'{text}'"),
            Literal::Binary(text) => write!(f, "b'{text}'"),
            Literal::Timestamp(timestamp) => write!(f, "t'{timestamp}'"),
        }
    }
}

impl Display for ObjectPath<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}:", self.object_type)?;
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                PathStep::Key(key) => {
                    f.write_str(if i > 0 { "." } else { "" })?;
                    if is_bare(key) { f.write_str(key)? } else { quoted(f, key)? }
                }
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::AnyIndex => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

/// Tells whether a property name can stand without quotes.
fn is_bare(key: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = key.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    begins && key.bytes().all(is_part) && !is_reserved(key)
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> Result {
    f.write_char('\'')?;
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('\'')
}

fn enclose(f: &mut Formatter<'_>, inner: &impl Display, enclosed: bool) -> Result {
    if enclosed { write!(f, "({inner})") } else { inner.fmt(f) }
}

fn join<T: Display>(f: &mut Formatter<'_>, all: &[T], word: &str, must_enclose: impl Fn(&T) -> bool) -> Result {
    for (i, inner) in all.iter().enumerate() {
        f.write_str(if i > 0 { word } else { "" })?;
        enclose(f, inner, must_enclose(inner))?;
    }
    Ok(())
}
