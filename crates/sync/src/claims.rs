//! Who fetches which body: a table that all sessions of one CERT share, so that no body comes twice and several peers
//! serve one backfill together.
//!
//! A session that has a release's manifest claims the bodies that it lacks, all at once or none: an entry that waits
//! for another holds nothing that another could wait for, and takes no room in its peer's window. So what waits, waits
//! for something that only its own peer can delay, and there is no circle of waits.
//!
//! Claims are made lazily, within a credit that grows with what the peer has delivered: what a slow peer was not asked
//! for yet another can be asked for. Claims count for the others as long as their peer delivers ([`CLAIM_TTL`]), and
//! nobody waits longer than [`WAIT_MAX`], for however many one after another; whoever takes a body over then may get it
//! twice.
//!
//! What we hold and may not tell a peer counts here as what we lack: it is claimed, waited for and owed like the rest.
//! Else the peer would learn of it from when it is asked for what.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mithaq_core::id::{ContentPrefix, ReleaseId};

use crate::limits::{CLAIM_TTL, CONTESTED_OPEN_MAX, CREDIT_BODIES_MIN, WAIT_MAX};

/// For how long a session counts as contested after another has waited for it.
const CONTEST_SPAN: Duration = Duration::from_secs(5);

/// How long it is counted what a peer delivers before the credit follows.
const PACE_SPAN: Duration = Duration::from_secs(4);

/// How many times what came in a span may be on its way.
const CREDIT_SPANS: usize = 2;

/// A session in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// A session of this number, in a table that numbers none itself.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// The claims of all sessions.
#[derive(Debug, Default)]
pub struct Claims {
    opened: u64,
    releases: u64,
    shares: BTreeMap<SessionId, Share>,
    /// The newest claim of each body.
    holders: BTreeMap<ContentPrefix, Holder>,
}

/// An entry of the journal towards a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    session: SessionId,
    index: u64,
}

/// What one session has claimed.
#[derive(Debug, Default)]
struct Share {
    entries: BTreeMap<u64, Claim>,
    /// How many bodies its peer owes.
    owed: usize,
    pace: Pace,
    /// When its peer last delivered.
    delivered: Duration,
    /// When another last waited for it.
    contested: Option<Duration>,
}

#[derive(Debug)]
struct Claim {
    contents: Vec<ContentPrefix>,
    /// How many of them did not come yet.
    owed: usize,
    since: Duration,
    /// Tells those who wait whether all of them came.
    came: Arrived,
}

/// Whether what was claimed came.
#[derive(Debug, Clone, Default)]
struct Arrived(Arc<AtomicBool>);

impl Arrived {
    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many bodies came lately.
#[derive(Debug, Default)]
struct Pace {
    began: Duration,
    came: usize,
    before: usize,
}

/// A release whose manifest came, until its bodies are asked for.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The entry of the peer's journal.
    pub index: u64,
    /// The release.
    pub release: ReleaseId,
    /// How its content ids begin: that is what claims are of. Contents that begin alike, which somebody may have made
    /// so, wait for each other.
    pub prefixes: Vec<ContentPrefix>,
    /// Which of them were on their way from elsewhere when this entry asked, and whether they came.
    elsewhere: Vec<Option<Arrived>>,
    /// How many of them we lacked when it was last asked.
    lacking: usize,
    /// One that is on its way from elsewhere.
    blocker: Option<ContentPrefix>,
    /// When this began to wait for what is on its way from elsewhere.
    since: Option<Duration>,
}

impl Pending {
    /// A release of which nobody asked yet.
    #[must_use]
    pub fn new(index: u64, release: ReleaseId, prefixes: Vec<ContentPrefix>) -> Self {
        let elsewhere = vec![None; prefixes.len()];
        Self { index, release, prefixes, elsewhere, lacking: 0, blocker: None, since: None }
    }

    /// Whether the content at `position` was on its way from elsewhere at some time while this waited, and came. What
    /// was given up is asked for, whether it is held by then or not.
    #[must_use]
    pub fn came_elsewhere(&self, position: usize) -> bool {
        self.elsewhere.get(position).and_then(Option::as_ref).is_some_and(Arrived::is_so)
    }

