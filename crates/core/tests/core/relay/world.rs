//! A world in motion: nodes that pass on what the release rule lets go, and messages that wait to arrive.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_core::{
    agreement::VerifiedAgreement,
    consent::{Answer, Consent, ConsentRequest, ConsentScope, ConsentState, LabelClass, Passing, VerifiedConsent},
    id::{ContentId, ReleaseId},
    label::{Category, Label},
    policy::{self, Ending, LocalPolicy, Question, Subject},
    release::{Kind, ReleaseDraft, VerifiedRelease},
    statement::Verified,
    stix::Tlp,
    time::Time,
};

use super::{
    cast::{CERTS, agree, content_of, id_of, local_policy, moment, number_of},
    node::{Node, Sent},
    oracle::{self, DAY, Deed, Fact, Marks, Oracle, Word},
    plan::{Event, Onward, Plan, What},
};

/// What has happened in a world, so that a test can tell that something has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) published: usize,
    pub(super) delivered: usize,
    /// Arrivals that came from a CERT other than the origin.
    pub(super) relayed: usize,
    /// Of those, the ones that needed a word of the origin.
    pub(super) consented: usize,
    pub(super) red: usize,
    /// What was let go and might no more when its turn came.
    pub(super) gone: usize,
    pub(super) withdrawn: usize,
    pub(super) withdrawn_by_relay: usize,
    /// Contents of releases that are void somewhere at the end.
    pub(super) void: usize,
    /// Arrivals under the agreement of a group.
    pub(super) within_groups: usize,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.relayed += other.relayed;
        self.consented += other.consented;
        self.red += other.red;
        self.gone += other.gone;
        self.withdrawn += other.withdrawn;
        self.withdrawn_by_relay += other.withdrawn_by_relay;
        self.void += other.void;
        self.within_groups += other.within_groups;
    }
}

/// What waits to arrive.
#[derive(Debug, Clone)]
struct Message {
    from: usize,
    to: usize,
    what: Load,
}

#[derive(Debug, Clone)]
enum Load {
    Release(ReleaseId),
    Consent(Box<(VerifiedConsent, Word)>),
    End(Ending),
}

