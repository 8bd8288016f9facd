//! Confidence in steps: the None / Low / Med / High scale of STIX 2.1, appendix A.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How sure the producer is, from the least to the most.
///
/// What says nothing is below all that says something, as an agreement that asks for confidence must not be given what
/// may have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It does not say.
    #[default]
    Unspecified,
    /// 0.
    None,
    /// 1 to 29.
    Low,
    /// 30 to 69.
    Med,
    /// 70 to 100.
    High,
}

impl Confidence {
    /// All steps, from the least to the most.
    pub const ALL: [Self; 5] = [Self::Unspecified, Self::None, Self::Low, Self::Med, Self::High];

    /// The step of a number that an object states, 0 to 100.
    #[must_use]
    pub fn of(stated: Option<u8>) -> Self {
        match stated {
            None | Some(101..) => Self::Unspecified,
            Some(0) => Self::None,
            Some(1..=29) => Self::Low,
            Some(30..=69) => Self::Med,
            Some(70..=100) => Self::High,
        }
    }

    /// Whether nothing is said.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref)] // The form that serde asks for.
    pub fn is_unspecified(&self) -> bool {
        *self == Self::Unspecified
    }

    /// The name that agreements use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::None => "none",
            Self::Low => "low",
            Self::Med => "med",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is not a step of confidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a step of confidence; known are unspecified, none, low, med, high")]
pub struct ConfidenceError {
    /// What stood there.
    pub found: String,
}

impl FromStr for Confidence {
    type Err = ConfidenceError;

    fn from_str(text: &str) -> Result<Self, ConfidenceError> {
        let named = Self::ALL.into_iter().find(|step| step.as_str() == text);
        named.ok_or_else(|| ConfidenceError { found: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_standard() {
        use Confidence::{High, Low, Med, None as Zero, Unspecified};
        let check = |stated, expect| assert_eq!(Confidence::of(stated), expect, "{stated:?}");
        check(None, Unspecified);
        for (stated, expect) in [(0, Zero), (1, Low), (29, Low), (30, Med), (69, Med), (70, High), (100, High)] {
            check(Some(stated), expect);
        }
        check(Some(101), Unspecified);
        assert!(Confidence::ALL.is_sorted());
        for step in Confidence::ALL {
            assert_eq!(step.as_str().parse(), Ok(step));
            assert_eq!(serde_json::to_string(&step).unwrap(), format!("\"{step}\""));
        }
    }
}
