//! What all simulations are made of: a seeded generator, a clock, CERTs, objects and releases out of small numbers.

mod runs;

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use mithaq_core::{
    card::{CardDetails, DatedKey, VerifiedCard},
    id::{ContentId, ReleaseId},
    keys::{SecretKey, Suite},
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::marking::Tlp,
    time::Time,
};
use mithaq_sync::{
    Now,
    wire::{Frame, Kind, frame_length},
};
use prost::Message;

pub(crate) use self::runs::Runs;

/// SplitMix64: small, seeded, good enough to shuffle tests with.
#[derive(Debug, Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn size(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    /// One of these, which are not none.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.size(of.len())]
    }

    pub(crate) fn duration(&mut self, bound: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(bound.as_micros()).unwrap() + 1))
    }
}

/// The wall clock of every test.
pub(crate) fn wall() -> Time {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn at(monotonic: Duration) -> Now {
    Now { wall: wall(), monotonic }
}

/// A CERT with its keys.
#[derive(Debug)]
pub(crate) struct Cert {
    pub(crate) signing: Arc<SecretKey>,
    pub(crate) card: Arc<VerifiedCard>,
}

pub(crate) fn cert(number: u8) -> Cert {
    cert_with(number, 1, number ^ 0x80)
}

/// A CERT with a later card, which names the signing key of this seed.
pub(crate) fn cert_with(number: u8, serial: u64, signing: u8) -> Cert {
    cert_with_keys(number, serial, &[signing])
}

/// The same with signing keys of these seeds, of which it signs with the last.
pub(crate) fn cert_with_keys(number: u8, serial: u64, signing: &[u8]) -> Cert {
    let root = SecretKey::from_seed(&[number; 32]).unwrap();
    let mut signing: Vec<SecretKey> = signing.iter().map(|seed| SecretKey::from_seed(&[*seed; 32]).unwrap()).collect();
    let tls = SecretKey::from_seed(&[number ^ 0x40; 32]).unwrap();
    let dated = |key: &SecretKey| DatedKey {
        suite: Suite::Ed25519,
        public: key.public(),
        not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
        not_after: "2027-12-31T00:00:00Z".parse().unwrap(),
    };
    let details = CardDetails {
        name: format!("CERT {number}"),
        country: "QQ".into(),
        contacts: vec!["duty@cert.example".into()],
        serial,
        issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        signing_keys: signing.iter().map(dated).collect(),
        tls_keys: vec![dated(&tls)],
        revoked_keys: Vec::new(),
        identities: BTreeSet::new(),
        endpoints: vec!["cert.example:4433".into()],
    };
    let card = Arc::new(VerifiedCard::sign(&root, details).unwrap());
    Cert { signing: Arc::new(signing.pop().unwrap()), card }
}

/// The seeds to try: `usual` many. `MITHAQ_SEEDS` sets another number, `MITHAQ_SEED` where they begin; alone it is the
/// only one.
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, count) = (number("MITHAQ_SEED"), number("MITHAQ_SEEDS"));
    let count = count.unwrap_or(if first.is_some() { 1 } else { usual });
    let first = first.unwrap_or(0);
    first..first + count
}

/// The canonical bytes of an indicator of about `size` bytes.
pub(crate) fn object(number: u64, size: usize) -> Vec<u8> {
    let mut rng = Rng(number);
    let mut name = String::new();
    while name.len() + 330 < size {
        name.push_str(&format!("{:016x}", rng.next()));
    }
    format!(
        "{{\"created\":\"2026-01-01T00:00:00.000Z\",\
         \"id\":\"indicator--00000000-0000-4000-8000-{number:012x}\",\
         \"modified\":\"2026-01-01T00:00:00.000Z\",\"name\":\"{name}\",\
         \"pattern\":\"[ipv4-addr:value = '192.0.2.1']\",\"pattern_type\":\"stix\",\
         \"spec_version\":\"2.1\",\"type\":\"indicator\",\"valid_from\":\"2026-01-01T00:00:00Z\"}}"
    )
    .into_bytes()
}

pub(crate) fn green() -> Label {
    Label::new(Tlp::Green, Category::Threat)
}

/// A release with its bodies in the order of its contents.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) release: VerifiedRelease,
    pub(crate) bodies: Vec<Vec<u8>>,
}

impl Parcel {
    pub(crate) fn id(&self) -> ReleaseId {
        self.release.id()
    }
}

/// Signs a release of these bodies, as `draft` makes it of their ids.
pub(crate) fn signed(cert: &Cert, bodies: Vec<Vec<u8>>, draft: impl FnOnce(Vec<ContentId>) -> ReleaseDraft) -> Parcel {
    let mut bodies: Vec<_> = bodies.into_iter().map(|body| (ContentId::of(&body), body)).collect();
    bodies.sort();
    bodies.dedup();
    let contents = bodies.iter().map(|(id, _)| *id).collect();
    let release = VerifiedRelease::sign(cert.card.cert_id(), &cert.signing, draft(contents)).unwrap();
    Parcel { release, bodies: bodies.into_iter().map(|(_, body)| body).collect() }
}

/// Reads a frame with its length.
pub(crate) fn decode(frame: &[u8]) -> Kind {
    let (skip, length) = frame_length(frame).unwrap().unwrap();
    assert_eq!(frame.len(), skip + length);
    Frame::decode(&frame[skip..]).unwrap().kind.unwrap()
}
