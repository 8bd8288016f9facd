//! The committed vectors of the ledger: entries, trees, checkpoints, cosignatures, receipts and evidence.

use mithaq_core::{
    canonical,
    evidence::{Evidence, Noticed},
    id::{AgreementId, CertId, ReleaseId, TreeHash, to_hex},
    keys::SecretKey,
    ledger::{Checkpoint, Entry, LocalLedger, Origin, PairHead, VerifiedCheckpoint},
    merkle::{
        Completed, Frontier,
        nodes::{Nodes, completing_leaf, consistency_proof, inclusion_proof},
    },
    receipt::{Journal, RECEIPT_TYPE, Receipt, ReceiptEntry, Status, VerifiedReceipt},
    time::Time,
};
use serde_json::{Value, json};
use std::time::Duration;

use crate::{
    cast::{Cert, cert, now, store},
    vectors::{check, document, seed_of, text},
};

fn second(number: u64) -> Time {
    now().plus(Duration::from_secs(number))
}

fn agreement() -> AgreementId {
    AgreementId::from_bytes([0xa9; 32])
}

fn release(number: u8) -> ReleaseId {
    ReleaseId::from_bytes([number; 32])
}

/// What CERT 2 says of the first releases that CERT 1 let it have.
fn receipt() -> VerifiedReceipt {
    let journal = Journal { owner: cert(1).card.cert_id(), store: store(1), agreement: agreement() };
    let entry = |index: u8, status| ReceiptEntry { index: index.into(), release: release(0x0f + index), status };
    let entries = vec![entry(1, Status::Received), entry(2, Status::Applied), entry(3, Status::Held)];
    let receipt = Receipt::new(cert(2).card.cert_id(), journal, entries, second(3)).unwrap();
    receipt.sign(&cert(2).signing).unwrap()
}

/// Six disclosures and a receipt.
fn leaves() -> Vec<Vec<u8>> {
    let mut entries: Vec<_> =
        (0..6_u8).map(|n| Entry::disclosure(release(0x10 + n), agreement(), second(n.into()))).collect();
    entries.insert(3, Entry::receipt(receipt()));
    entries.iter().map(|entry| entry.to_bytes().unwrap()).collect()
}

/// A tree as a store keeps it.
struct Kept {
    frontier: Frontier,
    completed: Vec<Completed>,
}

impl Kept {
    fn of(leaves: &[Vec<u8>]) -> Self {
        let mut frontier = Frontier::new();
        let completed = leaves.iter().map(|leaf| frontier.push(leaf)).collect();
        Self { frontier, completed }
    }
}

impl Nodes for Kept {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], ()> {
        let leaf = usize::try_from(completing_leaf(level, index)).map_err(drop)?;
        self.completed.get(leaf).and_then(|hashes| hashes.get(usize::from(level))).copied().ok_or(())
    }
}

fn hex(hashes: &[[u8; 32]]) -> Vec<String> {
    hashes.iter().map(|hash| to_hex(hash)).collect()
}

/// A signer as a checker needs it; the commands are tried with its card.
fn signer(cert: &Cert) -> Value {
    let key: &SecretKey = &cert.signing;
    let card = serde_json::to_value(cert.card.envelope()).unwrap();
    json!({ "cert_id": cert.card.cert_id(), "card": card, "seed": to_hex(&seed_of(key)), "public": key.public() })
}

/// The head of CERT 1's ledger of what it disclosed to CERT 2.
fn head(size: u64, root: TreeHash, at: Time) -> VerifiedCheckpoint {
    let (from, to) = (cert(1), cert(2));
    let origin = Origin::pair(from.card.cert_id(), to.card.cert_id(), store(1));
    Checkpoint::new(origin, size, root, at).sign(&from.signing)
}

#[test]
fn ledgers() {
    let leaves = leaves();
    let kept = Kept::of(&leaves);
    let size = kept.frontier.size();
    let roots: Vec<_> = (0..=leaves.len()).map(|n| Kept::of(&leaves[..n]).frontier.root()).collect();
    let inclusion: Vec<_> =
        (0..size).map(|index| hex(&inclusion_proof(&kept, index, size).unwrap().unwrap())).collect();
    let consistency: Vec<_> =
        (0..=size).map(|old| hex(&consistency_proof(&kept, old, size).unwrap().unwrap())).collect();

    let mut checkpoint = head(size, kept.frontier.root(), second(7));
    let text_of_note = checkpoint.note().text().to_owned();
    let cosignature = checkpoint.cosign(cert(2).card.cert_id(), &cert(2).signing, second(8)).unwrap();
    checkpoint.add_cosignature(&cosignature, &cert(2).card, now()).unwrap();
    let vector = json!({
        "signer": signer(&cert(1)),
        "cosigner": signer(&cert(2)),
        "entries": leaves.iter().map(|leaf| text(leaf)).collect::<Vec<_>>(),
        "roots": roots,
        "inclusion": inclusion,
        "consistency": consistency,
        "text": text_of_note,
        "cosigned_at": second(8).as_micros() / 1_000_000,
        "note": checkpoint.to_string(),
        "frontier": to_hex(&kept.frontier.to_bytes()),
    });
    check("ledger.json", &vector);
}

#[test]
fn local_ledgers() {
    let us = cert(1);
    let mut ledger = LocalLedger::new(us.card.cert_id(), store(1));
    for (peer, size) in [(3, 30), (2, 20), (4, 0)] {
        let root = TreeHash::from_bytes([peer; 32]);
        ledger.set(PairHead { peer: CertId::from_bytes([peer; 32]), store: store(1), size, root }).unwrap();
    }
    let note = ledger.checkpoint(second(9)).unwrap().sign(&us.signing);
    let vector = json!({
        "signer": signer(&us),
        "heads": text(&ledger.to_bytes().unwrap()),
        "text": note.note().text(),
        "note": note.to_string(),
    });
    check("local-ledger.json", &vector);
}

#[test]
fn receipts() {
    let receipt = receipt();
    let whole = serde_json::to_value(receipt.signed()).unwrap();
    let payload = canonical::to_vec(&whole["receipt"]).unwrap();
    let mut vector = document(&cert(2).signing, RECEIPT_TYPE, &payload);
    assert_eq!(vector["signature"], whole["signature"]);
    vector["whole"] = whole;
    check("receipt.json", &vector);
}

#[test]
fn evidence() {
    let root = |byte| TreeHash::from_bytes([byte; 32]);
    let noticed = Noticed { by: cert(2).card.cert_id(), at: second(20) };
    let found = [
        (head(5, root(1), second(1)), head(5, root(2), second(2))),
        (head(5, root(1), second(1)), head(4, root(2), second(2))),
    ]
    .map(|(a, b)| {
        let evidence = Evidence::of_checkpoints(&cert(1).card, &a, &b, noticed).unwrap();
        json!({ "name": evidence.name().unwrap(), "text": text(&evidence.to_json().unwrap()) })
    });
    check("evidence.json", &json!({ "signer": signer(&cert(1)), "found": found }));
}
