//! Checkpoints: what we sign of our ledgers, and what we hold of the ledgers of others.

use mithaq_api::http::LedgerHead;
use mithaq_core::{
    card::VerifiedCard,
    code::Code,
    ledger::{
        Checkpoint, CheckpointError, Cosignature, Divergence, Progress, SignedCheckpoint, VerifiedCheckpoint, compare,
    },
    merkle::nodes::consistency_proof,
};
use mithaq_store::{Batch, StateChange, StoreError};
use mithaq_sync::Seen;
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::{clock, identity::NoUsableKey};

/// Before the key of the last checkpoint of ours, with the peer's cosignature if it came: peer.
const OURS: &[u8] = b"lc/";

/// Before the key of the last checkpoint of ours that the peer has cosigned: peer.
pub(crate) const COSIGNED: &[u8] = b"lw/";

/// Before the key of the last checkpoint of a peer's ledger towards us that we have accepted: peer.
const THEIRS: &[u8] = b"ls/";

/// A checkpoint on its way, with the proof that it continues what the receiver has accepted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// The signed note.
    note: String,
    /// The hashes of the consistency proof, each of 64 hexadecimal digits.
    proof: Vec<mithaq_core::id::TreeHash>,
}

/// Why a checkpoint is not accepted, or none can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointRefusal {
    #[error("the checkpoint cannot be read: {0}")]
    Shape(String),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{0}")]
    Cosignature(String),
    #[error("{divergence}")]
    Divergence { divergence: Divergence, held: Option<Box<VerifiedCheckpoint>>, new: Box<VerifiedCheckpoint> },
    #[error(
        "the store says that the peer accepted {seen} entries of our ledger, and it has {ours}: this store was rolled back"
    )]
    RolledBack { seen: u64, ours: u64 },
    #[error("the first {seen} entries of our ledger are not those that the peer accepted: this store was changed")]
    Rewritten { seen: u64 },
    #[error("the checkpoint is of the ledger of another pair")]
    Unrelated,
    #[error(transparent)]
    Key(#[from] NoUsableKey),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CheckpointRefusal {
    /// The refusal's code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Shape(_) | Self::Checkpoint(_) | Self::Unrelated => Code::CHECKPOINT,
            Self::Cosignature(_) => Code::COSIGNATURE,
            Self::Divergence { divergence: Divergence::Rollback { .. }, .. } => Code::LEDGER_ROLLBACK,
            Self::Divergence { divergence: Divergence::Fork { .. }, .. } => Code::LEDGER_FORK,
            Self::Divergence { .. } => Code::LEDGER_UNPROVEN,
            Self::RolledBack { .. } | Self::Rewritten { .. } => Code::OWN_ROLLBACK,
            Self::Key(_) => Code::NO_USABLE_KEY,
            Self::Store(_) => Code::STORE,
        }
    }
}

