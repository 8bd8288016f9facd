//! The pairing code: what people may mistype, and what an attacker may not.

use mithaq_core::{
    id::{AgreementId, CertId},
    pairing::{GROUP_DIGITS, GROUPS, GroupError, PairingCode},
};
use proptest::prelude::*;

fn code(a: u8, b: u8, agreement: u8) -> PairingCode {
    let cert = |byte| CertId::from_bytes([byte; 32]);
    PairingCode::new(cert(a), cert(b), AgreementId::from_bytes([agreement; 32]))
}

#[test]
fn another_key_or_other_terms_change_nearly_every_group() {
    for other in [code(9, 2, 3), code(1, 9, 3), code(1, 2, 9)] {
        let same = (1..=GROUPS).filter(|number| code(1, 2, 3).group(*number) == other.group(*number));
        assert!(same.count() <= 1);
    }
}

#[test]
fn what_is_typed_is_five_digits() {
    let good = code(1, 2, 3).group(1).unwrap();
    let check = |typed: &str, expect: Result<(), GroupError>| {
        assert_eq!(code(1, 2, 3).check_group(1, typed), expect, "{typed:?}");
    };
    check(&good, Ok(()));
    check(&format!("\t{good}\u{2003}"), Ok(()));
    for typed in ["", "1234", "123456", "y", "-1234", "+1234", "1２３４x", "𝟏𝟐𝟑𝟒𝟓", &"1".repeat(100_000)]
    {
        check(typed, Err(GroupError::Shape { number: 1 }));
    }
    for number in [0, GROUPS + 1, usize::MAX] {
        assert_eq!(code(1, 2, 3).check_group(number, &good), Err(GroupError::NoSuchGroup { number }));
        assert_eq!(code(1, 2, 3).group(number), None);
    }
}

proptest! {
    #[test]
    fn swapped_neighbours_are_called_a_typing_error(agreement: u8, number in 1..=GROUPS, at in 0..GROUP_DIGITS - 1) {
        let code = code(1, 2, agreement);
        let mut typed: Vec<char> = code.group(number).unwrap().chars().collect();
        typed.swap(at, at + 1);
        let is_same = typed[at] == typed[at + 1];
        let typed: String = typed.into_iter().collect();
        let expect = if is_same { Ok(()) } else { Err(GroupError::Mistyped { number }) };
        prop_assert_eq!(code.check_group(number, &typed), expect);
    }

    #[test]
    fn nothing_that_is_typed_panics(typed: String, number: usize) {
        let _ = code(1, 2, 3).check_group(number, &typed);
    }
}
