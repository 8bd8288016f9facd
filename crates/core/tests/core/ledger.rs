//! Entries, checkpoints, cosignatures, and what one checkpoint says after another.

use mithaq_core::{
    card::VerifiedCard,
    id::{AgreementId, CertId, ReleaseId, TreeHash},
    ledger::{
        Checkpoint, CheckpointError, Cosignature, CosignatureError, Disclosure, Divergence, Entry, EntryProof,
        LocalLedger, Origin, PairHead, Progress, SignedCheckpoint, VerifiedCheckpoint, compare,
    },
    merkle::{self, Frontier},
    time::Time,
};
use std::time::Duration;

use crate::cast::{Cert, cert, dated, details, key, now, store, time};

/// The leaf of release `number`.
fn leaf(number: u64) -> Vec<u8> {
    entry(number).to_bytes().unwrap()
}

fn entry(number: u64) -> Entry {
    let mut id = [0; 32];
    id[24..].copy_from_slice(&number.to_be_bytes());
    Entry::disclosure(ReleaseId::from_bytes(id), AgreementId::from_bytes([9; 32]), now())
}

/// A tree of `size` leaves; from leaf `forked` on they are others.
fn leaves(size: u64, forked: u64) -> Vec<Vec<u8>> {
    (0..size).map(|number| leaf(if number < forked { number } else { number + 1_000 })).collect()
}

fn head(from: &Cert, to: &Cert, seed: u8, leaves: &[Vec<u8>], at: Time) -> Checkpoint {
    let origin = Origin::pair(from.card.cert_id(), to.card.cert_id(), store(seed));
    Checkpoint::new(origin, leaves.len() as u64, merkle::root(leaves), at)
}

fn later(seconds: u64) -> Time {
    now().plus(Duration::from_secs(seconds))
}

/// What `to` makes of a note that came from `from`.
fn received(note: &str, from: &Cert) -> Result<VerifiedCheckpoint, CheckpointError> {
    SignedCheckpoint::parse(note.as_bytes())?.verify(&from.card, now())
}