    fn lacking<'a>(&'a self, held: &'a [bool]) -> impl Iterator<Item = (usize, ContentPrefix)> + 'a {
        let is_held = |position: usize| held.get(position).copied().unwrap_or(false);
        self.prefixes.iter().copied().enumerate().filter(move |(position, _)| !is_held(*position))
    }

    /// The wait for one that follows on another, or on a lack of credit, is the same wait.
    fn wait_for(&mut self, blocker: Option<ContentPrefix>, now: Duration) {
        self.blocker = blocker;
        self.since = self.since.or(blocker.map(|_| now));
    }

    fn is_patient(&self, now: Duration) -> bool {
        self.since.is_none_or(|since| now.saturating_sub(since) <= WAIT_MAX)
    }
}

impl Claims {
    /// Takes up a session.
    pub fn open(&mut self) -> SessionId {
        self.opened += 1;
        let session = SessionId(self.opened);
        self.shares.insert(session, Share::default());
        session
    }

    /// Frees all that a session has claimed, for good.
    pub fn close(&mut self, session: SessionId) {
        let Some(share) = self.shares.remove(&session) else { return };
        for (index, claim) in share.entries {
            self.free(Holder { session, index }, &claim.contents);
        }
        self.releases += 1;
    }

    /// How often claims were freed: a look at what is held is stale once this has changed.
    #[must_use]
    pub fn releases(&self) -> u64 {
        self.releases
    }

    /// How many bodies are claimed, for tests of the limits.
    #[must_use]
    pub fn claimed(&self) -> usize {
        self.holders.len()
    }

    /// Claims for a session what a release lacks, and says whether it may be asked for: not while any of it is on its
    /// way from elsewhere, nor beyond the session's credit. `held` tells what we hold and may say so of, in the order
    /// of the contents.
    pub fn claim(&mut self, session: SessionId, pending: &mut Pending, held: &[bool], now: Duration) -> bool {
        let lacking: Vec<_> = pending.lacking(held).collect();
        let mut blocker = None;
        for (position, content) in &lacking {
            let Some(other) = self.fetcher(session, pending, *content, now) else { continue };
            if !pending.came_elsewhere(*position) {
                pending.elsewhere[*position] = self.arrival(other);
            }
            blocker.get_or_insert(*content);
            if let Some(share) = self.shares.get_mut(&other.session).filter(|_| other.session != session) {
                share.contested = Some(now);
            }
        }
        pending.lacking = lacking.len();
        pending.wait_for(blocker, now);
        let granted = blocker.is_none() && self.has_room(session, lacking.len(), now);
        if granted {
            self.take(Holder { session, index: pending.index }, lacking.into_iter().map(|(_, id)| id).collect(), now);
        }
        granted
    }

    /// Frees of a granted claim what turned out to be held: it came between the look at the store and the claim.
    pub fn narrow(&mut self, session: SessionId, pending: &Pending, held: &[bool], now: Duration) {
        let holder = Holder { session, index: pending.index };
        self.give_up(session, pending.index);
        self.take(holder, pending.lacking(held).map(|(_, content)| content).collect(), now);
    }

    /// Notes that bodies of an entry came, and more of them are to come.
    pub fn came(&mut self, session: SessionId, index: u64, bodies: usize, now: Duration) {
        let Some(share) = self.shares.get_mut(&session) else { return };
        let Some(claim) = share.entries.get_mut(&index) else { return };
        let bodies = bodies.min(claim.owed);
        claim.owed -= bodies;
        share.owed -= bodies;
        share.note(bodies, now);
    }

    /// Frees the claim of an entry whose bodies are all durable.
    pub fn settle(&mut self, session: SessionId, index: u64, now: Duration) {
        if let Some(claim) = self.remove(session, index)
            && let Some(share) = self.shares.get_mut(&session)
        {
            claim.came.note();
            share.note(claim.owed, now);
        }
    }

    /// Frees the claim of an entry that does not come.
    pub fn give_up(&mut self, session: SessionId, index: u64) {
        self.remove(session, index);
    }

    /// Frees a claim: this is what it was.
    fn remove(&mut self, session: SessionId, index: u64) -> Option<Claim> {
        let share = self.shares.get_mut(&session)?;
        let claim = share.entries.remove(&index)?;
        share.owed -= claim.owed;
        self.free(Holder { session, index }, &claim.contents);
        self.releases += 1;
        Some(claim)
    }

