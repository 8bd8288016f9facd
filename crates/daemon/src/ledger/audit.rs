//! The audit: every entry is read and hashed again, and compared with what was signed.

use mithaq_api::{
    home::with_sources,
    http::{LedgerCheck, LedgerHead},
};
use mithaq_core::{
    card::VerifiedCard,
    id::CertId,
    ledger::{CheckpointError, Entry, SignedCheckpoint},
    merkle::Frontier,
    receipt::SignedReceipt,
};
use mithaq_store::StoreError;

use super::{Ledger, local, peers, root_at};
use crate::{clock, node::Node};

/// The most problems that are listed of one ledger.
const PROBLEMS_MAX: usize = 100;

/// Reads all ledgers, and the store in which they lie. Blocks.
///
/// # Errors
/// When the store cannot be read at all; damage is not an error but a problem of the answer.
pub(crate) fn audit(node: &Node) -> Result<LedgerCheck, StoreError> {
    let mut check = LedgerCheck { ok: true, entries: 0, problems: Vec::new(), peers: Vec::new() };
    for peer in peers(node)? {
        let mut audit = Audit { ledger: Ledger::new(node, peer), node, peer, problems: Vec::new() };
        match audit.run() {
            Ok((entries, head)) => {
                check.entries += entries;
                check.peers.push(head);
            }
            Err(error) => audit.problem(with_sources(&error)),
        }
        check.problems.append(&mut audit.problems);
    }
    check.problems.extend(local::check(node)?);
    // What the entries speak of lies beside them: a byte that was changed there is named as well.
    check.problems.extend(node.store.verify()?.problems);
    check.ok = check.problems.is_empty();
    Ok(check)
}

struct Audit<'a> {
    node: &'a Node,
    ledger: Ledger<'a>,
    peer: CertId,
    problems: Vec<String>,
}

impl Audit<'_> {
    fn problem(&mut self, text: impl std::fmt::Display) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(format!("ledger towards {}: {text}", self.node.name_of(self.peer)));
        }
    }

    fn run(&mut self) -> Result<(u64, LedgerHead), StoreError> {
        // Read first: the ledger may grow and be signed while it is gone through.
        let signed = self.ledger.ours();
        let kept = self.ledger.frontier()?;
        let mut grown = Frontier::new();
        for number in 0..kept.size() {
            self.entry(number, &mut grown);
        }
        if grown.root() != kept.root() {
            self.problem(format_args!("its {} entries do not hash to the root that is kept beside them", kept.size()));
        }
        let ours = self.checkpoint(signed, kept.size(), self.node.identity().card.clone(), "our last");
        if let Some(ours) = &ours {
            self.cosignature(ours);
        }
        if let Some(card) = self.node.card_of(self.peer) {
            // The peer's ledger is not here: all that can be checked of it is its last checkpoint.
            let theirs = self.ledger.theirs();
            self.signature(theirs, card, "the peer's last");
        }
        Ok((kept.size(), self.ledger.head(self.node.name_of(self.peer))?))
    }

    fn entry(&mut self, number: u64, grown: &mut Frontier) {
        let kept = match self.ledger.kept(number) {
            Ok(kept) => kept,
            Err(error) => return self.problem(format_args!("entry {number}: {}", with_sources(&error))),
        };
        if grown.push(&kept.leaf) != kept.completed {
            self.problem(format_args!("entry {number} does not hash to what was kept beside it: it was changed"));
        }
        match Entry::from_bytes(&kept.leaf) {
            Err(error) => self.problem(format_args!("entry {number}: {}", with_sources(&error))),
            Ok(Entry::Disclosure(disclosure)) => {
                if !matches!(self.ledger.place(disclosure.release), Ok(Some(_))) {
                    let release = disclosure.release.fmt_short();
                    self.problem(format_args!("entry {number}: release {release} is not found by its id"));
                }
            }
            Ok(Entry::Receipt(receipt)) => self.receipt(number, receipt),
            Ok(_) => {}
        }
    }

    fn receipt(&mut self, number: u64, receipt: SignedReceipt) {
        let Some(card) = self.node.card_of(self.peer) else { return };
        // What a key signed before it was revoked, or left out of the card, was checked when it came.
        let is_named = card.card().signing_keys.iter().any(|key| key.public.id() == receipt.key());
        let counts = is_named && card.card().revoked_since(receipt.key()).is_none();
        if let Err(error) = receipt.verify(&card, clock::wall())
            && counts
        {
            self.problem(format_args!("entry {number}: the receipt: {}", with_sources(&error)));
        }
    }

    /// Checks a checkpoint of ours against the entries.
    fn checkpoint(
        &mut self,
        read: Result<Option<SignedCheckpoint>, StoreError>,
        size: u64,
        card: VerifiedCard,
        which: &str,
    ) -> Option<SignedCheckpoint> {
        let signed = self.signature(read, card, which)?;
        let checkpoint = signed.checkpoint();
        if checkpoint.size > size {
            let signed = checkpoint.size;
            self.problem(format_args!("{which} checkpoint has {signed} entries and {size} are here: rolled back"));
        } else if !matches!(root_at(&self.ledger, checkpoint.size), Ok(Some(root)) if root == checkpoint.root) {
            let signed = checkpoint.size;
            self.problem(format_args!("the first {signed} entries are not those of {which} checkpoint: rewritten"));
        }
        Some(signed)
    }

    fn signature(
        &mut self,
        read: Result<Option<SignedCheckpoint>, StoreError>,
        card: VerifiedCard,
        which: &str,
    ) -> Option<SignedCheckpoint> {
        let signed = match read {
            Ok(signed) => signed?,
            Err(error) => {
                self.problem(with_sources(&error));
                return None;
            }
        };
        let verified = signed.clone().verify(&card, clock::wall());
        // A key that was revoked since, or left out of the card, is no sign of a change.
        if let Err(error) = verified
            && !matches!(error, CheckpointError::Unsigned { .. })
        {
            self.problem(format_args!("{which} checkpoint: {}", with_sources(&error)));
        }
        Some(signed)
    }

    /// Checks the peer's cosignature of a checkpoint of ours.
    fn cosignature(&mut self, ours: &SignedCheckpoint) {
        let Some(card) = self.node.card_of(self.peer) else { return };
        let now = clock::wall();
        let Ok(verified) = ours.clone().verify(&self.node.identity().card, now) else { return };
        for cosignature in ours.cosignatures() {
            if let Err(error) = verified.verify_cosignature(&cosignature, &card, now) {
                self.problem(format_args!("the peer's cosignature: {}", with_sources(&error)));
            }
        }
    }
}
