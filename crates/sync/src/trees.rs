//! From whom the fresh releases of third CERTs come first: a tree for each origin, along which they travel unasked, while
//! all other peers only offer them (Leitão, Pereira and Rodrigues, "Epidemic Broadcast Trees", SRDS 2007).
//!
//! A table that all sessions of one CERT share, beside [`Claims`](crate::Claims). Every session begins as a branch that brings releases
//! unasked. One that brings what another has brought before is pruned; one that had to be asked for what no other brought is
//! grafted. The session that was the last to bring something new is never pruned, so an origin that has a branch keeps one,
//! in whatever order the releases of several peers meet here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mithaq_core::id::{CertId, ReleaseId};

use crate::{
    brief::Prefix,
    claims::SessionId,
    io::Manner,
    limits::{COPIES_MAX, LAZY_CLAIM_TTL, LAZY_CLAIMS_MAX, ORIGINS_MAX},
};

/// What becomes of a session's place in the tree of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// Its peer shall offer what is fresh: another brings it sooner.
    Pruned,
    /// Its peer shall send what is fresh unasked: nobody else did.
    Grafted,
    /// It was asked too soon: what it was asked for came unasked from another.
    Hasty,
}

/// What is done about a lazy offer of which nothing has come from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It has come, and we may say so.
    Held(ReleaseId),
    /// It is to be asked for.
    Wanted,
    /// Another peer was asked for it a moment ago.
    Elsewhere,
}

/// A release that came, and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The CERT that signed it.
    pub origin: CertId,
    /// The release.
    pub release: ReleaseId,
    /// Whether it came from its origin itself, which sends its own releases unasked whatever we say.
    pub is_direct: bool,
    /// How it came.
    pub manner: Manner,
    /// Whether it was not here before.
    pub is_new: bool,
}

/// The trees of all origins, as one CERT sees them.
#[derive(Debug, Default)]
pub struct Trees {
    origins: BTreeMap<CertId, Tree>,
    /// Releases that were asked for late, by all that is known of them, and when.
    claims: BTreeMap<Prefix, (SessionId, Duration)>,
}

#[derive(Debug, Default)]
struct Tree {
    /// The session that was the last to bring something new.
    newest: Option<SessionId>,
    pruned: BTreeSet<SessionId>,
    /// How many needless copies in a row came from a session, and how many it is granted, if it had to be asked again.
    copies: BTreeMap<SessionId, (u32, u32)>,
}

impl Trees {
    /// Notes that a session has brought a release. What was here and may not be told to its peer is not to be noted at all.
    /// Says what becomes of the session's place.
    pub fn arrived(&mut self, session: SessionId, arrival: Arrival) -> Option<Branch> {
        let Arrival { origin, release, is_direct, manner, is_new } = arrival;
        self.claims.remove(&Prefix::of(release));
        if manner == Manner::Asked || self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(&origin) {
            return None;
        }
        let tree = self.origins.entry(origin).or_default();
        match (manner, is_new) {
            (Manner::AskedLate, true) => tree.graft(session).then_some(Branch::Grafted),
            (Manner::AskedLate, false) => Some(Branch::Hasty),
            (_, true) => {
                tree.lead(session);
                None
            }
            (_, false) => (!is_direct && tree.prune(session)).then_some(Branch::Pruned),
        }
    }

    /// Claims for a session a release that was offered lazily and has not come; says whether it may be asked for now: not
    /// while another was asked a moment ago, lest all that offered it send it. Two releases that begin alike share a claim,
    /// which costs one of them a moment.
    pub fn claim(&mut self, session: SessionId, release: Prefix, now: Duration) -> bool {
        let is_fresh = |(_, at): &(SessionId, Duration)| now.saturating_sub(*at) < LAZY_CLAIM_TTL;
        if self.claims.len() >= LAZY_CLAIMS_MAX {
            self.claims.retain(|_, claim| is_fresh(claim));
        }
        let is_others = self.claims.get(&release).is_some_and(|claim| claim.0 != session && is_fresh(claim));
        if !is_others && self.claims.len() < LAZY_CLAIMS_MAX {
            self.claims.insert(release, (session, now));
        }
        !is_others
    }

    /// Forgets a session that is over.
    pub fn close(&mut self, session: SessionId) {
        self.claims.retain(|_, (holder, _)| *holder != session);
        self.origins.retain(|_, tree| {
            tree.newest = tree.newest.filter(|newest| *newest != session);
            tree.pruned.remove(&session);
            tree.copies.remove(&session);
            tree.newest.is_some() || !tree.pruned.is_empty()
        });
    }
}

impl Tree {
    /// A session has brought something new unasked.
    fn lead(&mut self, session: SessionId) {
        if let Some((copies, _)) = self.copies.get_mut(&session) {
            *copies = 0;
        }
        // What was on its way when it was pruned says nothing of what will come.
        if !self.pruned.contains(&session) {
            self.newest = Some(session);
        }
    }

    /// A session has brought what nobody else brought in time. The next time it is put up with for longer before it is pruned:
    /// it may have what the others have not. Says whether its peer must be told.
    fn graft(&mut self, session: SessionId) -> bool {
        let (copies, granted) = self.copies.entry(session).or_default();
        (*copies, *granted) = (0, (*granted * 2 + 1).min(COPIES_MAX));
        self.newest = Some(session);
        self.pruned.remove(&session)
    }

