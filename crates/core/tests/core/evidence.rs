//! Evidence: what proves that a CERT contradicted itself, and what does not.

use mithaq_core::{
    card::VerifiedCard,
    evidence::{self, Evidence, EvidenceError, Kind, Noticed, VerifiedEvidence},
    id::TreeHash,
    ledger::{Checkpoint, LocalLedger, Origin, VerifiedCheckpoint},
    time::Time,
};
use std::time::Duration;

use crate::cast::{cert, dated, details, key, now, store};

fn noticed() -> Noticed {
    Noticed { by: cert(2).card.cert_id(), at: now() }
}

/// A checkpoint of CERT 1 for CERT 2: a size, a root and the second in which it was signed.
fn checkpoint(size: u64, root: u8, second: u64) -> VerifiedCheckpoint {
    in_store(1, size, root, second)
}

fn in_store(seed: u8, size: u64, root: u8, second: u64) -> VerifiedCheckpoint {
    let origin = Origin::pair(cert(1).card.cert_id(), cert(2).card.cert_id(), store(seed));
    let at = now().plus(Duration::from_secs(second));
    Checkpoint::new(origin, size, TreeHash::from_bytes([root; 32]), at).sign(&cert(1).signing)
}

fn fork() -> VerifiedEvidence {
    Evidence::of_checkpoints(&cert(1).card, &checkpoint(5, 1, 0), &checkpoint(5, 2, 1), noticed()).unwrap()
}

#[test]
fn two_histories_of_one_length_and_a_shorter_later_one_are_proof() {
    let check = |a: &VerifiedCheckpoint, b: &VerifiedCheckpoint, expect| {
        assert_eq!(evidence::checkpoints(a, b), expect);
        assert_eq!(evidence::checkpoints(b, a), expect, "in the other order");
        let kind = Evidence::of_checkpoints(&cert(1).card, a, b, noticed()).map(|found| found.evidence().kind);
        assert_eq!(kind, expect);
    };
    check(&checkpoint(5, 1, 0), &checkpoint(5, 2, 0), Some(Kind::CheckpointFork));
    check(&checkpoint(5, 1, 0), &checkpoint(4, 2, 1), Some(Kind::LedgerRollback));
    check(&checkpoint(5, 1, 0), &checkpoint(5, 1, 9), None);
    check(&checkpoint(4, 2, 0), &checkpoint(5, 1, 1), None);
    // Signed in one microsecond, each may be the later one.
    check(&checkpoint(4, 2, 0), &checkpoint(5, 1, 0), None);
    // A restored store has a ledger of its own.
    check(&checkpoint(5, 1, 0), &in_store(2, 5, 2, 0), None);
    check(&checkpoint(5, 1, 0), &in_store(2, 4, 2, 1), None);
}

#[test]
fn a_local_ledger_may_shrink() {
    let local = |second| {
        let at = now().plus(Duration::from_secs(second));
        LocalLedger::new(cert(1).card.cert_id(), store(1)).checkpoint(at).unwrap()
    };
    let mut other = local(1);
    other.root = TreeHash::from_bytes([5; 32]);
    let [a, b] = [local(0), other].map(|checkpoint| checkpoint.sign(&cert(1).signing));
    assert_eq!(evidence::checkpoints(&a, &b), None);
}

#[test]
fn two_cards_of_one_serial_are_proof_and_no_others() {
    let card = |change: fn(&mut mithaq_core::card::CardDetails)| {
        let mut details = details(1);
        change(&mut details);
        VerifiedCard::sign(&key(1), details).unwrap()
    };
    let (first, same) = (card(|_| ()), card(|_| ()));
    let renamed = card(|details| details.name.push('!'));
    let newer = card(|details| details.serial = 2);
    assert_eq!(evidence::cards(&first, &renamed), Some(Kind::CardEquivocation));
    assert_eq!(evidence::cards(&first, &same), None);
    assert_eq!(evidence::cards(&first, &newer), None);
    assert_eq!(evidence::cards(&first, &cert(2).card), None);

    let found = Evidence::of_cards(&first, &renamed, noticed()).unwrap();
    let read = Evidence::from_json(&found.to_json().unwrap()).unwrap();
    assert_eq!(read.verify(&newer).unwrap(), found, "any card of the CERT will do");
}

#[test]
fn anyone_with_the_card_checks_it_and_nobody_forges_it() {
    let text = fork().to_json().unwrap();
    assert_eq!(Evidence::from_json(&text).unwrap().verify(&cert(1).card).unwrap(), fork());
    let others = Evidence::from_json(&text).unwrap().verify(&cert(2).card);
    assert!(matches!(others, Err(EvidenceError::Accused { .. })));

    let text = String::from_utf8(text).unwrap();
    let verify = |text: String| Evidence::from_json(text.as_bytes()).and_then(|read| read.verify(&cert(1).card));
    let check = |from: &str, to: &str| {
        assert_ne!(text.replace(from, to), text);
        assert!(verify(text.replace(from, to)).is_err(), "{from} to {to}");
    };
    check("checkpoint-fork", "ledger-rollback");
    check("checkpoint-fork", "unknown");
    check("\\n5\\n", "\\n6\\n");
    check("mithaq-evidence/1", "mithaq-evidence/2");
    check("12:00:01.000000Z\\n", "12:00:02.000000Z\\n");
    check(&cert(1).card.cert_id().to_string(), &cert(3).card.cert_id().to_string());
    check("{\"accused\"", "{ \"accused\"");
    let same = checkpoint(5, 1, 0).to_string().replace('\n', "\\n");
    check(&checkpoint(5, 2, 1).to_string().replace('\n', "\\n"), &same);
    let size = 2 << 20;
    assert!(matches!(Evidence::from_json(&vec![b' '; size]), Err(EvidenceError::TooLarge { .. })));
}

#[test]
fn evidence_outlives_the_key_that_it_is_about() {
    let mut rotated = details(1);
    rotated.serial = 2;
    rotated.signing_keys = vec![dated(&key(150))];
    let newer = VerifiedCard::sign(&key(1), rotated).unwrap();
    assert!(Evidence::from_json(&fork().to_json().unwrap()).unwrap().verify(&newer).is_ok());
}

#[test]
fn what_is_noticed_twice_has_one_name() {
    let again = |a: &VerifiedCheckpoint, b: &VerifiedCheckpoint, at: Time| {
        let noticed = Noticed { at, ..noticed() };
        Evidence::of_checkpoints(&cert(1).card, a, b, noticed).unwrap().name().unwrap()
    };
    let (a, b) = (checkpoint(5, 1, 0), checkpoint(5, 2, 1));
    let name = again(&a, &b, now());
    assert!(name.starts_with(&format!("checkpoint-fork-{}-", cert(1).card.cert_id().fmt_short())), "{name}");
    assert_eq!(again(&b, &a, now().plus(Duration::from_secs(9))), name);
    assert_ne!(again(&a, &checkpoint(5, 3, 1), now()), name);
}
