//! What was answered with `Gone`: no cursor hides it once the peer is served anew, and for no longer than need be.

use std::sync::Arc;

use mithaq_core::id::ReleaseId;
use mithaq_store::{Arrival, Batch, StateChange};
use mithaq_sync::{Chain, Cursor, Input};

use super::{
    Cert, pair,
    staging::{bodies, release},
};
use crate::{
    fetching::Seat,
    outbox::Outbox,
    peer::loader::{Loader, Request},
};

/// A peer as it is served from one restart of its tasks to the next.
struct Served {
    outbox: Outbox,
    loader: Loader,
}

impl Served {
    fn new(us: &Cert, peer: &Cert) -> Self {
        let entry = us.node.peer(peer.id()).unwrap();
        let outbox = Outbox::new(Arc::clone(&us.node), Arc::clone(&entry)).unwrap();
        let seat = Arc::new(Seat::new(&us.node.fetching));
        let loader = Loader::new(Arc::clone(&us.node), outbox.clone(), entry, seat);
        Self { outbox, loader }
    }

    fn anew(us: &Cert, peer: &Cert) -> Self {
        us.node.renew_peers();
        Self::new(us, peer)
    }

    /// Has an entry answered with `Gone` by its manifest.
    fn withhold(&self, index: u64) {
        let id = ReleaseId::from_bytes([0xee; 32]);
        let loaded = self.loader.answer(Request::LoadRelease { index, id, inline: true }).unwrap();
        assert!(matches!(loaded, Input::ReleaseLoaded { release: None, .. }), "{loaded:?}");
    }

    /// Has an entry answered with `Gone` by its bodies.
    fn withhold_bodies(&self, index: u64) {
        let release = ReleaseId::from_bytes([0xee; 32]);
        let request = Request::LoadBodies { index, release, contents: Vec::new(), group_bytes: 1 };
        let loaded = self.loader.answer(request).unwrap();
        assert!(matches!(&loaded, Input::BodiesLoaded { bodies, .. } if bodies.is_empty()), "{loaded:?}");
    }

    fn resumes_at(&self, cursor: Cursor) -> u64 {
        match self.loader.answer(Request::OpenJournal { cursor: Some(cursor) }).unwrap() {
            Input::JournalOpened { after, .. } => after,
            other => panic!("{other:?}"),
        }
    }
}

/// A row of a journal: the entry, the chain up to it, and how it goes (0 large, 1 small, 2 urgent).
fn row(id: ReleaseId, chain: Chain, hint: u8) -> Vec<u8> {
    [id.as_bytes(), &chain.as_bytes()[..], &[hint]].concat()
}

/// A CERT with so many small releases in log and journal, its peer, and the cursors behind each of them.
fn with_journal(releases: u32) -> (Cert, Cert, Vec<Cursor>) {
    let (us, peer) = pair();
    let outbox = Served::new(&us, &peer).outbox;
    let (mut chain, mut cursors) = (Chain::START, Vec::new());
    for number in 0..releases {
        let bodies = bodies(number..number + 1);
        let release = release(&us, &bodies);
        let (id, index) = (release.id(), u64::from(number) + 1);
        chain = chain.after(id);
        cursors.push(Cursor { store: *us.node.store.id().as_bytes(), index, chain });
        let key = [crate::journals::ENTRIES, &outbox.name()[..], &index.to_be_bytes()].concat();
        let state = vec![StateChange::set(key, row(id, chain, 1))];
        let arrivals = vec![Arrival { release, bodies }];
        us.node.commit(Batch { arrivals, state, ..Batch::default() }).unwrap();
    }
    (us, peer, cursors)
}

#[tokio::test]
async fn a_cursor_that_has_passed_what_was_gone_counts_as_long_as_the_peer_is_served_as_it_was() {
    let withholds: [fn(&Served, u64); 2] = [Served::withhold, Served::withhold_bodies];
    for withhold in withholds {
        let (us, peer, cursors) = with_journal(3);
        let first = Served::new(&us, &peer);
        assert_eq!(first.resumes_at(cursors[2]), 3);
        withhold(&first, 3);
        withhold(&first, 2);
        withhold(&first, 3);
        assert_eq!(first.resumes_at(cursors[2]), 3);
        let second = Served::anew(&us, &peer);
        assert_eq!([0, 1, 2].map(|place| second.resumes_at(cursors[place])), [1, 0, 0]);
        // The note outlives another restart: nothing was acknowledged in between.
        let third = Served::anew(&us, &peer);
        assert_eq!([0, 1, 2].map(|place| third.resumes_at(cursors[place])), [1, 0, 0]);
    }
}