#[test]
fn entries_are_read_as_they_were_written_and_in_no_other_spelling() {
    let bytes = leaf(7);
    let Entry::Disclosure(Disclosure { rule, at, .. }) = Entry::from_bytes(&bytes).unwrap() else { panic!() };
    assert_eq!((rule, at), (1, now()));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with(r#"{"agreement":"0909"#) && text.contains(r#""schema":"mithaq-ledger/1"}"#), "{text}");
    let check = |changed: String| assert!(Entry::from_bytes(changed.as_bytes()).is_err(), "{changed}");
    check(text.replace("mithaq-ledger/1", "mithaq-ledger/2"));
    check(text.replace(r#""rule":1"#, r#""rule":1.0"#));
    check(text.replace(r#""rule":1"#, r#""extra":0,"rule":1"#));
    check(text.replace(r#""rule":1"#, r#""rule":1,"rule":2"#));
    check(text.replace("disclosure", "receipt"));
    check(text.replace(".000000Z", "Z"));
    check(format!("{text}\n"));
    check(" ".repeat(600 * 1024));
}

#[test]
fn a_checkpoint_is_a_signed_note_that_only_its_signer_makes() {
    let (pk, cn) = (cert(1), cert(2));
    let signed = head(&pk, &cn, 1, &leaves(3, 3), now()).sign(&pk.signing);
    let note = signed.to_string();
    let lines: Vec<_> = note.lines().collect();
    assert_eq!(lines[0], format!("mithaq.ledger/{}/{}/{}", pk.card.cert_id(), cn.card.cert_id(), "01".repeat(16)));
    assert_eq!((lines[1], lines[3], lines[4]), ("3", "at 2026-06-01T12:00:00.000000Z", ""));
    assert!(lines[5].starts_with(&format!("\u{2014} {} ", pk.card.cert_id())));
    assert_eq!(received(&note, &pk).unwrap(), signed);

    assert!(matches!(received(&note, &cn), Err(CheckpointError::Signer { .. })));
    for place in 0..note.len() {
        let mut changed = note.clone().into_bytes();
        changed[place] ^= 1;
        if let Ok(text) = String::from_utf8(changed) {
            assert!(received(&text, &pk).is_err(), "byte {place}: {text}");
        }
    }
    let by_another = head(&pk, &cn, 1, &leaves(3, 3), now()).sign(&cn.signing);
    assert!(matches!(received(&by_another.to_string(), &pk), Err(CheckpointError::Unsigned { .. })));
    let ahead = head(&pk, &cn, 1, &leaves(3, 3), later(301)).sign(&pk.signing);
    assert!(matches!(received(&ahead.to_string(), &pk), Err(CheckpointError::Future { .. })));
    let early = head(&pk, &cn, 1, &leaves(3, 3), time("2025-12-31T23:59:59Z")).sign(&pk.signing);
    assert!(
        matches!(received(&early.to_string(), &pk), Err(CheckpointError::Unsigned { .. })),
        "the key was not valid"
    );
}

#[test]
fn a_checkpoint_has_one_spelling() {
    let (pk, cn) = (cert(1), cert(2));
    let note = head(&pk, &cn, 1, &leaves(3, 3), now()).sign(&pk.signing).to_string();
    let check = |from: &str, to: &str| {
        assert_ne!(note.replacen(from, to, 1), note);
        let refused = SignedCheckpoint::parse(note.replacen(from, to, 1).as_bytes());
        assert!(matches!(refused, Err(CheckpointError::Text { .. } | CheckpointError::Note(_))), "{from:?} to {to:?}");
    };
    check("\n3\n", "\n03\n");
    check("\n3\n", "\n+3\n");
    check("\n3\n", "\n9007199254740992\n");
    check("\n3\n", "\n18446744073709551616\n");
    check(".000000Z", "Z");
    check("at ", "At ");
    check("mithaq.ledger/", "other.ledger/");
    check("/0101", "/local/0101");
    check("=\n", "\n");
    check(".000000Z\n", ".000000Z\n\n");
    check(".000000Z\n", &format!(".000000Z\n{}", "more\n".repeat(9)));
    check(".000000Z\n", &format!(".000000Z\n{}\n", "x".repeat(513)));
    check(".000000Z\n", ".000000Z\n\u{202e}\n");
    let to_itself = Origin::pair(pk.card.cert_id(), pk.card.cert_id(), store(1)).to_string();
    assert!(to_itself.parse::<Origin>().is_err());
}

#[test]
fn unknown_lines_and_signatures_do_no_harm() {
    let (pk, cn) = (cert(1), cert(2));
    let signed = head(&pk, &cn, 1, &leaves(3, 3), now()).sign(&pk.signing);
    let strange = format!("{signed}\u{2014} someone.example/else AAAAAAAA\n\u{2014} {} AAAAAAAA\n", pk.card.cert_id());
    let verified = received(&strange, &pk).unwrap();
    assert_eq!(verified.to_string(), signed.to_string(), "only what was checked is kept");
    // A line of ours that does not fit is no stranger's.
    let lines: Vec<_> = signed.note().text().lines().collect();
    let other = head(&pk, &cn, 1, &leaves(2, 2), now()).sign(&pk.signing).to_string();
    let mixed = format!("{}\n\n{}\n", lines.join("\n"), other.lines().last().unwrap());
    assert!(matches!(received(&mixed, &pk), Err(CheckpointError::Signature)));
}

#[test]
fn who_was_disclosed_to_cosigns_and_nobody_else() {
    let (pk, cn, qa) = (cert(1), cert(2), cert(3));
    let mut signed = head(&pk, &cn, 1, &leaves(3, 3), now()).sign(&pk.signing);
    let cosignature = signed.cosign(cn.card.cert_id(), &cn.signing, later(2)).unwrap();
    let line = cosignature.to_string();
    let read: Cosignature = line.parse().unwrap();
    assert_eq!(read, cosignature);
    let verified = signed.verify_cosignature(&read, &cn.card, now()).unwrap();
    assert_eq!((verified.by(), verified.at()), (cn.card.cert_id(), later(2)));

    let strangers = signed.cosign(qa.card.cert_id(), &qa.signing, now());
    assert!(matches!(strangers, Err(CosignatureError::Stranger { .. })));
    assert!(matches!(signed.verify_cosignature(&read, &qa.card, now()), Err(CosignatureError::Stranger { .. })));
    let with_another_key = signed.cosign(cn.card.cert_id(), &qa.signing, now()).unwrap();
    let refused = signed.verify_cosignature(&with_another_key, &cn.card, now());
    assert!(matches!(refused, Err(CosignatureError::Key { .. })));
    let ahead = signed.cosign(cn.card.cert_id(), &cn.signing, later(301)).unwrap();
    assert!(matches!(signed.verify_cosignature(&ahead, &cn.card, now()), Err(CosignatureError::Future { .. })));
    let other = head(&pk, &cn, 1, &leaves(4, 4), now()).sign(&pk.signing);
    assert_eq!(other.verify_cosignature(&read, &cn.card, now()), Err(CosignatureError::Signature));
    for broken in ["", "\u{2014} name AAAAAAAA", &line.replace('\u{2014}', "-"), &format!("{line}\n")] {
        assert_eq!(broken.parse::<Cosignature>(), Err(CosignatureError::Line), "{broken:?}");
    }

    signed.add_cosignature(&read, &cn.card, now()).unwrap();
    signed.add_cosignature(&read, &cn.card, now()).unwrap();
    assert_eq!(signed.cosigned_at(), Some(later(2)));
    let whole = SignedCheckpoint::parse(signed.to_string().as_bytes()).unwrap();
    assert_eq!(whole.note().signatures().len(), 2, "one of each");
    assert_eq!(whole.cosignatures().collect::<Vec<_>>(), [cosignature]);
    assert!(whole.verify(&pk.card, now()).unwrap().cosigned_at().is_none(), "a cosignature is checked by itself");
}

#[test]
fn a_cosigner_with_many_keys_does_not_make_the_note_unreadable() {
    let pk = cert(1);
    let mut many = details(2);
    many.signing_keys = (1..=40).map(|seed| dated(&key(seed))).collect();
    let cn = VerifiedCard::sign(&key(2), many).unwrap();
    let origin = Origin::pair(pk.card.cert_id(), cn.cert_id(), store(1));
    let mut signed = Checkpoint::new(origin, 0, merkle::root::<&[u8]>(&[]), now()).sign(&pk.signing);
    for seed in 1..=40 {
        let cosignature = signed.cosign(cn.cert_id(), &key(seed), now()).unwrap();
        signed.add_cosignature(&cosignature, &cn, now()).unwrap();
    }
    assert_eq!(received(&signed.to_string(), &pk).unwrap().checkpoint(), signed.checkpoint());
    assert_eq!(signed.note().signatures().len(), 2);
}

#[test]
fn a_signature_and_a_cosignature_by_one_key_are_told_apart() {
    let (pk, cn) = (cert(1), cert(2));
    let signed = head(&pk, &cn, 1, &leaves(3, 3), now()).sign(&pk.signing);
    let line = signed.to_string().lines().last().unwrap().to_owned();
    assert!(line.parse::<Cosignature>().is_err(), "it has another length");
    // What a checkpoint's signer signs is never what a cosigner signs, nor a document of another kind.
    assert!(signed.note().text().starts_with("mithaq.ledger/"));
}

/// Compares the heads of two trees, of which the second comes with the proof that an honest keeper of it makes.
fn check(held: (u64, u64, u8), new: (u64, u64, u8), expect: Result<Progress, Divergence>) {
    let (pk, cn) = (cert(1), cert(2));
    let trees = [held, new].map(|(size, forked, _)| leaves(size, forked));
    let [held, new] = [(&trees[0], held.2), (&trees[1], new.2)]
        .map(|(leaves, seed)| head(&pk, &cn, seed, leaves, now()).sign(&pk.signing));
    let proof = proof(&trees[1], trees[0].len() as u64);
    assert_eq!(compare(held.checkpoint(), &new, &proof), expect);
}

/// The consistency proof from the definition of RFC 6962, section 2.1.2.
fn proof(leaves: &[Vec<u8>], old: u64) -> Vec<[u8; 32]> {
    struct Whole<'a>(&'a [Vec<u8>]);
    impl merkle::nodes::Nodes for Whole<'_> {
        type Error = ();
        fn node(&self, level: u8, index: u64) -> Result<[u8; 32], ()> {
            let (width, index) = (1_usize << level, usize::try_from(index).map_err(drop)?);
            let leaves = self.0.get(index * width..(index + 1) * width).ok_or(())?;
            Ok(*merkle::root(leaves).as_bytes())
        }
    }
    merkle::nodes::consistency_proof(&Whole(leaves), old, leaves.len() as u64).unwrap().unwrap_or_default()
}

#[test]
fn a_ledger_goes_on_or_is_caught() {
    check((5, 9, 1), (5, 9, 1), Ok(Progress::Same));
    check((5, 9, 1), (8, 9, 1), Ok(Progress::Grown { leaves: 3 }));
    check((0, 9, 1), (8, 9, 1), Ok(Progress::Grown { leaves: 8 }));
    check((5, 9, 1), (4, 9, 1), Err(Divergence::Rollback { held: 5, new: 4 }));
    check((5, 9, 1), (0, 9, 1), Err(Divergence::Rollback { held: 5, new: 0 }));
    check((5, 9, 1), (5, 4, 1), Err(Divergence::Fork { size: 5 }));
    check((5, 9, 1), (8, 4, 1), Err(Divergence::BadProof { held: 5, new: 8 }));
    check((5, 9, 1), (8, 0, 1), Err(Divergence::BadProof { held: 5, new: 8 }));
    check((5, 9, 1), (8, 5, 1), Ok(Progress::Grown { leaves: 3 }));
    check((5, 9, 1), (3, 0, 2), Ok(Progress::NewLedger));
}

#[test]
fn ledgers_of_other_pairs_are_not_compared() {
    let (pk, cn, qa) = (cert(1), cert(2), cert(3));
    let tree = leaves(2, 2);
    let held = head(&pk, &cn, 1, &tree, now()).sign(&pk.signing);
    for other in [head(&pk, &qa, 1, &tree, now()).sign(&pk.signing), head(&cn, &pk, 1, &tree, now()).sign(&cn.signing)]
    {
        assert_eq!(compare(held.checkpoint(), &other, &[]), Err(Divergence::Unrelated));
    }
    let local = LocalLedger::new(pk.card.cert_id(), store(1)).checkpoint(now()).unwrap().sign(&pk.signing);
    assert_eq!(compare(local.checkpoint(), &local, &[]), Err(Divergence::Unrelated));
}

#[test]
fn a_checkpoint_never_goes_back_in_time() {
    let (pk, cn) = (cert(1), cert(2));
    let first = head(&pk, &cn, 1, &leaves(2, 2), later(60));
    assert_eq!(first.successor(3, first.root, now()).at, later(60));
    assert_eq!(first.successor(3, first.root, later(61)).at, later(61));
}

#[test]
fn an_old_key_still_proves_what_it_signed_in_its_time() {
    let (root, cn) = (key(1), cert(2));
    let mut two_keys = details(1);
    two_keys.signing_keys[0].not_after = now();
    two_keys.signing_keys.push(dated(&key(150)));
    let card = VerifiedCard::sign(&root, two_keys).unwrap();
    let origin = Origin::pair(card.cert_id(), cn.card.cert_id(), store(1));
    let at = |seed, at| Checkpoint::new(origin, 0, merkle::root::<&[u8]>(&[]), at).sign(&key(seed)).to_string();
    let verify = |note: String| SignedCheckpoint::parse(note.as_bytes()).unwrap().verify(&card, later(60)).is_ok();
    assert!(verify(at(101, now())));
    assert!(!verify(at(101, later(1))));
    assert!(verify(at(150, later(1))));
}

#[test]
fn an_entry_is_proven_with_a_card_and_nothing_else() {
    let (pk, cn) = (cert(1), cert(2));
    let tree = leaves(6, 6);
    let note = head(&pk, &cn, 1, &tree, now()).sign(&pk.signing).to_string();
    let proof = |index: usize, leaf: &[u8]| EntryProof {
        index: index as u64,
        leaf: leaf.to_vec(),
        path: merkle::inclusion_proof(&tree, index).unwrap(),
        checkpoint: SignedCheckpoint::parse(note.as_bytes()).unwrap(),
    };
    let proven = proof(4, &leaf(4)).verify(&pk.card, now()).unwrap();
    assert_eq!(*proven.entry(), entry(4));
    assert_eq!(proven.checkpoint().checkpoint().size, 6);
    assert!(proof(4, &leaf(5)).verify(&pk.card, now()).is_err());
    assert!(proof(4, &leaf(4)).verify(&cn.card, now()).is_err());
    let mut moved = proof(4, &leaf(4));
    moved.index = 3;
    assert!(moved.verify(&pk.card, now()).is_err());
}

#[test]
fn the_local_ledger_names_every_tree() {
    let pk = cert(1);
    let us = pk.card.cert_id();
    let mut ledger = LocalLedger::new(us, store(1));
    let pair = |seed: u8, size| PairHead {
        peer: CertId::from_bytes([seed; 32]),
        store: store(1),
        size,
        root: TreeHash::from_bytes([seed; 32]),
    };
    for head in [pair(3, 30), pair(2, 20), pair(3, 31)] {
        ledger.set(head).unwrap();
    }
    assert_eq!(ledger.heads().map(|head| head.size).collect::<Vec<_>>(), [20, 31]);
    let note = ledger.checkpoint(now()).unwrap().sign(&pk.signing);
    assert_eq!(note.checkpoint().origin.to_string(), format!("mithaq.ledger/{us}/local/{}", store(1)));
    ledger.check(&note).unwrap();

    let bytes = ledger.to_bytes().unwrap();
    let read = LocalLedger::from_bytes(us, store(1), &bytes).unwrap();
    assert_eq!(read, ledger);
    let text = String::from_utf8(bytes).unwrap();
    let edited = LocalLedger::from_bytes(us, store(1), text.replace("31", "32").as_bytes()).unwrap();
    assert!(edited.check(&note).is_err(), "another size");
    assert!(LocalLedger::from_bytes(us, store(2), text.as_bytes()).unwrap().check(&note).is_err(), "another store");
    let mut without = LocalLedger::new(us, store(1));
    without.set(pair(3, 31)).unwrap();
    assert!(without.check(&note).is_err(), "a tree that vanished");
    let twice = text.replace('2', "3");
    for broken in ["", "{}", &format!("{text} "), &twice, &" ".repeat(2 << 20)] {
        assert!(LocalLedger::from_bytes(us, store(1), broken.as_bytes()).is_err());
    }
}

#[test]
fn what_a_frontier_says_is_what_is_signed() {
    let (pk, cn) = (cert(1), cert(2));
    let mut frontier = Frontier::new();
    let tree = leaves(11, 11);
    for leaf in &tree {
        let _completed = frontier.push(leaf);
    }
    let signed = head(&pk, &cn, 1, &tree, now()).sign(&pk.signing);
    assert_eq!((frontier.size(), frontier.root()), (signed.checkpoint().size, signed.checkpoint().root));
}