    fn take(&mut self, holder: Holder, contents: Vec<ContentPrefix>, now: Duration) {
        let Some(share) = self.shares.get_mut(&holder.session).filter(|_| !contents.is_empty()) else { return };
        self.holders.extend(contents.iter().map(|content| (*content, holder)));
        share.owed += contents.len();
        let claim = Claim { owed: contents.len(), contents, since: now, came: Arrived::default() };
        share.entries.insert(holder.index, claim);
    }

    fn free(&mut self, holder: Holder, contents: &[ContentPrefix]) {
        for content in contents {
            // Another may have taken it over.
            if self.holders.get(content) == Some(&holder) {
                self.holders.remove(content);
            }
        }
    }

    /// The entry as which a content is expected, if another should wait for that.
    fn fetcher(&self, session: SessionId, waits: &Pending, content: ContentPrefix, now: Duration) -> Option<Holder> {
        let holder = self.holders.get(&content)?;
        // Its own peer sends nothing sooner for being asked twice.
        let counts = holder.session == session || waits.is_patient(now) && self.moves(*holder, now);
        counts.then_some(*holder)
    }

    fn arrival(&self, holder: Holder) -> Option<Arrived> {
        Some(self.shares.get(&holder.session)?.entries.get(&holder.index)?.came.clone())
    }

    fn moves(&self, holder: Holder, now: Duration) -> bool {
        let Some(share) = self.shares.get(&holder.session) else { return false };
        let claim = share.entries.get(&holder.index);
        // What is asked for last comes last: while others of the same peer come it is not lost.
        claim.is_some_and(|claim| now.saturating_sub(claim.since.max(share.delivered)) <= CLAIM_TTL)
    }

    fn has_room(&self, session: SessionId, bodies: usize, now: Duration) -> bool {
        let Some(share) = self.shares.get(&session) else { return false };
        if bodies == 0 || share.entries.is_empty() {
            return true;
        }
        let contested = share.contested.is_some_and(|at| now.saturating_sub(at) <= CONTEST_SPAN);
        let is_crowded = contested && share.entries.len() >= CONTESTED_OPEN_MAX;
        !is_crowded && share.owed + bodies <= share.pace.credit()
    }
}

impl Share {
    fn note(&mut self, bodies: usize, now: Duration) {
        self.delivered = now;
        self.pace.note(bodies, now);
    }
}

impl Pace {
    fn note(&mut self, bodies: usize, now: Duration) {
        let past = now.saturating_sub(self.began);
        if past > PACE_SPAN {
            self.before = if past > PACE_SPAN * 2 { 0 } else { self.came };
            (self.began, self.came) = (now, 0);
        }
        self.came += bodies;
    }

    fn credit(&self) -> usize {
        CREDIT_BODIES_MIN.max(CREDIT_SPANS * self.came.max(self.before))
    }
}

/// The releases of one session that wait, in the order of its peer's journal.
#[derive(Debug, Default)]
pub struct Waiting(BTreeMap<u64, Pending>);

impl Waiting {
    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets one wait that could not be claimed.
    pub fn insert(&mut self, pending: Pending) {
        self.0.insert(pending.index, pending);
    }

