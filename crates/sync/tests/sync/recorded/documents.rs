//! What two CERTs say beside releases: cards, ledgers, consents, and the end of an agreement.

use std::time::Duration;

use mithaq_core::{
    agreement::{attestation::Attestation, termination::Termination},
    consent::{Answer, Consent, ConsentRequest, ConsentScope},
    id::{StoreId, TreeHash},
    ledger::{Checkpoint, Entry, Origin, VerifiedCheckpoint},
    merkle::{
        Completed, Frontier,
        nodes::{Nodes, completing_leaf, consistency_proof},
    },
    statement::{Statement, Verified},
};
use mithaq_sync::{Input, Seen};

use super::Recording;
use crate::{
    fixtures::{AGREEMENT, Cert, Parcel, cert, cert_with, parcel_of, wall},
    pair::Pair,
};

/// A's ledger towards B: a leaf for each release that it disclosed.
#[derive(Default)]
struct Ledger {
    frontier: Frontier,
    completed: Vec<Completed>,
}

impl Ledger {
    fn of(entries: u64) -> Self {
        let mut ledger = Self::default();
        for release in disclosed().into_iter().take(usize::try_from(entries).unwrap()) {
            let leaf = Entry::disclosure(release.id(), AGREEMENT, wall()).to_bytes().unwrap();
            ledger.completed.push(ledger.frontier.push(&leaf));
        }
        ledger
    }

    fn checkpoint(&self, signer: &Cert) -> VerifiedCheckpoint {
        let origin = Origin::pair(cert(1).card.cert_id(), cert(2).card.cert_id(), StoreId::from_bytes([1; 16]));
        Checkpoint::new(origin, self.frontier.size(), self.frontier.root(), wall()).sign(&signer.signing)
    }

    /// The document with its checkpoint, which goes on from `seen` entries.
    fn document(&self, signer: &Cert, seen: u64) -> Input {
        let proof = consistency_proof(self, seen, self.frontier.size()).unwrap().unwrap();
        let hashes: Vec<_> = proof.into_iter().map(|hash| format!("\"{}\"", TreeHash::from_bytes(hash))).collect();
        let note = self.checkpoint(signer).to_string().replace('\n', "\\n");
        send(2, format!("{{\"note\":\"{note}\",\"proof\":[{}]}}", hashes.join(",")))
    }
}

impl Nodes for Ledger {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], ()> {
        let leaf = usize::try_from(completing_leaf(level, index)).map_err(drop)?;
        self.completed.get(leaf).and_then(|hashes| hashes.get(usize::from(level))).copied().ok_or(())
    }
}

/// A with its second card, which names another signing key.
fn renewed() -> Cert {
    cert_with(1, 2, 0x91)
}

/// Three releases by the first key of A, and two by its second.
fn disclosed() -> Vec<Parcel> {
    let (first, second) = (cert(1), renewed());
    (1..=5).map(|number| parcel_of(if number <= 3 { &first } else { &second }, 10 * number, 1, 400)).collect()
}

fn send(kind: u32, body: impl Into<Vec<u8>>) -> Input {
    Input::SendDocument { kind, body: body.into().into() }
}

fn statement<S: Statement>(kind: u32, says: S, signer: &Cert) -> Input {
    send(kind, Verified::sign(says, &signer.signing).unwrap().envelope().to_json())
}

/// B's line under a checkpoint of A.
fn cosignature(of: &VerifiedCheckpoint) -> Input {
    let two = cert(2);
    send(3, of.cosign(two.card.cert_id(), &two.signing, wall()).unwrap().to_string().trim_end())
}

/// What A and B say beside releases, from requests for consent to the end of the agreement.
fn say_the_rest(pair: &mut Pair) {
    let (one, two, three) = (renewed(), cert(2), cert(3).card.cert_id());
    let (from, to) = (one.card.cert_id(), two.card.cert_id());
    let request = ConsentRequest::new(from, to, three, ConsentScope::All, wall(), "they were hit too");
    let until = wall().plus(Duration::from_secs(86_400));
    let consent = Consent::answer(&request, Answer::Grant, ConsentScope::All, wall(), until);
    let said = [
        (0, statement(5, request, &one)),
        (1, statement(6, consent, &two)),
        (0, statement(4, Termination::new(AGREEMENT, from, wall(), "by mutual consent"), &one)),
        (1, statement(7, Attestation::new(AGREEMENT, to, wall(), 5, 5), &two)),
        (0, send(99, "what a later version may say")),
    ];
    for (node, document) in said {
        pair.give(node, document);
        pair.run();
    }
}

#[test]
fn documents_of_every_kind() {
    let mut recording = Recording::new("Documents of every kind, beside releases, and a card that changes.", |_| {});
    for parcel in &disclosed()[..3] {
        recording.pair.push(0, parcel);
    }
    recording.session(|pair| {
        pair.run();
        pair.give(0, Ledger::of(3).document(&cert(1), 0));
        pair.run();
        pair.give(1, cosignature(&Ledger::of(3).checkpoint(&cert(1))));
        pair.run();
        pair.give(0, send(1, renewed().card.envelope().to_json()));
    });
    let [a, b] = &mut recording.pair.nodes;
    a.cert = renewed();
    a.adjust = |setup| setup.ledger_size = 5;
    b.adjust = |setup| setup.seen = Some(Seen::of(3, &[1; 16], Ledger::of(3).frontier.root().as_bytes()));
    for parcel in &disclosed()[3..] {
        recording.pair.push(0, parcel);
    }
    recording.pair.push(1, &parcel_of(&cert(2), 100, 1, 400));
    recording.session(|pair| {
        pair.run();
        pair.give(0, Ledger::of(5).document(&renewed(), 3));
        pair.run();
        pair.give(1, cosignature(&Ledger::of(5).checkpoint(&renewed())));
        pair.run();
        say_the_rest(pair);
    });
    recording.check("documents");
}
