//! What may cross a link, in the words of AGREEMENTS.md and of section 7 of the design. Nothing here asks the release rule,
//! and all that is known comes from what happened, not from what the nodes keep.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_core::{id::ReleaseId, label::Category, stix::Tlp};

use super::plan::{Onward, Plan};

/// Seconds of a day.
pub(super) const DAY: i64 = 24 * 60 * 60;

/// What a release is.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Publish(Marks),
    /// Takes back what stands in its contents.
    Withdraw,
    Local,
}

/// How a release is marked.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    pub(super) tlp: Tlp,
    pub(super) category: Category,
    pub(super) personal: bool,
    pub(super) banking: bool,
    pub(super) recipients: BTreeSet<usize>,
}

/// A release as its origin meant it.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) deed: Deed,
    pub(super) origin: usize,
    /// What it publishes or takes back.
    pub(super) contents: BTreeSet<u8>,
    /// Seconds from the beginning of the world.
    pub(super) at: i64,
}

/// What an origin has said to a relay.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) origin: usize,
    pub(super) third: usize,
    pub(super) grant: bool,
    pub(super) what: Subject,
    pub(super) at: i64,
    pub(super) until: i64,
}

/// What a word is about.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    All,
    Class(Tlp, Category),
    Release(ReleaseId),
}

/// What one CERT has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// What it signed, and what arrived.
    pub(super) holds: BTreeSet<ReleaseId>,
    /// Whom it was going to send what, durably.
    pub(super) disclosed: BTreeMap<usize, BTreeSet<ReleaseId>>,
    pub(super) words: Vec<Word>,
    /// The CERTs with which its agreement is over before its time.
    pub(super) over: BTreeSet<usize>,
}

/// The oracle.
#[derive(Debug)]
pub(super) struct Oracle<'a> {
    plan: &'a Plan,
    pub(super) facts: BTreeMap<ReleaseId, Fact>,
    pub(super) seen: Vec<Seen>,
}

/// Why something may not cross.
type Verdict = Result<(), &'static str>;

fn require(holds: bool, rule: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(rule) }
}

