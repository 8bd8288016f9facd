//! The pairing code: sixty digits that two people compare by telephone before their CERTs trust each other.
//!
//! It is derived from both root keys and the agreement, so it differs as soon as one side holds another card or
//! other terms. Each of its twelve groups ends in a check digit, so that a misheard digit is told from a wrong key.

use crate::id::{AgreementId, CertId, sha256_of};

/// How many groups a code has.
pub const GROUPS: usize = 12;

/// How many digits a group has, its check digit included.
pub const GROUP_DIGITS: usize = 5;

/// What the digits are derived under.
const DOMAIN: &[u8] = b"mithaq-pairing/1\0";

/// Sixty digits in twelve groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingCode([[u8; GROUP_DIGITS]; GROUPS]);

/// Why a typed group is not the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// There is no such group.
    #[error("there is no group {number}: groups are numbered 1 to {GROUPS}")]
    NoSuchGroup {
        /// What was asked for.
        number: usize,
    },
    /// It is not five digits.
    #[error("group {number} must have {GROUP_DIGITS} digits")]
    Shape {
        /// The group.
        number: usize,
    },
    /// Its check digit does not fit: it was misheard or mistyped.
    #[error("group {number} was misheard or mistyped: its check digit does not fit; ask for it again")]
    Mistyped {
        /// The group.
        number: usize,
    },
    /// It is a well-formed group of another code: the other side holds another key or other terms.
    #[error(
        "group {number} is of another code: the other side holds another root key or another agreement; \
         do not go on, compare cards and agreement with your peer over another channel"
    )]
    OtherCode {
        /// The group.
        number: usize,
    },
}

impl PairingCode {
    /// The code of two CERTs, in either order, and the agreement between them.
    #[must_use]
    pub fn new(a: CertId, b: CertId, agreement: AgreementId) -> Self {
        let (low, high) = (a.min(b), a.max(b));
        let mut groups = [[0; GROUP_DIGITS]; GROUPS];
        for (number, group) in groups.iter_mut().enumerate() {
            let index = [u8::try_from(number).unwrap_or(u8::MAX)];
            let digest = sha256_of(&[DOMAIN, low.as_bytes(), high.as_bytes(), agreement.as_bytes(), &index]);
            *group = group_of(&digest);
        }
        Self(groups)
    }

    /// Group `number`, from 1, as five digits.
    #[must_use]
    pub fn group(&self, number: usize) -> Option<String> {
        let group = self.0.get(number.checked_sub(1)?)?;
        Some(group.iter().map(|digit| char::from(b'0' + digit)).collect())
    }

    /// Checks what a person typed for group `number`; blanks, and digits of any script, are understood.
    ///
    /// # Errors
    /// Says whether it was mistyped or is of another code.
    pub fn check_group(&self, number: usize, typed: &str) -> Result<(), GroupError> {
        let expected = number.checked_sub(1).and_then(|index| self.0.get(index));
        let expected = expected.ok_or(GroupError::NoSuchGroup { number })?;
        let digits: Option<Vec<u8>> = typed.chars().filter(|c| !c.is_whitespace()).map(digit_value).collect();
        let digits = digits.filter(|digits| digits.len() == GROUP_DIGITS).ok_or(GroupError::Shape { number })?;
        if damm(&digits) != 0 {
            return Err(GroupError::Mistyped { number });
        }
        if digits == expected { Ok(()) } else { Err(GroupError::OtherCode { number }) }
    }
}

/// The value of an ASCII, Arabic-Indic, extended Arabic-Indic or full-width digit.
fn digit_value(c: char) -> Option<u8> {
    let zero = ['0', '\u{660}', '\u{6f0}', '\u{ff10}']
        .into_iter()
        .find(|zero| (u32::from(*zero)..u32::from(*zero) + 10).contains(&u32::from(c)))?;
    u8::try_from(u32::from(c) - u32::from(zero)).ok()
}

/// Four digits of a digest and their check digit.
fn group_of(digest: &[u8; 32]) -> [u8; GROUP_DIGITS] {
    let number = digest[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % 10_000;
    let digit = |place: u64| u8::try_from(number / place % 10).unwrap_or(0);
    let mut group = [digit(1000), digit(100), digit(10), digit(1), 0];
    group[4] = damm(&group[..4]);
    group
}

/// The quasigroup of Damm's check digit; it catches every wrong digit and every swap of neighbours.
const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

fn damm(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |interim, digit| DAMM[usize::from(interim)][usize::from(*digit)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(agreement: u8) -> PairingCode {
        let cert = |byte| CertId::from_bytes([byte; 32]);
        PairingCode::new(cert(1), cert(2), AgreementId::from_bytes([agreement; 32]))
    }

    #[test]
    fn both_sides_derive_the_same_digits() {
        let cert = |byte| CertId::from_bytes([byte; 32]);
        let swapped = PairingCode::new(cert(2), cert(1), AgreementId::from_bytes([3; 32]));
        assert_eq!(swapped, code(3));
        for number in 1..=GROUPS {
            assert_eq!(code(3).check_group(number, &swapped.group(number).unwrap()), Ok(()));
        }
    }

    #[test]
    fn every_single_wrong_digit_is_called_a_typing_error() {
        let group = code(3).group(4).unwrap();
        for place in 0..GROUP_DIGITS {
            for digit in '0'..='9' {
                let mut typed: Vec<char> = group.chars().collect();
                if typed[place] == digit {
                    continue;
                }
                typed[place] = digit;
                let typed: String = typed.into_iter().collect();
                assert_eq!(code(3).check_group(4, &typed), Err(GroupError::Mistyped { number: 4 }), "{typed}");
            }
        }
    }

    #[test]
    fn another_agreement_gives_another_code() {
        let other = code(9).group(1).unwrap();
        assert_eq!(code(3).check_group(1, &other), Err(GroupError::OtherCode { number: 1 }));
    }

    #[test]
    fn digits_of_other_scripts_and_blanks_are_understood() {
        let group = code(3).group(2).unwrap();
        let arabic: String = group.chars().map(|c| char::from_u32(u32::from(c) - 0x30 + 0x660).unwrap()).collect();
        assert_eq!(code(3).check_group(2, &arabic), Ok(()));
        assert_eq!(code(3).check_group(2, &format!(" {} {}", &group[..2], &group[2..])), Ok(()));
        assert_eq!(code(3).check_group(2, "12a45"), Err(GroupError::Shape { number: 2 }));
        assert_eq!(code(3).check_group(13, "12345"), Err(GroupError::NoSuchGroup { number: 13 }));
    }
}
