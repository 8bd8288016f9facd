//! Random worlds, as plain data.

use std::collections::BTreeSet;

use mithaq_core::{label::Category, stix::Tlp};
use proptest::{collection::vec, prelude::*, sample::select};

/// The most CERTs of a world.
pub(super) const CERTS_MAX: usize = 8;

/// The contents that there are.
const CONTENTS: u8 = 6;

/// Who there is, what they have agreed, and what happens.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) locals: Vec<Local>,
    /// Of two agreements of one pair the first counts between the two.
    pub(super) pacts: Vec<Pact>,
    pub(super) events: Vec<Event>,
    /// In which order what still waits at the end arrives, and in which order arrivals are replayed.
    pub(super) seed: u64,
}

/// What one CERT's own operator lets go.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) tlp_max: Tlp,
    pub(super) onward: bool,
}

/// An agreement of two, or of a group.
#[derive(Debug, Clone)]
pub(super) struct Pact {
    pub(super) members: Vec<usize>,
    pub(super) is_group: bool,
    /// One from each of two members, or one of the group.
    pub(super) flows: Vec<Terms>,
    pub(super) community: bool,
    pub(super) third_party: bool,
    /// Days from the beginning of the world.
    pub(super) from_day: i64,
    pub(super) until_day: i64,
}

impl Pact {
    pub(super) fn joins(&self, a: usize, b: usize) -> bool {
        a != b && self.members.contains(&a) && self.members.contains(&b)
    }

    /// The terms for what goes from a member.
    pub(super) fn flow_from(&self, from: usize) -> &Terms {
        let place = self.members.iter().position(|member| *member == from).unwrap();
        if self.is_group { &self.flows[0] } else { &self.flows[place] }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) tlp_max: Tlp,
    pub(super) categories: BTreeSet<Category>,
    pub(super) onward: Onward,
    pub(super) age_days_max: Option<u32>,
    pub(super) personal: bool,
    pub(super) banking_only: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Onward {
    Never,
    Ask,
    Listed(BTreeSet<usize>),
}

/// What happens. Numbers of CERTs are taken modulo how many there are.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Publish {
        by: usize,
        contents: BTreeSet<u8>,
        tlp: Tlp,
        category: Category,
        recipients: BTreeSet<usize>,
        personal: bool,
        banking: bool,
    },
    /// Takes back one of the contents that the CERT has published, by its number.
    Withdraw {
        by: usize,
        number: u8,
    },
    /// An origin lets a relay pass something on to a third, or forbids it.
    Consent {
        origin: usize,
        relay: usize,
        third: usize,
        grant: bool,
        what: What,
        days: i64,
    },
    Terminate {
        by: usize,
        peer: usize,
    },
    /// A release that speaks to the CERT's own readers alone.
    Local {
        by: usize,
        content: u8,
        accept: bool,
    },
    Days(i64),
    /// One of those messages that wait arrives.
    Arrive(usize),
}

/// What a consent is about.
#[derive(Debug, Clone)]
pub(super) enum What {
    All,
    Class(Tlp, Category),
    /// The origin's release of this number, if there is one.
    Release(usize),
}

impl Plan {
    pub(super) fn certs(&self) -> usize {
        self.locals.len()
    }

    /// The agreement between two CERTs, by its number.
    pub(super) fn between(&self, a: usize, b: usize) -> Option<usize> {
        self.pacts.iter().position(|pact| pact.joins(a, b))
    }
}

fn level() -> impl Strategy<Value = Tlp> {
    prop_oneof![
        2 => Just(Tlp::Clear),
        4 => Just(Tlp::Green),
        2 => Just(Tlp::Amber),
        1 => Just(Tlp::AmberStrict),
        3 => Just(Tlp::Red),
    ]
}

fn category() -> impl Strategy<Value = Category> {
    prop_oneof![4 => Just(Category::Threat), 2 => Just(Category::Observable), 1 => Just(Category::Vulnerability)]
}

fn categories() -> impl Strategy<Value = BTreeSet<Category>> {
    const ALL: [Category; 3] = [Category::Threat, Category::Observable, Category::Vulnerability];
    let some = select(vec![&ALL[..1], &ALL[..2], &ALL[1..]]);
    prop_oneof![3 => Just(ALL.into()), 1 => some.prop_map(|some| some.iter().copied().collect())]
}