impl Ledger<'_> {
    fn key_of(&self, prefix: &[u8]) -> Vec<u8> {
        [prefix, self.peer.as_bytes()].concat()
    }

    fn stored(&self, prefix: &[u8]) -> Result<Option<SignedCheckpoint>, StoreError> {
        let value = self.node.store.state(&self.key_of(prefix))?;
        value.map(|value| SignedCheckpoint::parse(&value).map_err(|_| self.damaged("a checkpoint"))).transpose()
    }

    /// The last checkpoint that we signed, with the peer's cosignature if it came. Blocks.
    pub(crate) fn ours(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        self.stored(OURS)
    }

    /// The last checkpoint of the peer's ledger towards us that we have accepted. Blocks.
    pub(crate) fn theirs(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        self.stored(THEIRS)
    }

    /// What is told of the ledger as it stands: its root, and what the peer has cosigned of it. Blocks.
    pub(crate) fn head(&self, peer: String) -> Result<LedgerHead, StoreError> {
        let (frontier, ours, card) = (self.frontier()?, self.stored(COSIGNED)?, self.node.card_of(self.peer));
        let (own_card, now) = (self.node.identity().card.clone(), clock::wall());
        let cosigned = ours.zip(card).and_then(|(ours, card)| {
            let size = ours.checkpoint().size;
            let lines: Vec<_> = ours.cosignatures().collect();
            let verified = ours.verify(&own_card, now).ok()?;
            let line = lines.iter().find_map(|line| verified.verify_cosignature(line, &card, now).ok())?;
            Some((size, line.at()))
        });
        Ok(LedgerHead {
            peer,
            cert: self.peer,
            store: self.node.store.id(),
            size: frontier.size(),
            root: frontier.root(),
            cosigned_size: cosigned.map(|(size, _)| size),
            cosigned_at: cosigned.map(|(_, at)| at),
        })
    }

    /// What our hello tells of the peer's ledger. Blocks.
    pub(crate) fn seen(&self) -> Result<Option<Seen>, StoreError> {
        let theirs = self.theirs()?;
        Ok(theirs.map(|note| {
            let checkpoint = note.checkpoint();
            Seen::of(checkpoint.size, checkpoint.origin.store.as_bytes(), checkpoint.root.as_bytes())
        }))
    }

    /// Compares our ledger with what the peer has accepted of it. A store that was rolled back or changed must not go on:
    /// it would sign a second history. Blocks.
    pub(crate) fn check_seen(&self, seen: Seen) -> Result<(), CheckpointRefusal> {
        if seen.store != self.node.store.id().as_bytes()[..4] {
            return Ok(self.node.gate.note_seen(self.node, self.peer, seen)?);
        }
        let ours = self.frontier()?.size();
        if seen.size > ours {
            return Err(CheckpointRefusal::RolledBack { seen: seen.size, ours });
        }
        let root = super::root_at(self, seen.size)?;
        let is_same = root.is_some_and(|root| root.as_bytes()[..8] == seen.root);
        if is_same { Ok(()) } else { Err(CheckpointRefusal::Rewritten { seen: seen.size }) }
    }

    /// Signs our ledger as it stands, notes it, and puts it together for a peer that has accepted `seen`. `None` if there
    /// is nothing new. Blocks.
    pub(crate) fn sign_checkpoint(&self, seen: Option<Seen>) -> Result<Option<(u64, Vec<u8>)>, CheckpointRefusal> {
        let seen = seen.filter(|seen| seen.store == self.node.store.id().as_bytes()[..4]).map_or(0, |seen| seen.size);
        let frontier = self.frontier()?;
        if frontier.size() <= seen {
            return Ok(None);
        }
        let now = clock::wall();
        let identity = self.node.identity();
        let checkpoint = match self.ours()?.filter(|ours| ours.checkpoint().origin == self.origin()) {
            Some(ours) => ours.checkpoint().successor(frontier.size(), frontier.root(), now),
            None => Checkpoint::new(self.origin(), frontier.size(), frontier.root(), now),
        };
        let signed = checkpoint.sign(identity.signing_key(now)?);
        // Before the note: whoever finds a note looks for the file.
        if let Err(problem) = super::local::sign(self.node) {
            tracing::error!(problem, "the local ledger cannot be written");
        }
        let change = StateChange::set(self.key_of(OURS), signed.to_string().into_bytes());
        self.node.commit(Batch { state: vec![change], takes_back: true, ..Batch::default() })?;
        let proof = consistency_proof(self, seen, frontier.size())?.unwrap_or_default();
        let proof = proof.into_iter().map(mithaq_core::id::TreeHash::from_bytes).collect();
        let exchange = Exchange { note: signed.to_string(), proof };
        let body = serde_json::to_vec(&exchange).map_err(|error| CheckpointRefusal::Shape(error.to_string()))?;
        Ok(Some((frontier.size(), body)))
    }

    /// Takes a checkpoint of the peer's ledger towards us: it must continue what we accepted before. It is durable before
    /// the cosignature is made, which is returned. Blocks.
    pub(crate) fn take_checkpoint(&self, card: &VerifiedCard, body: &[u8]) -> Result<Vec<u8>, CheckpointRefusal> {
        let shape = |error: serde_json::Error| CheckpointRefusal::Shape(error.to_string());
        let exchange: Exchange = serde_json::from_slice(body).map_err(shape)?;
        let now = clock::wall();
        let new = SignedCheckpoint::parse(exchange.note.as_bytes())?.verify(card, now)?;
        if new.checkpoint().origin.to() != Some(self.node.us) {
            return Err(CheckpointRefusal::Unrelated);
        }
        let proof: Vec<[u8; 32]> = exchange.proof.iter().map(|hash| *hash.as_bytes()).collect();
        if let Some(held) = self.theirs()? {
            self.continues(held, &new, card, &proof)?;
        }
        let change = StateChange::set(self.key_of(THEIRS), new.to_string().into_bytes());
        self.node.commit(Batch { state: vec![change], takes_back: true, ..Batch::default() })?;
        let identity = self.node.identity();
        let cosignature = new.cosign(self.node.us, identity.signing_key(now)?, now);
        cosignature
            .map(|line| line.to_string().into_bytes())
            .map_err(|error| CheckpointRefusal::Cosignature(error.to_string()))
    }

    fn continues(
        &self,
        held: SignedCheckpoint,
        new: &VerifiedCheckpoint,
        card: &VerifiedCard,
        proof: &[[u8; 32]],
    ) -> Result<(), CheckpointRefusal> {
        match compare(held.checkpoint(), new, proof) {
            Ok(Progress::NewLedger) => {
                let (peer, entries) = (self.node.name_of(self.peer), held.checkpoint().size);
                tracing::warn!(peer, entries, "the peer has another store now: its ledger begins anew");
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(divergence) => {
                // Only what still verifies proves anything to others.
                let held = held.verify(card, clock::wall()).ok().map(Box::new);
                Err(CheckpointRefusal::Divergence { divergence, held, new: Box::new(new.clone()) })
            }
        }
    }

    /// Takes the peer's cosignature of the last checkpoint that we signed. Blocks.
    pub(crate) fn take_cosignature(&self, card: &VerifiedCard, body: &[u8]) -> Result<(), CheckpointRefusal> {
        let refused = |error: &dyn std::fmt::Display| CheckpointRefusal::Cosignature(error.to_string());
        let text = std::str::from_utf8(body).map_err(|error| refused(&error))?;
        let cosignature: Cosignature = text.parse().map_err(|error| refused(&error))?;
        let now = clock::wall();
        let Some(ours) = self.ours()? else { return Err(CheckpointRefusal::Unrelated) };
        let mut ours = ours.verify(&self.node.identity().card, now)?;
        ours.add_cosignature(&cosignature, card, now).map_err(|error| refused(&error))?;
        let note = ours.to_string().into_bytes();
        // Beside the last checkpoint, which the next one takes the place of before the peer has cosigned it.
        let state = [OURS, COSIGNED].map(|prefix| StateChange::set(self.key_of(prefix), note.clone()));
        self.node.commit(Batch { state: state.into(), takes_back: true, ..Batch::default() })?;
        Ok(())
    }
}
