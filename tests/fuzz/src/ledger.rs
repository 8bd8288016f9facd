//! What stands in ledgers, and what is signed of them.

use mithaq_api::http::LedgerProof;
use mithaq_core::{
    canonical,
    id::{StoreId, to_hex},
    ledger::{Cosignature, Entry, EntryProof, LocalLedger, SignedCheckpoint},
    merkle::Frontier,
    receipt::{RECEIPT_TYPE, SignedReceipt},
};

use crate::cast::{ONE, TWO, now};

/// Entries: a leaf that is read is written again to the same bytes, since they are what the tree hashes. So are a ledger's
/// right edge and the local ledger.
pub fn ledger_entry(data: &[u8]) {
    if let Ok(mut frontier) = Frontier::from_bytes(data) {
        assert_eq!(frontier.to_bytes(), data);
        let size = frontier.size();
        let _ = frontier.push(data);
        assert_eq!(frontier.size(), size + 1);
    }
    if let Ok(entry) = Entry::from_bytes(data) {
        assert_eq!(entry.to_bytes().unwrap(), data);
        let _ = entry.at();
    }
    let store = StoreId::from_bytes([1; 16]);
    if let Ok(local) = LocalLedger::from_bytes(ONE.card.cert_id(), store, data) {
        assert_eq!(local.to_bytes().unwrap(), data);
        let _ = local.checkpoint(now()).map(|checkpoint| local.check(&checkpoint.sign(&ONE.signing)).unwrap());
    }
}

/// Receipts: as they rest, and as what is signed of them.
pub fn receipt(data: &[u8]) {
    if let Ok(receipt) = canonical::from_slice::<SignedReceipt>(data) {
        one_receipt(receipt, data);
    }
    let signature = to_hex(TWO.signing.sign(RECEIPT_TYPE, data).as_bytes());
    let whole = [br#"{"receipt":"#, data, br#","signature":""#, signature.as_bytes(), br#""}"#].concat();
    if let Ok(receipt) = canonical::from_slice::<SignedReceipt>(&whole) {
        one_receipt(receipt, &whole);
    }
}

fn one_receipt(receipt: SignedReceipt, data: &[u8]) {
    assert_eq!(canonical::to_vec(&receipt).unwrap(), data);
    if let Ok(verified) = receipt.clone().verify(&TWO.card, now()) {
        let said = verified.receipt();
        assert_eq!(said.from(), TWO.card.cert_id());
        assert!(said.journal().owner != said.from() && !said.entries().is_empty());
        assert!(said.entries().is_sorted_by(|a, b| a.index < b.index));
        assert!(receipt.verify(&ONE.card, now()).is_err(), "it is another's as well");
    }
}

/// Checkpoints and cosignatures: a note that is read is written and read again as the same, and so is each line.
pub fn checkpoint(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(line) = text.parse::<Cosignature>() {
        assert_eq!(line.to_string().parse::<Cosignature>().as_ref(), Ok(&line));
    }
    let Ok(read) = SignedCheckpoint::parse(data) else { return };
    let written = read.note().to_string();
    assert_eq!(SignedCheckpoint::parse(written.as_bytes()).unwrap(), read);
    assert_eq!(read.checkpoint().text(), read.note().text());
    let lines: Vec<Cosignature> = read.cosignatures().collect();
    let Ok(mut verified) = read.clone().verify(&ONE.card, now()) else { return };
    assert!(read.verify(&TWO.card, now()).is_err(), "it is another's as well");
    for line in lines {
        if let Ok(by) = verified.add_cosignature(&line, &TWO.card, now()) {
            assert_eq!((by.by(), verified.cosigned_at()), (TWO.card.cert_id(), Some(by.at())));
        }
    }
    let again = SignedCheckpoint::parse(verified.to_string().as_bytes()).unwrap();
    assert_eq!(again.checkpoint(), verified.checkpoint());
}

/// Proof files: what is proven is an entry of the tree that the note names.
pub fn proof(data: &[u8]) {
    let Ok(file) = serde_json::from_slice::<LedgerProof>(data) else { return };
    let again = serde_json::to_vec(&file).unwrap();
    assert_eq!(serde_json::from_slice::<LedgerProof>(&again).unwrap(), file);
    let Ok(checkpoint) = SignedCheckpoint::parse(file.checkpoint.as_bytes()) else { return };
    let path = file.path.iter().map(|hash| *hash.as_bytes()).collect();
    let proof = EntryProof { index: file.index, leaf: file.entry.clone().into_bytes(), path, checkpoint };
    if let Ok(proven) = proof.verify(&ONE.card, now()) {
        assert_eq!(proven.entry().to_bytes().unwrap(), file.entry.as_bytes());
        assert!(file.index < proven.checkpoint().checkpoint().size);
    }
}
