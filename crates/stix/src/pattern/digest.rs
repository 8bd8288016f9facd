//! Digests in patterns: one of the wrong length matches nothing, and is a slip of whoever wrote it.

use super::{Literal, Operator, PathStep, Pattern, Test};
use crate::quote::quote;
use std::fmt;

/// A comparison with a text that is no digest of the algorithm that the path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedDigest {
    /// The algorithm, as the pattern names it.
    pub algorithm: String,
    /// How many hexadecimal digits its digests have.
    pub digits: usize,
}

impl fmt::Display for MalformedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, digits) = (quote(&self.algorithm), self.digits);
        write!(
            f,
            "a value compared with {algorithm} is no digest of {digits} hexadecimal digits: correct the one or the other"
        )
    }
}

impl std::error::Error for MalformedDigest {}

impl Pattern<'_> {
    /// The first comparison of a digest with a text that is none, if there is one.
    #[must_use]
    pub fn malformed_digest(&self) -> Option<MalformedDigest> {
        self.tests().find_map(malformed)
    }
}

fn malformed(test: &Test<'_>) -> Option<MalformedDigest> {
    let is_exact = matches!(test.operator, Operator::Equal | Operator::NotEqual | Operator::In);
    let mut keys = test.path.steps.iter().filter_map(|step| match step {
        PathStep::Key(key) => Some(key.as_ref()),
        _ => None,
    });
    if !is_exact || !keys.clone().any(|key| key.ends_with("hashes")) {
        return None;
    }
    let algorithm = keys.next_back()?;
    let digits = digits(algorithm)?;
    let is_digest = |text: &str| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fits = |literal: &Literal<'_>| matches!(literal, Literal::String(text) if is_digest(text));
    let is_malformed = !test.operand.literals().iter().all(fits);
    is_malformed.then(|| MalformedDigest { algorithm: algorithm.to_owned(), digits })
}

/// The hexadecimal digits of a digest by `algorithm`, however its name is written; `None` if it has no fixed length.
fn digits(algorithm: &str) -> Option<usize> {
    let name: String = algorithm.chars().filter(|c| *c != '-').map(|c| c.to_ascii_uppercase()).collect();
    Some(match name.as_str() {
        "MD5" | "MD6" => 32,
        "RIPEMD160" | "SHA1" => 40,
        "SHA224" | "SHA3224" => 56,
        "SHA256" | "SHA3256" => 64,
        "SHA384" | "SHA3384" => 96,
        "SHA512" | "SHA3512" | "WHIRLPOOL" => 128,
        _ => return None,
    })
}