    /// Takes those out for which it is worth to claim again: what they waited for is settled, has expired or was given
    /// up, or, for one of them, the session has credit again.
    pub fn take_ready(&mut self, session: SessionId, claims: &Claims, now: Duration) -> Vec<Pending> {
        let mut room_was_seen = false;
        let mut is_ready = |pending: &Pending| match pending.blocker {
            Some(blocker) => claims.fetcher(session, pending, blocker, now).is_none(),
            None if room_was_seen => false,
            None => {
                room_was_seen = true;
                claims.has_room(session, pending.lacking, now)
            }
        };
        let ready: Vec<u64> =
            self.0.values().filter(|pending| is_ready(pending)).map(|pending| pending.index).collect();
        ready.iter().filter_map(|index| self.0.remove(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mithaq_core::id::ContentId;
    use proptest::prelude::*;

    use super::*;

    const NOTHING: [bool; 0] = [];

    fn content(number: u32) -> ContentPrefix {
        ContentId::of(&number.to_be_bytes()).prefix()
    }

    fn pending(index: u64, contents: impl IntoIterator<Item = u32>) -> Pending {
        Pending::new(index, ReleaseId::from_bytes([7; 32]), contents.into_iter().map(content).collect())
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Two sessions, of which the first has claimed the contents 0 to 9 for its entry 1.
    fn two() -> (Claims, SessionId, SessionId) {
        let mut claims = Claims::default();
        let (a, b) = (claims.open(), claims.open());
        assert!(claims.claim(a, &mut pending(1, 0..10), &NOTHING, secs(0)));
        (claims, a, b)
    }

    #[test]
    fn what_one_fetches_another_waits_for_until_it_is_settled() {
        let (mut claims, a, b) = two();
        let mut second = pending(5, [9, 10]);
        assert!(!claims.claim(b, &mut second, &NOTHING, secs(1)));
        let mut waiting = Waiting::default();
        waiting.insert(second);
        assert!(waiting.take_ready(b, &claims, secs(1)).is_empty());
        // What waits has claimed nothing: another may have it.
        assert!(claims.claim(a, &mut pending(2, [10]), &NOTHING, secs(1)));
        claims.settle(a, 2, secs(1));
        claims.settle(a, 1, secs(1));
        let mut ready = waiting.take_ready(b, &claims, secs(1)).pop().unwrap();
        assert!(waiting.is_empty());
        assert!(ready.came_elsewhere(0) && !ready.came_elsewhere(1));
        assert!(claims.claim(b, &mut ready, &[true, false], secs(1)));
        assert_eq!(claims.holders.len(), 1);
    }

    #[test]
    fn a_claim_is_taken_over_once_its_peer_delivers_nothing() {
        let (mut claims, a, b) = two();
        let mut second = pending(5, 0..10);
        claims.came(a, 1, 3, CLAIM_TTL);
        assert!(!claims.claim(b, &mut second, &NOTHING, CLAIM_TTL + secs(1)));
        // The peer of the first sends nothing sooner for being asked twice.
        let later = CLAIM_TTL * 2 + secs(1);
        assert!(!claims.claim(a, &mut pending(2, [3]), &NOTHING, later));
        assert!(claims.claim(b, &mut second, &NOTHING, later));
        // What comes late frees nothing that is another's now.
        claims.settle(a, 1, later);
        assert_eq!(claims.holders.len(), 10);
        claims.close(b);
        assert!(claims.holders.is_empty());
    }

    #[test]
    fn nobody_waits_for_ever_for_a_trickle() {
        let (mut claims, a, b) = two();
        let mut second = pending(5, 0..10);
        for moment in 1..=WAIT_MAX.as_secs() {
            claims.came(a, 1, 0, secs(moment));
            assert!(!claims.claim(b, &mut second, &NOTHING, secs(moment)));
        }
        assert!(claims.claim(b, &mut second, &NOTHING, WAIT_MAX + secs(2)));
    }

    #[test]
    fn the_wait_for_one_after_another_is_no_longer() {
        let (mut claims, a, b) = two();
        let c = claims.open();
        assert!(claims.claim(c, &mut pending(1, [10]), &NOTHING, secs(0)));
        let mut second = pending(5, [9, 10]);
        assert!(!claims.claim(b, &mut second, &NOTHING, secs(1)));
        claims.settle(a, 1, secs(20));
        claims.came(c, 1, 0, secs(25));
        assert!(!claims.claim(b, &mut second, &[true], WAIT_MAX));
        assert!(claims.claim(b, &mut second, &[true], WAIT_MAX + secs(2)));
    }

    #[test]
    fn a_lack_of_credit_does_not_begin_the_wait_anew() {
        let (mut claims, a, b) = two();
        let c = claims.open();
        let credit = u32::try_from(CREDIT_BODIES_MIN).unwrap();
        assert!(claims.claim(b, &mut pending(2, 100..100 + credit), &NOTHING, secs(0)));
        let mut second = pending(5, [9]);
        assert!(!claims.claim(b, &mut second, &NOTHING, secs(1)));
        claims.settle(a, 1, secs(10));
        assert!(!claims.claim(b, &mut second, &NOTHING, secs(11)), "there is no room");
        assert!(claims.claim(c, &mut pending(1, [9]), &NOTHING, secs(20)));
        claims.settle(b, 2, secs(21));
        assert!(!claims.claim(b, &mut second, &NOTHING, WAIT_MAX));
        assert!(claims.claim(b, &mut second, &NOTHING, WAIT_MAX + secs(2)));
    }

    #[test]
    fn what_was_waited_for_counts_as_come_only_if_it_came() {
        for comes in [true, false] {
            let (mut claims, a, b) = two();
            let mut second = pending(5, [9]);
            assert!(!claims.claim(b, &mut second, &NOTHING, secs(1)));
            assert!(!second.came_elsewhere(0));
            if comes {
                claims.settle(a, 1, secs(2))
            } else {
                claims.give_up(a, 1)
            }
            assert_eq!(second.came_elsewhere(0), comes);
        }
    }

    #[test]
    fn the_end_of_a_session_frees_what_it_claimed() {
        let (mut claims, a, b) = two();
        let before = claims.releases();
        claims.close(a);
        assert_ne!(claims.releases(), before);
        assert!(claims.claim(b, &mut pending(5, 0..10), &NOTHING, secs(0)));
        assert!(!claims.claim(a, &mut pending(2, 20..21), &NOTHING, secs(0)), "it is over");
    }

    #[test]
    fn the_credit_grows_with_what_comes_and_one_release_always_has_room() {
        let mut claims = Claims::default();
        let a = claims.open();
        let mut claim = |index: u64, now: Duration| {
            let first = u32::try_from(index * 1000).unwrap();
            claims.claim(a, &mut pending(index, first..first + 1000), &NOTHING, now)
        };
        let most = u64::try_from(CREDIT_BODIES_MIN / 1000).unwrap();
        assert!((1..=most).all(|index| claim(index, secs(0))) && !claim(most + 1, secs(0)));
        (1..=most).for_each(|index| claims.settle(a, index, secs(1)));
        let mut claimed = 0;
        while claims.claim(a, &mut pending(u64::from(claimed) + 100, [claimed]), &NOTHING, secs(1)) {
            claimed += 1;
        }
        assert_eq!(u64::from(claimed), u64::try_from(CREDIT_SPANS).unwrap() * most * 1000);
        claims.close(a);
        let b = claims.open();
        let huge = u32::try_from(CREDIT_BODIES_MIN * 2).unwrap();
        assert!(claims.claim(b, &mut pending(1, 0..huge), &NOTHING, secs(1)));
    }

    #[test]
    fn who_is_contested_leaves_half_of_the_window_to_others() {
        let mut claims = Claims::default();
        let (a, b) = (claims.open(), claims.open());
        let entries = u64::try_from(CONTESTED_OPEN_MAX).unwrap();
        for index in 1..=entries {
            assert!(claims.claim(a, &mut pending(index, [u32::try_from(index).unwrap()]), &NOTHING, secs(0)));
        }
        assert!(!claims.claim(b, &mut pending(1, [1]), &NOTHING, secs(1)));
        let mut next = pending(entries + 1, [9_999]);
        assert!(!claims.claim(a, &mut next, &NOTHING, secs(1)));
        assert!(next.elsewhere[0].is_none());
        let mut waiting = Waiting::default();
        waiting.insert(next);
        waiting.insert(pending(entries + 2, [9_998]));
        assert!(waiting.take_ready(a, &claims, secs(1)).is_empty());
        claims.settle(a, 7, secs(2));
        assert_eq!(waiting.take_ready(a, &claims, secs(2)).len(), 1, "there is room for one");
        let much_later = secs(2) + CONTEST_SPAN + secs(1);
        assert_eq!(waiting.take_ready(a, &claims, much_later).len(), 1, "the contest is over");
    }

    #[test]
    fn what_came_meanwhile_is_freed() {
        let (mut claims, a, b) = two();
        claims.narrow(a, &pending(1, 0..10), &[true; 9], secs(0));
        assert!(claims.claim(b, &mut pending(5, 0..9), &NOTHING, secs(0)));
        assert!(!claims.claim(b, &mut pending(6, 9..10), &NOTHING, secs(0)));
        claims.narrow(a, &pending(1, 0..10), &[true; 10], secs(0));
        assert!(claims.claim(b, &mut pending(6, 9..10), &NOTHING, secs(0)));
        assert!(claims.shares[&a].entries.is_empty() && claims.shares[&a].owed == 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Claim(usize, u64, BTreeSet<u32>),
        Came(usize, u64),
        Settle(usize, u64),
        GiveUp(usize, u64),
        Reopen(usize),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let contents = proptest::collection::btree_set(0_u32..12, 1..6);
        let step = prop_oneof![
            4 => (0_usize..3, 1_u64..6, contents).prop_map(|(session, index, set)| Step::Claim(session, index, set)),
            1 => (0_usize..3, 1_u64..6).prop_map(|(session, index)| Step::Came(session, index)),
            2 => (0_usize..3, 1_u64..6).prop_map(|(session, index)| Step::Settle(session, index)),
            1 => (0_usize..3, 1_u64..6).prop_map(|(session, index)| Step::GiveUp(session, index)),
            1 => (0_usize..3).prop_map(Step::Reopen),
            1 => (1_u64..40).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 1..60)
    }

    /// What is owed is what is claimed, and each body has one holder, which has claimed it.
    fn check_books(claims: &Claims) {
        for share in claims.shares.values() {
            assert_eq!(share.owed, share.entries.values().map(|claim| claim.owed).sum::<usize>());
        }
        for (content, holder) in &claims.holders {
            assert!(claims.shares[&holder.session].entries[&holder.index].contents.contains(content));
        }
    }

    /// What the table is to do, written down plainly: who fetches each content, since when, and when each session last
    /// delivered.
    #[derive(Default)]
    struct Model {
        fetchers: BTreeMap<u32, (usize, u64)>,
        since: BTreeMap<(usize, u64), Duration>,
        delivered: [Duration; 3],
    }

    impl Model {
        fn is_free(&self, content: u32, session: usize, now: Duration) -> bool {
            let fetcher = self.fetchers.get(&content);
            fetcher.is_none_or(|entry| {
                entry.0 != session && now - self.since[entry].max(self.delivered[entry.0]) > CLAIM_TTL
            })
        }

        fn take(&mut self, set: &BTreeSet<u32>, entry: (usize, u64), now: Duration) {
            self.since.insert(entry, now);
            self.fetchers.extend(set.iter().map(|content| (*content, entry)));
        }

        fn deliver(&mut self, entry: (usize, u64), now: Duration) {
            if self.since.contains_key(&entry) {
                self.delivered[entry.0] = now;
            }
        }

        fn free(&mut self, is_meant: impl Fn((usize, u64)) -> bool) {
            self.fetchers.retain(|_, entry| !is_meant(*entry));
            self.since.retain(|entry, _| !is_meant(*entry));
        }
    }

    proptest! {
        /// A body is asked for exactly when nobody is fetching it, or whoever is has not delivered for [`CLAIM_TTL`].
        #[test]
        fn one_body_one_peer(steps in steps()) {
            let mut claims = Claims::default();
            let mut model = Model::default();
            let mut sessions = [claims.open(), claims.open(), claims.open()];
            let mut now = secs(0);
            for step in steps {
                match step {
                    Step::Claim(session, index, _) if model.since.contains_key(&(session, index)) => {}
                    Step::Claim(session, index, set) => {
                        let mut asked = pending(index, set.clone());
                        let granted = claims.claim(sessions[session], &mut asked, &NOTHING, now);
                        prop_assert_eq!(granted, set.iter().all(|content| model.is_free(*content, session, now)));
                        if granted {
                            model.take(&set, (session, index), now);
                        }
                    }
                    Step::Came(session, index) => {
                        claims.came(sessions[session], index, 1, now);
                        model.deliver((session, index), now);
                    }
                    Step::Settle(session, index) => {
                        claims.settle(sessions[session], index, now);
                        model.deliver((session, index), now);
                        model.free(|entry| entry == (session, index));
                    }
                    Step::GiveUp(session, index) => {
                        claims.give_up(sessions[session], index);
                        model.free(|entry| entry == (session, index));
                    }
                    Step::Reopen(session) => {
                        claims.close(sessions[session]);
                        sessions[session] = claims.open();
                        model.delivered[session] = secs(0);
                        model.free(|entry| entry.0 == session);
                    }
                    Step::Wait(seconds) => now += secs(seconds),
                }
                check_books(&claims);
            }
            sessions.into_iter().for_each(|session| claims.close(session));
            prop_assert!(claims.holders.is_empty() && claims.shares.is_empty());
        }
    }
}
