//! The CERTs and releases of all worlds, signed once: signing and checking are what a world costs most.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use mithaq_core::{
    id::{CertId, ContentId, ReleaseId},
    label::{Category, Label},
    notice::Notice,
    release::{Kind, ReleaseDraft},
    stix::marking::Tlp,
    time::Time,
};

use crate::cast::{Cert, Parcel, cert, cert_with_keys, green, object, signed, wall};

/// The most nodes of a world.
pub(crate) const NODES_MAX: usize = 30;

/// How many releases of one object the first CERTs have for worlds with long journals.
const CROWD: u64 = 120;

/// How many CERTs have such.
pub(crate) const CROWDS: usize = 4;

/// How many releases each of the first CERTs publishes in the worlds in which somebody is away for long, after it has taken
/// another key.
pub(crate) const TIDE: u64 = 400;

/// How many CERTs do so.
pub(crate) const TIDES: usize = 3;

/// How many objects there are of each size: few, so that releases share them.
const OBJECTS: u64 = 40;

/// The releases that each CERT has to publish: how many objects, of about how many bytes, and who may have them. They
/// travel inline, in one group or in several.
const SHAPES: [(u64, usize, Audience); 10] = [
    (1, 300, Audience::Anyone),
    (2, 300, Audience::Anyone),
    (1, 300, Audience::Peers),
    (3, 110_000, Audience::Anyone),
    (3, 400, Audience::Anyone),
    (1, 300, Audience::Named),
    (12, 1_500, Audience::Anyone),
    (1, 300, Audience::Anyone),
    (5, 15_000, Audience::Anyone),
    (2, 300, Audience::Peers),
];

/// The number of the largest of them.
pub(crate) const LARGEST: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Anyone,
    /// The origin's own peers: nobody may pass it on.
    Peers,
    /// The next three CERTs by number.
    Named,
}

/// A release and what a world must know of it.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) parcel: Parcel,
    pub(crate) origin: usize,
    pub(crate) deed: Deed,
}

/// What a release does.
#[derive(Debug)]
pub(crate) enum Deed {
    Publish {
        /// Whether a relay may pass it on.
        onward: bool,
        /// The only nodes that it is for; empty if there are no such.
        recipients: BTreeSet<usize>,
    },
    /// Takes back this release of the same origin.
    Withdraw(ReleaseId),
}

/// All that was signed.
#[derive(Debug)]
pub(crate) struct Pool {
    certs: Vec<Cert>,
    samples: BTreeMap<ReleaseId, Sample>,
    bodies: BTreeMap<ContentId, Vec<u8>>,
    /// The release that takes another one back.
    withdrawals: BTreeMap<ReleaseId, ReleaseId>,
    /// By origin, in the order in which they are published.
    publications: Vec<Vec<ReleaseId>>,
    crowds: Vec<Vec<ReleaseId>>,
}

/// What few worlds need: cards of CERTs that have taken another key, and what they signed with it.
#[derive(Debug)]
struct Tide {
    certs: Vec<Cert>,
    samples: BTreeMap<ReleaseId, Sample>,
    bodies: BTreeMap<ContentId, Vec<u8>>,
    by_origin: Vec<Vec<ReleaseId>>,
}

static TIDAL: LazyLock<Tide> = LazyLock::new(Tide::sign);

impl Tide {
    fn sign() -> Self {
        let renewed = |number: u8| cert_with_keys(number, 2, &[number ^ 0x80, number ^ 0xc0]);
        let certs: Vec<Cert> = (1..=NODES_MAX).map(|number| renewed(u8::try_from(number).unwrap())).collect();
        let mut tide =
            Self { certs, samples: BTreeMap::new(), bodies: BTreeMap::new(), by_origin: vec![Vec::new(); TIDES] };
        for origin in 0..TIDES {
            for number in 0..TIDE {
                let bodies = vec![object(100_000 + 10_000 * origin as u64 + number, 300)];
                let draft = |contents| ReleaseDraft::publish(green(), contents, seconds_ago(900 - number));
                let parcel = signed(&tide.certs[origin], bodies, draft);
                let (id, deed) = (parcel.id(), Deed::Publish { onward: true, recipients: BTreeSet::new() });
                let contents = parcel.release.contents().iter().copied();
                tide.bodies.extend(contents.zip(parcel.bodies.iter().cloned()));
                tide.by_origin[origin].push(id);
                tide.samples.insert(id, Sample { parcel, origin, deed });
            }
        }
        tide
    }
}

/// What an origin publishes while somebody is away for long, by its second key.
pub(crate) fn tide(origin: usize) -> &'static [ReleaseId] {
    &TIDAL.by_origin[origin]
}

/// The one pool.
pub(crate) static POOL: LazyLock<Pool> = LazyLock::new(Pool::sign);