impl<'a> Oracle<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { plan, facts: BTreeMap::new(), seen: vec![Seen::default(); plan.certs()] }
    }

    /// Whether a release may cross the link from one CERT to another at a moment.
    pub(super) fn may_cross(&self, from: usize, to: usize, id: ReleaseId, now: i64) -> Verdict {
        let fact = &self.facts[&id];
        require(self.seen[from].holds.contains(&id), "nobody sends what it does not hold")?;
        require(to != fact.origin, "nothing goes back to the CERT that it came from")?;
        match &fact.deed {
            Deed::Local => Err("what speaks to a CERT's own readers never leaves it"),
            Deed::Withdraw => {
                let given = self.seen[from].disclosed.get(&to);
                let is_given = given.is_some_and(|given| given.iter().any(|given| self.is_voided(given, &id)));
                require(is_given, "a withdrawal goes to nobody who was not given what it takes back")
            }
            Deed::Publish(marks) => {
                self.terms_let_go(from, to, fact, marks, now)?;
                self.is_addressed(from, to, fact, marks)?;
                self.is_passed_on(from, to, id, marks, now)?;
                require(!self.is_void_for(from, &id), "what is withdrawn is never passed on anew")
            }
        }
    }

    /// What the agreement of the two says of a release, and the sender's own operator.
    fn terms_let_go(&self, from: usize, to: usize, fact: &Fact, marks: &Marks, now: i64) -> Verdict {
        let pact = self.plan.between(from, to).ok_or("without an agreement nothing goes")?;
        let pact = &self.plan.pacts[pact];
        let flow = pact.flow_from(from);
        require(self.holds_between(from, to, now), "before an agreement, after it, or once it is ended nothing goes")?;
        require(marks.tlp <= flow.tlp_max, "the level is over the agreement's")?;
        require(marks.tlp <= self.plan.locals[from].tlp_max, "the level is over the operator's")?;
        require(marks.tlp != Tlp::Green || pact.community, "GREEN goes only inside a declared community")?;
        require(flow.categories.contains(&marks.category), "the category is not listed")?;
        require(flow.personal || !marks.personal, "personal data is not let go")?;
        require(!flow.banking_only || marks.banking, "the sector is not listed")?;
        require(flow.age_days_max.is_none_or(|days| now - fact.at <= i64::from(days) * DAY), "it is too old")
    }

    fn holds_between(&self, a: usize, b: usize, now: i64) -> bool {
        let Some(pact) = self.plan.between(a, b) else { return false };
        let pact = &self.plan.pacts[pact];
        (pact.from_day * DAY..=pact.until_day * DAY).contains(&now) && !self.seen[a].over.contains(&b)
    }

    fn is_addressed(&self, from: usize, to: usize, fact: &Fact, marks: &Marks) -> Verdict {
        let is_named = marks.recipients.contains(&to);
        require(marks.recipients.is_empty() || is_named, "what names its recipients goes to these alone")?;
        let is_straight = from == fact.origin;
        match marks.tlp {
            Tlp::Red => require(is_named && is_straight, "RED goes to named recipients, straight from the origin"),
            Tlp::Amber | Tlp::AmberStrict => require(is_straight, "AMBER goes to no third CERT"),
            _ => Ok(()),
        }
    }

    /// What the origin says of passing on, and the receiver of taking it.
    fn is_passed_on(&self, from: usize, to: usize, id: ReleaseId, marks: &Marks, now: i64) -> Verdict {
        let origin = self.facts[&id].origin;
        if from == origin {
            return Ok(());
        }
        let takes_it = self.plan.between(from, to).is_some_and(|pact| self.plan.pacts[pact].third_party);
        require(takes_it, "the receiver takes nothing of third CERTs")?;
        require(self.plan.locals[from].onward, "the relay's operator passes nothing on")?;
        require(self.holds_between(from, origin, now), "the relay has no agreement with the origin that holds")?;
        let pact = self.plan.between(from, origin).ok_or("the relay has no agreement with the origin")?;
        let word = self.last_word(from, to, id, marks, now);
        require(word != Some(false), "the origin has denied its consent")?;
        match &self.plan.pacts[pact].flow_from(origin).onward {
            Onward::Never => Err("the origin lets nothing be passed on"),
            Onward::Ask => require(word == Some(true), "the origin has not consented"),
            Onward::Listed(certs) => require(certs.contains(&to), "the origin lists other CERTs"),
        }
    }

    /// What the origin said last of this release and this third CERT, and of two words of one moment the denial.
    fn last_word(&self, relay: usize, third: usize, id: ReleaseId, marks: &Marks, now: i64) -> Option<bool> {
        let origin = self.facts[&id].origin;
        let mut last: Option<&Word> = None;
        for word in &self.seen[relay].words {
            let is_about = match &word.what {
                Subject::All => true,
                Subject::Class(level, category) => marks.tlp <= *level && marks.category == *category,
                Subject::Release(release) => *release == id,
            };
            let applies = word.origin == origin && word.third == third && now <= word.until && is_about;
            let is_later = last.is_none_or(|last| word.at > last.at || (word.at == last.at && !word.grant));
            if applies && is_later {
                last = Some(word);
            }
        }
        last.map(|word| word.grant)
    }

    /// Whether a withdrawal takes back something of a release: of the same origin, not later than the withdrawal.
    pub(super) fn is_voided(&self, release: &ReleaseId, withdrawal: &ReleaseId) -> bool {
        let (given, taken) = (&self.facts[release], &self.facts[withdrawal]);
        matches!(given.deed, Deed::Publish(_))
            && matches!(taken.deed, Deed::Withdraw)
            && given.origin == taken.origin
            && given.at <= taken.at
            && !given.contents.is_disjoint(&taken.contents)
    }

    /// Whether a CERT knows that something of a release was taken back.
    fn is_void_for(&self, cert: usize, id: &ReleaseId) -> bool {
        self.seen[cert].holds.iter().any(|held| self.is_voided(id, held))
    }

    /// What of what a CERT holds is void there.
    pub(super) fn void_at(&self, cert: usize) -> BTreeSet<(ReleaseId, u8)> {
        let holds = &self.seen[cert].holds;
        let of = |release: &ReleaseId| {
            let taken = holds.iter().filter(|held| self.is_voided(release, held));
            let contents: BTreeSet<u8> = taken.flat_map(|held| self.facts[held].contents.clone()).collect();
            let void = self.facts[release].contents.intersection(&contents).copied().collect::<Vec<_>>();
            void.into_iter().map(|content| (*release, content)).collect::<Vec<_>>()
        };
        holds.iter().flat_map(of).collect()
    }

    /// The CERTs to which an origin's releases could come at the very most, whoever consents: those it has agreed with, and
    /// those to whom such a CERT, or a CERT that it reached, may pass on by the origin's own terms.
    pub(super) fn reach(&self, origin: usize) -> BTreeSet<usize> {
        let everyone = 0..self.plan.certs();
        let direct = |cert: &usize| self.plan.between(origin, *cert).is_some();
        let mut reached: BTreeSet<usize> = everyone.clone().filter(direct).collect();
        let relays = reached.clone();
        for relay in relays {
            let Some(pact) = self.plan.between(relay, origin) else { continue };
            for third in everyone.clone().filter(|third| self.plan.between(relay, *third).is_some()) {
                match &self.plan.pacts[pact].flow_from(origin).onward {
                    Onward::Never => {}
                    Onward::Ask => drop(reached.insert(third)),
                    Onward::Listed(certs) => drop(certs.contains(&third).then(|| reached.insert(third))),
                }
            }
        }
        reached.insert(origin);
        reached
    }
}