fn local() -> impl Strategy<Value = Local> {
    let tlp_max = prop_oneof![4 => Just(Tlp::Red), 1 => level()];
    (tlp_max, prop::bool::weighted(0.9)).prop_map(|(tlp_max, onward)| Local { tlp_max, onward })
}

fn terms(certs: usize) -> impl Strategy<Value = Terms> {
    let onward = prop_oneof![
        1 => Just(Onward::Never),
        3 => Just(Onward::Ask),
        2 => prop::collection::btree_set(0..certs, 1..=certs).prop_map(Onward::Listed),
    ];
    let tlp_max = prop_oneof![3 => Just(Tlp::Red), 1 => level()];
    let age = prop::option::weighted(0.2, 1_u32..40);
    let marks = (prop::bool::weighted(0.7), prop::bool::weighted(0.2));
    (tlp_max, categories(), onward, age, marks).prop_map(
        |(tlp_max, categories, onward, age_days_max, (personal, banking_only))| Terms {
            tlp_max,
            categories,
            onward,
            age_days_max,
            personal,
            banking_only,
        },
    )
}

fn pact(certs: usize) -> impl Strategy<Value = Pact> {
    let everyone: Vec<usize> = (0..certs).collect();
    let two = prop::sample::subsequence(everyone.clone(), 2).prop_map(|members| (members, false));
    let group = prop::sample::subsequence(everyone, 2..=certs.min(5)).prop_map(|members| (members, true));
    let members = prop_oneof![4 => two, 1 => group];
    let days = (prop_oneof![4 => Just(-30_i64), 1 => 0_i64..6], prop_oneof![4 => Just(300_i64), 1 => 6_i64..40]);
    (members, [terms(certs), terms(certs)], prop::bool::weighted(0.8), prop::bool::weighted(0.8), days).prop_map(
        |((members, is_group), flows, community, third_party, (from_day, until_day))| Pact {
            flows: if is_group { flows[..1].to_vec() } else { flows.to_vec() },
            members,
            is_group,
            community,
            third_party,
            from_day,
            until_day,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    // The first three have more to do with each other, so that words and releases meet.
    let who = prop_oneof![1 => 0..3_usize, 1 => 0..CERTS_MAX];
    let recipients =
        prop_oneof![1 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(0..CERTS_MAX, 1..CERTS_MAX)];
    let marks = (prop::bool::weighted(0.2), prop::bool::weighted(0.8));
    let publish = (who.clone(), prop::collection::btree_set(0..CONTENTS, 1..4), level(), category(), recipients, marks)
        .prop_map(|(by, contents, tlp, category, recipients, (personal, banking))| Event::Publish {
            by,
            contents,
            tlp,
            category,
            recipients,
            personal,
            banking,
        });
    let withdraw = (who.clone(), 0..CONTENTS).prop_map(|(by, number)| Event::Withdraw { by, number });
    let what = prop_oneof![
        4 => Just(What::All),
        1 => (level(), category()).prop_map(|(level, category)| What::Class(level, category)),
        1 => (0..6_usize).prop_map(What::Release),
    ];
    let anyone: Vec<usize> = (0..CERTS_MAX).collect();
    let three = prop_oneof![
        2 => Just(vec![0, 1, 2]).prop_shuffle(),
        1 => prop::sample::subsequence(anyone, 3).prop_shuffle(),
    ];
    let consent = (three, prop::bool::weighted(0.7), what, 1_i64..60).prop_map(|(three, grant, what, days)| {
        Event::Consent { origin: three[0], relay: three[1], third: three[2], grant, what, days }
    });
    let terminate = (who.clone(), who.clone()).prop_map(|(by, peer)| Event::Terminate { by, peer });
    let local =
        (who, 0..CONTENTS, any::<bool>()).prop_map(|(by, content, accept)| Event::Local { by, content, accept });
    prop_oneof![
        8 => publish,
        4 => withdraw,
        12 => consent,
        1 => terminate,
        1 => local,
        2 => (1_i64..5).prop_map(Event::Days),
        16 => (0..1_000_usize).prop_map(Event::Arrive),
    ]
}

/// A world of 3 to 8 CERTs.
pub(super) fn plan() -> impl Strategy<Value = Plan> {
    (3..=CERTS_MAX).prop_flat_map(|certs| {
        let pacts = vec(pact(certs), certs - 1..3 * certs);
        (vec(local(), certs), pacts, vec(event(), 10..120), any::<u64>())
            .prop_map(|(locals, pacts, events, seed)| Plan { locals, pacts, events, seed })
    })
}