impl Pool {
    fn sign() -> Self {
        let mut pool = Self {
            certs: (1..=NODES_MAX).map(|number| cert(u8::try_from(number).unwrap())).collect(),
            samples: BTreeMap::new(),
            bodies: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            publications: vec![Vec::new(); NODES_MAX],
            crowds: vec![Vec::new(); NODES_MAX],
        };
        for origin in 0..NODES_MAX {
            for place in 0..SHAPES.len() {
                let id = pool.publish(origin, place);
                pool.publications[origin].push(id);
                pool.withdraw(origin, id);
            }
        }
        for origin in 0..CROWDS {
            pool.crowds[origin] = (0..CROWD).map(|number| pool.publish_one_of_crowd(origin, number)).collect();
        }
        pool
    }

    fn publish(&mut self, origin: usize, place: usize) -> ReleaseId {
        let (count, size, audience) = SHAPES[place];
        let first = (7 * origin + 3 * place) as u64;
        let bodies = (first..first + count).map(|number| object(number % OBJECTS, size)).collect();
        let label = if audience == Audience::Peers { Label::new(Tlp::Amber, Category::Threat) } else { green() };
        let named = if audience == Audience::Named { 1..4 } else { 1..1 };
        let recipients: BTreeSet<usize> = named.map(|step| (origin + step) % NODES_MAX).collect();
        let certs = recipients.iter().map(|node| self.cert_id(*node)).collect();
        let at = seconds_ago(1_000 - place as u64);
        let parcel = signed(&self.certs[origin], bodies, |contents| ReleaseDraft {
            recipients: certs,
            ..ReleaseDraft::publish(label, contents, at)
        });
        self.add(origin, parcel, Deed::Publish { onward: audience == Audience::Anyone, recipients })
    }

    fn publish_one_of_crowd(&mut self, origin: usize, number: u64) -> ReleaseId {
        let bodies = vec![object(1_000 + 500 * origin as u64 + number, 300)];
        let draft = |contents| ReleaseDraft::publish(green(), contents, seconds_ago(2_000 - number));
        let parcel = signed(&self.certs[origin], bodies, draft);
        self.add(origin, parcel, Deed::Publish { onward: true, recipients: BTreeSet::new() })
    }

    fn withdraw(&mut self, origin: usize, taken: ReleaseId) {
        let contents = self.sample(taken).parcel.release.contents().iter().copied().collect();
        let notice = Notice { contents, reason: "false positive".to_owned() }.to_body(wall()).unwrap();
        let label = Label::new(self.sample(taken).parcel.release.manifest().label.level(), Category::Meta);
        let parcel = signed(&self.certs[origin], vec![notice.bytes().to_vec()], |contents| ReleaseDraft {
            kind: Kind::Withdraw,
            ..ReleaseDraft::publish(label, contents, wall())
        });
        let id = self.add(origin, parcel, Deed::Withdraw(taken));
        self.withdrawals.insert(taken, id);
    }

    fn add(&mut self, origin: usize, parcel: Parcel, deed: Deed) -> ReleaseId {
        let id = parcel.id();
        let contents = parcel.release.contents().iter().copied();
        self.bodies.extend(contents.zip(parcel.bodies.iter().cloned()));
        let before = self.samples.insert(id, Sample { parcel, origin, deed });
        assert!(before.is_none(), "two releases of one id");
        id
    }

    /// A CERT as it was at first, or as it is once it has taken another key.
    pub(crate) fn cert(&self, node: usize, renewed: bool) -> &Cert {
        if renewed { &TIDAL.certs[node] } else { &self.certs[node] }
    }

    pub(crate) fn cert_id(&self, node: usize) -> CertId {
        self.certs[node].card.cert_id()
    }

    pub(crate) fn sample(&self, id: ReleaseId) -> &Sample {
        self.samples.get(&id).unwrap_or_else(|| &TIDAL.samples[&id])
    }

    pub(crate) fn contents(&self, id: ReleaseId) -> &[ContentId] {
        self.sample(id).parcel.release.contents()
    }

    pub(crate) fn body(&self, id: ContentId) -> &[u8] {
        self.bodies.get(&id).unwrap_or_else(|| &TIDAL.bodies[&id])
    }

    pub(crate) fn withdrawal_of(&self, id: ReleaseId) -> Option<ReleaseId> {
        self.withdrawals.get(&id).copied()
    }

    /// What an origin publishes as its release of this number, if it has so many.
    pub(crate) fn publication(&self, origin: usize, number: usize) -> Option<ReleaseId> {
        self.publications[origin].get(number).copied()
    }

    /// The many small releases of an origin.
    pub(crate) fn crowd(&self, origin: usize) -> &[ReleaseId] {
        &self.crowds[origin]
    }
}

fn seconds_ago(seconds: u64) -> Time {
    let micros = i64::try_from(Duration::from_secs(seconds).as_micros()).unwrap();
    Time::from_micros(wall().as_micros() - micros)
}
