//! Proof files: reading one, and checking it with nothing but cards.

use mithaq_api::{
    home::with_sources,
    http::{LEDGER_PROOF_SCHEMA, LedgerProof},
};
use mithaq_core::{
    card::VerifiedCard,
    ledger::{
        Cosignature, CosignatureError, ENTRY_BYTES_MAX, Entry, EntryProof, NOTE_BYTES_MAX, SignedCheckpoint,
        VerifiedCheckpoint,
    },
    time::Time,
};

use crate::failure::Failure;

/// The most bytes of a proof file: an entry and a note, with what JSON escapes of them.
pub(super) const PROOF_BYTES_MAX: usize = 2 * (ENTRY_BYTES_MAX + NOTE_BYTES_MAX);

/// A proof that holds.
pub(super) struct Proven {
    /// The entry's number.
    pub(super) index: u64,
    /// The entry.
    pub(super) entry: Entry,
    /// The head of the ledger that has it; cosigned if the peer's card was at hand and the cosignature fits.
    pub(super) checkpoint: VerifiedCheckpoint,
}

/// Reads a proof file; `file` names it in messages.
pub(super) fn read(text: &[u8], file: &str) -> Result<LedgerProof, Failure> {
    let refused = |problem| Failure::Proof { file: file.to_owned(), problem };
    if text.len() > PROOF_BYTES_MAX {
        return Err(refused(format!("it has more than {PROOF_BYTES_MAX} bytes")));
    }
    let proof: LedgerProof = serde_json::from_slice(text).map_err(|error| refused(error.to_string()))?;
    if proof.schema == LEDGER_PROOF_SCHEMA {
        Ok(proof)
    } else {
        Err(refused(format!("its schema is {:?}; this program knows {LEDGER_PROOF_SCHEMA}", proof.schema)))
    }
}

/// Checks a proof with the card of the CERT that discloses and, if it is at hand, that of the peer: then the peer's
/// cosignature, and the signature of a receipt, are checked too.
pub(super) fn check(
    proof: &LedgerProof,
    signer: &VerifiedCard,
    peer: Option<&VerifiedCard>,
    file: &str,
    now: Time,
) -> Result<Proven, Failure> {
    let refused = |problem| Failure::Proof { file: file.to_owned(), problem };
    let wrong = |error: &dyn std::error::Error| refused(with_sources(error));
    let checkpoint = SignedCheckpoint::parse(proof.checkpoint.as_bytes()).map_err(|error| wrong(&error))?;
    let head = checkpoint.checkpoint();
    if (head.size, head.root) != (proof.size, proof.root) {
        return Err(refused("its size and root are not those of the signed head".to_owned()));
    }
    let cosignatures: Vec<_> = checkpoint.cosignatures().collect();
    let unchecked = EntryProof {
        index: proof.index,
        leaf: proof.entry.as_bytes().to_vec(),
        path: proof.path.iter().map(|hash| *hash.as_bytes()).collect(),
        checkpoint,
    };
    let proven = unchecked.verify(signer, now).map_err(|error| wrong(&error))?;
    let (entry, mut checkpoint) = (proven.entry().clone(), proven.checkpoint().clone());
    if let Some(peer) = peer {
        add_cosignatures(&mut checkpoint, &cosignatures, peer, now).map_err(|error| wrong(&error))?;
        if let Entry::Receipt(receipt) = &entry {
            receipt.clone().verify(peer, now).map_err(|error| wrong(&error))?;
        }
    }
    Ok(Proven { index: proof.index, entry, checkpoint })
}

/// Checks the peer's cosignatures. One by a key that its card does not name any more counts for nothing, as a stranger's
/// does; one that does not fit makes the whole suspect.
fn add_cosignatures(
    checkpoint: &mut VerifiedCheckpoint,
    cosignatures: &[Cosignature],
    peer: &VerifiedCard,
    now: Time,
) -> Result<(), CosignatureError> {
    for cosignature in cosignatures.iter().filter(|cosignature| cosignature.is_named(peer.cert_id())) {
        match checkpoint.add_cosignature(cosignature, peer, now) {
            Ok(_) | Err(CosignatureError::Key { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