/// A world in motion.
pub(super) struct World<'a> {
    plan: &'a Plan,
    agreements: Vec<VerifiedAgreement>,
    locals: Vec<LocalPolicy>,
    nodes: Vec<Node>,
    releases: BTreeMap<ReleaseId, Sent>,
    queue: Vec<Message>,
    now: i64,
    random: u64,
    oracle: Oracle<'a>,
    counts: Counts,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            agreements: plan.pacts.iter().map(agree).collect(),
            locals: plan.locals.iter().map(local_policy).collect(),
            nodes: vec![Node::default(); plan.certs()],
            releases: BTreeMap::new(),
            queue: Vec::new(),
            now: 0,
            random: plan.seed,
            oracle: Oracle::new(plan),
            counts: Counts::default(),
        }
    }

    /// Lets everything happen, and then everything arrive.
    pub(super) fn run(mut self) -> Counts {
        for event in &self.plan.events {
            self.now += 1;
            self.happen(event);
            self.forward();
        }
        while let Some(place) = self.any_that_can_arrive() {
            self.now += 1;
            self.arrive(place);
            self.forward();
        }
        self.check_the_end();
        self.counts
    }

    fn random(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        usize::try_from(self.random >> 33).unwrap() % bound
    }

    fn happen(&mut self, event: &Event) {
        let certs = self.plan.certs();
        match event {
            Event::Publish { by, contents, tlp, category, recipients, personal, banking } => {
                let recipients = recipients.iter().map(|cert| cert % certs).collect();
                let (tlp, category) = (*tlp, *category);
                let marks = Marks { tlp, category, personal: *personal, banking: *banking, recipients };
                self.publish(by % certs, contents, marks);
            }
            Event::Withdraw { by, number } => self.withdraw(by % certs, *number),
            Event::Consent { origin, relay, third, grant, what, days } => {
                self.consent([origin % certs, relay % certs, third % certs], *grant, what, *days);
            }
            Event::Terminate { by, peer } => self.terminate(by % certs, peer % certs),
            Event::Local { by, content, accept } => {
                let kind = if *accept { Kind::Accept } else { Kind::Review };
                let label = Label::new(Tlp::Clear, Category::Threat);
                let draft = draft(kind, label, [*content].into(), moment(self.now));
                self.sign(by % certs, draft, Deed::Local, [*content].into());
            }
            Event::Days(days) => self.now += days * DAY,
            Event::Arrive(number) if !self.queue.is_empty() => self.arrive(number % self.queue.len()),
            Event::Arrive(_) => {}
        }
    }

    fn publish(&mut self, by: usize, contents: &BTreeSet<u8>, marks: Marks) {
        let mut label = Label::new(marks.tlp, marks.category);
        label.sectors = [if marks.banking { "banking" } else { "energy" }.to_owned()].into();
        label.personal = marks.personal;
        let recipients = marks.recipients.iter().map(|cert| id_of(*cert)).collect();
        let draft = draft(Kind::Publish, label, contents.clone(), moment(self.now));
        self.counts.published += 1;
        self.sign(by, ReleaseDraft { recipients, ..draft }, Deed::Publish(marks), contents.clone());
    }

    /// Takes back one of the contents that a CERT has published, together with those that exactly the same releases name.
    fn withdraw(&mut self, by: usize, number: u8) {
        let own = self.oracle.facts.values().filter(|fact| fact.origin == by && matches!(fact.deed, Deed::Publish(_)));
        let published: BTreeSet<u8> = own.flat_map(|fact| fact.contents.iter().copied()).collect();
        let Some(content) = published.iter().copied().cycle().nth(usize::from(number)) else { return };
        let naming = |content: u8| -> Vec<ReleaseId> {
            let is_naming = |(_, fact): &(&ReleaseId, &Fact)| {
                fact.origin == by && matches!(fact.deed, Deed::Publish(_)) && fact.contents.contains(&content)
            };
            self.oracle.facts.iter().filter(is_naming).map(|(id, _)| *id).collect()
        };
        let releases = naming(content);
        let contents: BTreeSet<u8> = published.into_iter().filter(|other| naming(*other) == releases).collect();
        let levels = releases.iter().map(|id| self.releases[id].release.manifest().label.level());
        let label = Label::new(levels.max().unwrap(), Category::Meta);
        // What is published of a release is its notice; which contents that names is told beside it here.
        let notice = ContentId::of(format!("{contents:?}").as_bytes());
        let draft =
            ReleaseDraft { kind: Kind::Withdraw, ..ReleaseDraft::publish(label, vec![notice], moment(self.now)) };
        self.counts.withdrawn += 1;
        self.sign(by, draft, Deed::Withdraw, contents);
    }

    fn sign(&mut self, by: usize, draft: ReleaseDraft, deed: Deed, contents: BTreeSet<u8>) {
        let release = VerifiedRelease::sign(id_of(by), &CERTS[by].signing, draft).unwrap();
        let id = release.id();
        let named = contents.iter().copied().map(content_of).collect();
        self.releases.insert(id, Sent { release, contents: named });
        self.oracle.facts.insert(id, Fact { deed, origin: by, contents, at: self.now });
        self.oracle.seen[by].holds.insert(id);
        self.nodes[by].take(id, &self.releases);
    }

    fn consent(&mut self, [origin, relay, third]: [usize; 3], grant: bool, what: &What, days: i64) {
        if origin == relay || relay == third || third == origin || self.plan.between(origin, relay).is_none() {
            return;
        }
        let (scope, subject) = match what {
            What::All => (ConsentScope::All, oracle::Subject::All),
            What::Class(tlp_max, category) => {
                let class = LabelClass { tlp_max: *tlp_max, categories: [*category].into() };
                (ConsentScope::Class(class), oracle::Subject::Class(*tlp_max, *category))
            }
            What::Release(number) => {
                let mut own = self.oracle.facts.iter().filter(|(_, fact)| fact.origin == origin).map(|(id, _)| *id);
                let Some(release) = own.nth(*number) else { return };
                (ConsentScope::Releases([release].into()), oracle::Subject::Release(release))
            }
        };
        let (at, until) = (self.now, self.now + days * DAY);
        let request = ConsentRequest::new(id_of(relay), id_of(origin), id_of(third), ConsentScope::All, moment(at), "");
        let answer = if grant { Answer::Grant } else { Answer::Deny };
        let consent = Consent::answer(&request, answer, scope, moment(at), moment(until));
        let consent = Verified::sign(consent, &CERTS[origin].signing).unwrap();
        let word = Word { origin, third, grant, what: subject, at, until };
        self.queue.push(Message { from: origin, to: relay, what: Load::Consent(Box::new((consent, word))) });
    }

    fn terminate(&mut self, by: usize, peer: usize) {
        if self.plan.between(by, peer).is_none() || self.nodes[by].ended.contains_key(&peer) {
            return;
        }
        let ending = Ending { at: moment(self.now), by: id_of(by) };
        self.end(by, peer, ending);
        self.queue.push(Message { from: by, to: peer, what: Load::End(ending) });
    }

    fn end(&mut self, at: usize, with: usize, ending: Ending) {
        self.nodes[at].ended.entry(with).or_insert(ending);
        self.oracle.seen[at].over.insert(with);
    }

    /// Every node asks the rule of all that it holds, for every peer, and notes what may go before it goes.
    fn forward(&mut self) {
        for from in 0..self.plan.certs() {
            for to in (0..self.plan.certs()).filter(|to| self.plan.between(from, *to).is_some()) {
                for id in self.nodes[from].log.clone() {
                    if !self.nodes[from].disclosed.contains(&(to, id)) && self.may_go(from, to, id) {
                        self.nodes[from].disclosed.insert((to, id));
                        self.assert_may_cross(from, to, id);
                        self.oracle.seen[from].disclosed.entry(to).or_default().insert(id);
                        self.queue.push(Message { from, to, what: Load::Release(id) });
                    }
                }
            }
        }
    }

    /// Asks the release rule.
    fn may_go(&self, from: usize, to: usize, id: ReleaseId) -> bool {
        let (node, manifest) = (&self.nodes[from], self.releases[&id].release.manifest());
        let third = number_of(manifest.origin);
        let between = |a: usize, b: usize| self.plan.between(a, b).map(|pact| &self.agreements[pact]);
        let with_origin = between(from, third).filter(|_| !node.ended.contains_key(&third));
        let now = moment(self.now);
        let passing = Passing {
            origin: manifest.origin,
            us: id_of(from),
            third: id_of(to),
            release: id,
            label: &manifest.label,
            now,
        };
        let mut subject = Subject::of(manifest);
        subject.held = node.is_held(id);
        subject.disclosed = manifest.kind == Kind::Withdraw && self.was_given(from, to, id);
        policy::release(&Question {
            subject,
            us: id_of(from),
            peer: id_of(to),
            agreement: between(from, to),
            ended: node.ended.get(&to).copied(),
            with_origin,
            consent: ConsentState::of(&node.consents, &passing),
            local: &self.locals[from],
            now,
        })
        .released
    }

    fn was_given(&self, from: usize, to: usize, withdrawal: ReleaseId) -> bool {
        let Sent { release, contents } = &self.releases[&withdrawal];
        let taken = release.manifest();
        let mut given = self.nodes[from].disclosed.iter().filter(|(peer, _)| *peer == to);
        given.any(|(_, id)| {
            let given = &self.releases[id];
            let manifest = given.release.manifest();
            (manifest.kind, manifest.origin) == (Kind::Publish, taken.origin)
                && manifest.published_at <= taken.published_at
                && given.contents.iter().any(|content| contents.contains(content))
        })
    }

    fn assert_may_cross(&self, from: usize, to: usize, id: ReleaseId) {
        if let Err(rule) = self.oracle.may_cross(from, to, id, self.now) {
            panic!("{rule}: {from} to {to} at {}: {:?}", self.now, self.oracle.facts[&id]);
        }
    }

    /// One message arrives, if there is a session: an agreement that has not begun has none.
    fn arrive(&mut self, place: usize) {
        if !self.has_session(&self.queue[place]) {
            return;
        }
        let Message { from, to, what } = self.queue.swap_remove(place);
        match what {
            Load::Release(id) => self.deliver(from, to, id),
            Load::Consent(said) => {
                let (consent, word) = *said;
                self.nodes[to].consents.push(consent);
                self.oracle.seen[to].words.push(word);
            }
            Load::End(ending) => self.end(to, from, ending),
        }
    }

    fn has_session(&self, message: &Message) -> bool {
        let pact = self.plan.between(message.from, message.to);
        pact.is_some_and(|pact| self.plan.pacts[pact].from_day * DAY <= self.now)
    }

    fn any_that_can_arrive(&mut self) -> Option<usize> {
        let ready: Vec<usize> = (0..self.queue.len()).filter(|place| self.has_session(&self.queue[*place])).collect();
        if ready.is_empty() { None } else { Some(ready[self.random(ready.len())]) }
    }

    /// The rule is asked again when a release leaves; then it crosses.
    fn deliver(&mut self, from: usize, to: usize, id: ReleaseId) {
        if !self.may_go(from, to, id) {
            self.counts.gone += 1;
            return;
        }
        self.assert_may_cross(from, to, id);
        let release = &self.releases[&id].release;
        let origin = number_of(release.manifest().origin);
        let verified = release.signed().clone().verify(&CERTS[origin].card, moment(self.now)).unwrap();
        assert_eq!(&verified, release);
        self.count(from, to, id, origin);
        self.oracle.seen[to].holds.insert(id);
        if !self.nodes[to].log.contains(&id) {
            self.nodes[to].take(id, &self.releases);
        }
    }

    fn count(&mut self, from: usize, to: usize, id: ReleaseId, origin: usize) {
        let manifest = self.releases[&id].release.manifest();
        let pact = &self.plan.pacts[self.plan.between(from, to).unwrap()];
        let is_publish = manifest.kind == Kind::Publish;
        self.counts.delivered += 1;
        self.counts.within_groups += usize::from(pact.is_group);
        self.counts.red += usize::from(is_publish && manifest.label.level() == Tlp::Red);
        if from != origin {
            let with_origin = &self.plan.pacts[self.plan.between(from, origin).unwrap_or(0)];
            let is_asked = is_publish && matches!(with_origin.flow_from(origin).onward, Onward::Ask);
            self.counts.relayed += usize::from(is_publish);
            self.counts.withdrawn_by_relay += usize::from(!is_publish);
            self.counts.consented += usize::from(is_asked);
        }
    }

    /// When everything has arrived that can.
    fn check_the_end(&mut self) {
        self.everything_went_that_may();
        self.withdrawals_came_to_all_who_were_given();
        self.nobody_is_out_of_reach();
        self.order_changes_nothing();
    }

    /// What may cross now did: a rule that lets nothing go would pass all the rest.
    fn everything_went_that_may(&self) {
        for from in 0..self.plan.certs() {
            for to in (0..self.plan.certs()).filter(|to| self.plan.between(from, *to).is_some()) {
                for id in &self.oracle.seen[from].holds {
                    let may = self.oracle.may_cross(from, to, *id, self.now).is_ok();
                    let did = self.nodes[from].disclosed.contains(&(to, *id));
                    assert!(!may || did, "{from} keeps from {to} {:?}", self.oracle.facts[id]);
                }
            }
        }
    }

    /// Who was given something knows that it was taken back; who knows that was given it, or it was on its way: what is in
    /// doubt counts as disclosed.
    fn withdrawals_came_to_all_who_were_given(&self) {
        let taken = self.oracle.facts.iter().filter(|(_, fact)| matches!(fact.deed, Deed::Withdraw));
        for (withdrawal, fact) in taken {
            for (cert, seen) in self.oracle.seen.iter().enumerate() {
                let is_void = |id: &&ReleaseId| self.oracle.is_voided(id, withdrawal);
                let given = seen.holds.iter().find(is_void);
                let is_told = seen.holds.contains(withdrawal);
                assert!(given.is_none() || is_told, "{cert} was given {given:?} and never told of {fact:?}");
                let sent = self.oracle.seen.iter().filter_map(|from| from.disclosed.get(&cert));
                let is_disclosed = sent.flatten().any(|id| is_void(&id));
                assert!(given.is_some() || is_disclosed || !is_told, "{cert} was told of {fact:?} for nothing");
            }
        }
    }

    /// Nobody learns of releases that no chain of terms could bring to it; so no stranger of a group's.
    fn nobody_is_out_of_reach(&self) {
        for origin in 0..self.plan.certs() {
            let reach = self.oracle.reach(origin);
            for (cert, seen) in self.oracle.seen.iter().enumerate().filter(|(cert, _)| !reach.contains(cert)) {
                let known = seen.holds.iter().find(|id| self.oracle.facts[*id].origin == origin);
                assert!(
                    known.is_none(),
                    "{cert} has learned of a release of {origin}, which it has nothing to do with"
                );
            }
        }
    }

    /// What arrived in another order ends in the same standing, which is what the oracle makes of it.
    fn order_changes_nothing(&mut self) {
        for cert in 0..self.plan.certs() {
            let expected: BTreeSet<(ReleaseId, ContentId)> =
                self.oracle.void_at(cert).into_iter().map(|(id, content)| (id, content_of(content))).collect();
            assert_eq!(self.nodes[cert].void, expected, "the standing at {cert}");
            self.counts.void += expected.len();
            let mut log = self.nodes[cert].log.clone();
            for last in (1..log.len()).rev() {
                let other = self.random(last + 1);
                log.swap(last, other);
            }
            let mut again = Node::default();
            log.into_iter().for_each(|id| again.take(id, &self.releases));
            assert_eq!(again.void, expected, "the standing at {cert}, had it come in another order");
        }
    }
}

fn draft(kind: Kind, label: Label, contents: BTreeSet<u8>, at: Time) -> ReleaseDraft {
    let contents = contents.into_iter().map(content_of).collect();
    ReleaseDraft { kind, ..ReleaseDraft::publish(label, contents, at) }
}
