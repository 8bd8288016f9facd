//! Receipts: who may sign what for which journal.

use mithaq_core::{
    id::{AgreementId, ReleaseId},
    ledger::{ENTRY_BYTES_MAX, Entry},
    receipt::{
        Journal, RECEIPT_ENTRIES_MAX, Receipt, ReceiptEntry, ReceiptError, SignedReceipt, Status, VerifiedReceipt,
    },
};
use std::time::Duration;

use crate::cast::{cert, now, store, time};

fn journal(owner: u8) -> Journal {
    Journal { owner: cert(owner).card.cert_id(), store: store(owner), agreement: AgreementId::from_bytes([9; 32]) }
}

fn entry(index: u64, status: Status) -> ReceiptEntry {
    ReceiptEntry { index, release: ReleaseId::from_bytes([7; 32]), status }
}

fn entries() -> Vec<ReceiptEntry> {
    vec![entry(3, Status::Held), entry(1, Status::Received), entry(2, Status::Applied)]
}

/// What CERT 2 says of the journal of CERT 1.
fn receipt() -> Receipt {
    Receipt::new(cert(2).card.cert_id(), journal(1), entries(), now()).unwrap()
}

fn signed() -> VerifiedReceipt {
    receipt().sign(&cert(2).signing).unwrap()
}

/// The receipt `receipt` with the signature of [`signed`].
fn with_its_signature(receipt: Receipt) -> SignedReceipt {
    SignedReceipt::new(receipt, signed().signed().key(), *signed().signed().signature())
}

#[test]
fn a_receipt_is_rebuilt_from_what_travels() {
    let travels = signed();
    let verified = with_its_signature(receipt()).verify(&cert(2).card, now()).unwrap();
    assert_eq!(verified, travels);
    let indexes: Vec<_> = verified.receipt().entries().iter().map(|entry| entry.index).collect();
    assert_eq!(indexes, [1, 2, 3], "in whatever order they came");
}

#[test]
fn a_receipt_fits_one_journal_and_one_set_of_entries() {
    let us = cert(2).card.cert_id();
    let check = |journal: Journal, entries: Vec<ReceiptEntry>, at, what: &str| {
        let other = with_its_signature(Receipt::new(us, journal, entries, at).unwrap());
        assert!(matches!(other.verify(&cert(2).card, now()), Err(ReceiptError::Signature)), "{what}");
    };
    let ours = journal(1);
    check(journal(3), entries(), now(), "another CERT's journal");
    check(Journal { store: store(9), ..ours }, entries(), now(), "another store");
    check(Journal { agreement: AgreementId::from_bytes([8; 32]), ..ours }, entries(), now(), "another agreement");
    check(ours, entries(), time("2026-06-01T12:00:00.000001Z"), "another time");
    check(ours, entries()[..2].to_vec(), now(), "fewer entries");
    let mut other = entries();
    other[0].release = ReleaseId::from_bytes([8; 32]);
    check(ours, other, now(), "another release");
    let mut other = entries();
    other[1].status = Status::Applied;
    check(ours, other, now(), "another status");
}

#[test]
fn only_the_one_who_received_signs() {
    let by_another = receipt().sign(&cert(3).signing).unwrap().into_signed();
    assert!(matches!(by_another.clone().verify(&cert(2).card, now()), Err(ReceiptError::Key { .. })));
    assert!(matches!(by_another.verify(&cert(3).card, now()), Err(ReceiptError::Signer { .. })));
    let own = Receipt::new(cert(1).card.cert_id(), journal(1), entries(), now());
    assert!(matches!(own, Err(ReceiptError::Own)));
}

#[test]
fn a_receipt_is_of_its_time() {
    let at = |at| Receipt::new(cert(2).card.cert_id(), journal(1), entries(), at).unwrap().sign(&cert(2).signing);
    let verify = |signed: VerifiedReceipt| signed.into_signed().verify(&cert(2).card, now());
    let ahead = verify(at(now().plus(Duration::from_secs(301))).unwrap());
    assert!(matches!(ahead, Err(ReceiptError::Future { .. })));
    let early = verify(at(time("2025-12-31T00:00:00Z")).unwrap());
    assert!(matches!(early, Err(ReceiptError::Key { .. })));
}

#[test]
fn entries_are_bounded_and_named_once() {
    let new = |entries| Receipt::new(cert(2).card.cert_id(), journal(1), entries, now());
    assert!(matches!(new(Vec::new()), Err(ReceiptError::Count { entries: 0 })));
    let count = RECEIPT_ENTRIES_MAX as u64;
    assert!(matches!(new((1..=count + 1).map(|n| entry(n, Status::Held)).collect()), Err(ReceiptError::Count { .. })));
    assert!(matches!(new(vec![entry(1, Status::Held), entry(1, Status::Held)]), Err(ReceiptError::Order)));
    assert!(matches!(new(vec![entry(0, Status::Held)]), Err(ReceiptError::Order)));
    assert!(matches!(new(vec![entry(1 << 53, Status::Held)]), Err(ReceiptError::Order)));
    let most = (0..count).map(|n| entry((1 << 53) - 1 - n, Status::Received)).collect();
    let largest = Entry::receipt(new(most).unwrap().sign(&cert(2).signing).unwrap()).to_bytes().unwrap();
    assert!(largest.len() <= ENTRY_BYTES_MAX, "{}", largest.len());
}

#[test]
fn a_receipt_in_the_ledger_can_be_checked_by_anyone_with_the_card() {
    let bytes = Entry::receipt(signed()).to_bytes().unwrap();
    let Entry::Receipt(read) = Entry::from_bytes(&bytes).unwrap() else { panic!() };
    assert_eq!(read.verify(&cert(2).card, now()).unwrap(), signed());
    let text = String::from_utf8(bytes).unwrap();
    let check = |from: &str, to: &str| {
        assert_ne!(text.replacen(from, to, 1), text);
        let read = Entry::from_bytes(text.replacen(from, to, 1).as_bytes());
        let verified = read.map(|entry| match entry {
            Entry::Receipt(receipt) => receipt.verify(&cert(2).card, now()).is_ok(),
            _ => panic!(),
        });
        assert!(!verified.unwrap_or(false), "{from} to {to}");
    };
    check("\"held\"", "\"applied\"");
    check("\"held\"", "\"lost\"");
    check("[1,", "[4,");
    check("[1,", "[0,");
    check("mithaq-receipt/1", "mithaq-receipt/2");
    check("\"signature\":\"", "\"signature\":\"00");
    check("ed25519", "none");
}