#[tokio::test]
async fn what_was_gone_is_forgotten_once_the_peer_tells_a_cursor_into_what_it_has_acknowledged() {
    let (us, peer, cursors) = with_journal(2);
    let first = Served::new(&us, &peer);
    first.withhold(2);
    let second = Served::anew(&us, &peer);
    assert_eq!(second.resumes_at(cursors[1]), 0);
    // It lacks something; it has all of a journal that was shorter; the session is one of before.
    second.outbox.set_acknowledged(1, 1).unwrap();
    second.outbox.set_acknowledged(2, 1).unwrap();
    second.outbox.set_acknowledged(1, 0).unwrap();
    first.outbox.set_acknowledged(2, 0).unwrap();
    assert_eq!(second.resumes_at(cursors[1]), 0);
    second.outbox.set_acknowledged(2, 0).unwrap();
    let foreign = Cursor { chain: Chain::START, ..cursors[1] };
    assert_eq!([foreign, cursors[1]].map(|cursor| second.resumes_at(cursor)), [0, 2]);
    let prefix = [crate::passed::PASSED, &peer.id().as_bytes()[..]].concat();
    assert!(us.node.store.state(&prefix).unwrap().is_none(), "nothing is left of it");
}

/// The peer has all of a journal that lacks what was gone, by which its cursor does not move.
#[tokio::test]
async fn what_was_gone_is_not_forgotten_by_a_journal_without_it() {
    let (us, peer, cursors) = with_journal(2);
    let first = Served::new(&us, &peer);
    first.withhold(1);
    let prefix = [crate::journals::ENTRIES, &first.outbox.name()[..]].concat();
    let rows = us.node.store.state_range(&prefix, None, 9).unwrap();
    crate::journals::clear(&us.node, &first.outbox.name()).unwrap();
    let without = Served::anew(&us, &peer);
    without.resumes_at(cursors[1]);
    without.outbox.set_acknowledged(0, 0).unwrap();
    without.resumes_at(cursors[1]);
    let state = rows.into_iter().map(|(key, value)| StateChange::set(key, value)).collect();
    us.node.commit(Batch { state, ..Batch::default() }).unwrap();
    assert_eq!(Served::anew(&us, &peer).resumes_at(cursors[1]), 0);
}

#[tokio::test]
async fn what_is_gone_since_is_not_forgotten_with_what_was_before() {
    let (us, peer, cursors) = with_journal(3);
    Served::new(&us, &peer).withhold(3);
    let second = Served::anew(&us, &peer);
    assert_eq!(second.resumes_at(cursors[2]), 0);
    second.withhold(2);
    second.outbox.set_acknowledged(3, 0).unwrap();
    assert_eq!(second.resumes_at(cursors[2]), 3);
    let third = Served::anew(&us, &peer);
    // A session that has outlived its journal forgets nothing of what counts for the next.
    assert_eq!([0, 1, 2].map(|place| third.resumes_at(cursors[place])), [1, 0, 0]);
    assert_eq!([second.resumes_at(cursors[2]), third.resumes_at(cursors[2])], [0, 0]);
}

#[tokio::test]
async fn what_a_session_answers_that_has_outlived_its_journal_counts_at_once() {
    let (us, peer, cursors) = with_journal(2);
    let first = Served::new(&us, &peer);
    let second = Served::anew(&us, &peer);
    assert_eq!(second.resumes_at(cursors[1]), 2);
    first.withhold(2);
    assert_eq!([0, 1].map(|place| second.resumes_at(cursors[place])), [1, 0]);
}

/// What a journal has as a part of a bulk goes without its bodies, however small it is.
#[tokio::test]
async fn only_what_goes_ahead_is_loaded_with_its_bodies() {
    let (us, peer, cursors) = with_journal(1);
    let served = Served::new(&us, &peer);
    let key = [crate::journals::ENTRIES, &served.outbox.name()[..], &1_u64.to_be_bytes()].concat();
    let id = ReleaseId::from_bytes(us.node.store.state(&key).unwrap().unwrap()[..32].try_into().unwrap());
    for (hint, goes_ahead) in [(0, false), (1, true), (2, true)] {
        let state = vec![StateChange::set(key.clone(), row(id, cursors[0].chain, hint))];
        us.node.commit(Batch { state, ..Batch::default() }).unwrap();
        let loaded = served.loader.answer(Request::LoadRelease { index: 1, id, inline: true }).unwrap();
        let Input::ReleaseLoaded { release: Some(_), inline, .. } = loaded else { panic!("{loaded:?}") };
        assert_eq!(inline.is_some(), goes_ahead, "{hint}");
    }
}