    /// A session has brought what was here; says whether it is pruned for that.
    fn prune(&mut self, session: SessionId) -> bool {
        if self.newest.is_none_or(|newest| newest == session) || self.pruned.contains(&session) {
            return false;
        }
        if let Some((copies, granted)) = self.copies.get_mut(&session) {
            *copies += 1;
            if copies <= granted {
                return false;
            }
            *copies = 0;
        }
        self.pruned.insert(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = session(1);
    const B: SessionId = session(2);

    const fn session(number: u64) -> SessionId {
        SessionId::of(number)
    }

    fn of(release: u8, manner: Manner, is_new: bool) -> Arrival {
        let (origin, release) = (CertId::from_bytes([9; 32]), ReleaseId::from_bytes([release; 32]));
        Arrival { origin, release, is_direct: false, manner, is_new }
    }

    /// It came unasked, and is new.
    fn new(release: u8) -> Arrival {
        of(release, Manner::Unasked, true)
    }

    /// It came unasked, and was here.
    fn copy(release: u8) -> Arrival {
        of(release, Manner::Unasked, false)
    }

    #[test]
    fn the_later_of_two_is_pruned_and_never_the_last() {
        let mut trees = Trees::default();
        assert_eq!(trees.arrived(A, new(1)), None);
        assert_eq!(trees.arrived(B, copy(1)), Some(Branch::Pruned));
        assert_eq!(trees.arrived(B, copy(2)), None, "it is told once");
        assert_eq!(trees.arrived(A, copy(2)), None, "nobody else is left");
    }

    #[test]
    fn the_origin_itself_leads_and_is_never_pruned() {
        let mut trees = Trees::default();
        trees.arrived(A, Arrival { is_direct: true, ..new(1) });
        trees.arrived(B, new(2));
        assert_eq!(trees.arrived(A, Arrival { is_direct: true, ..copy(2) }), None);
        trees.arrived(A, Arrival { is_direct: true, ..new(3) });
        assert_eq!(trees.arrived(B, copy(3)), Some(Branch::Pruned));
    }

    #[test]
    fn of_two_whose_releases_cross_one_stays() {
        // Each brings another release first.
        let mut trees = Trees::default();
        trees.arrived(A, new(1));
        trees.arrived(B, new(2));
        let pruned = [(B, 1), (A, 2)].map(|(session, release)| trees.arrived(session, copy(release)));
        assert_eq!(pruned, [None, Some(Branch::Pruned)]);
    }

    #[test]
    fn what_was_on_its_way_when_its_branch_was_pruned_does_not_lead() {
        let mut trees = Trees::default();
        trees.arrived(A, new(1));
        trees.arrived(B, copy(1));
        trees.arrived(B, new(2));
        assert_eq!(trees.arrived(A, copy(2)), None, "it is the only branch");
    }

    #[test]
    fn who_had_to_be_asked_is_grafted_and_believed_for_longer() {
        let mut trees = Trees::default();
        trees.arrived(A, new(1));
        trees.arrived(B, copy(1));
        for granted in [1, 3, 7, 8, 8] {
            assert_eq!(trees.arrived(B, of(2, Manner::AskedLate, true)), Some(Branch::Grafted));
            trees.arrived(A, new(3));
            for _ in 0..granted {
                assert_eq!(trees.arrived(B, copy(3)), None);
            }
            assert_eq!(trees.arrived(B, copy(3)), Some(Branch::Pruned));
        }
    }

    #[test]
    fn once_the_first_is_gone_nobody_is_pruned_for_it() {
        let mut trees = Trees::default();
        trees.arrived(A, new(1));
        trees.close(A);
        assert_eq!(trees.arrived(B, copy(1)), None);
        trees.close(B);
        assert!(trees.origins.is_empty());
    }

    #[test]
    fn a_release_is_asked_of_one_at_a_time() {
        let mut trees = Trees::default();
        let (release, moment) = (Prefix::of(new(1).release), Duration::from_millis(1));
        assert!(trees.claim(A, release, Duration::ZERO) && trees.claim(A, release, moment));
        assert!(!trees.claim(B, release, moment));
        assert!(trees.claim(B, release, moment + LAZY_CLAIM_TTL));
        trees.close(B);
        assert!(trees.claim(A, release, moment + LAZY_CLAIM_TTL));
        assert_eq!(trees.arrived(A, of(1, Manner::AskedLate, true)), None, "it was no pruned branch");
        assert!(trees.claims.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut trees = Trees::default();
        for number in 0..2 * LAZY_CLAIMS_MAX {
            let id = mithaq_core::id::sha256(&number.to_be_bytes());
            let prefix = Prefix::of(ReleaseId::from_bytes(id));
            trees.arrived(A, Arrival { origin: CertId::from_bytes(id), ..new(1) });
            assert!(trees.claim(A, prefix, Duration::ZERO));
        }
        assert_eq!((trees.origins.len(), trees.claims.len()), (ORIGINS_MAX, LAZY_CLAIMS_MAX));
    }
}
