//! What is written: each batch follows from the seed, the run, the thread and its number, so that the one who checks
//! can make it again and compare every byte.

use anyhow::Context;
use mithaq_core::{
    body::Body,
    id::CertId,
    keys::SecretKey,
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::{Object, Tlp},
    time::Time,
};
use mithaq_store::{Arrival, Batch, Expect, StateChange};

use crate::rng::Rng;

/// How many objects are shared between all threads, so that bodies are deduplicated.
const SHARED_OBJECTS: u64 = 64;

/// Of how many batches in a hundred the bodies of the next one are staged.
const STAGED_PERCENT: u64 = 20;

/// How many state keys a thread has beside the one that counts.
const KEYS: u64 = 6;

/// Which batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) run: u32,
    pub(crate) thread: u32,
    pub(crate) number: u32,
}

/// A batch: its arrivals, and what state keys hold once it is committed.
pub(crate) struct Work {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) state: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Bodies of the thread's next releases, which come before these.
    pub(crate) staged: Vec<Body>,
    progress: StateChange,
}

impl Work {
    pub(crate) fn of(seed: u64, place: Place) -> anyhow::Result<Self> {
        let mut rng = rng_of(seed, place, 1);
        // Now and then a thread repeats what it released before: the log must not grow by it.
        let repeats = place.number > 0 && rng.chance(6);
        let number = if repeats { u32::try_from(rng.below(place.number.into()))? } else { place.number };
        let arrivals = arrivals(seed, Place { number, ..place })?;
        let state = changes(&mut rng, place);
        let expect = match place.number.checked_sub(1) {
            Some(previous) => Expect::Value(progress(previous)),
            None => Expect::Absent,
        };
        let progress = StateChange { key: progress_key(place), expect, value: Some(progress(place.number)) };
        Ok(Self { arrivals, state, staged: staged(&mut rng, seed, place)?, progress })
    }

    /// The batch as the store takes it: the thread's progress is set from one number to the next, so that no batch
    /// can be taken twice. Bodies that `is_held` says are there, staged or not, are left out, as whoever receives leaves them
    /// out.
    pub(crate) fn batch(&self, is_held: impl Fn(&Body) -> bool) -> Batch {
        let others = self.state.iter().map(|(key, value)| StateChange {
            key: key.clone(),
            expect: Expect::Anything,
            value: value.clone(),
        });
        let state = std::iter::once(self.progress.clone()).chain(others).collect();
        let mut arrivals = self.arrivals.clone();
        arrivals.iter_mut().for_each(|arrival| arrival.bodies.retain(|body| !is_held(body)));
        Batch { arrivals, state, staged: self.staged.clone(), ..Batch::default() }
    }
}

/// The state key that holds the number of a thread's newest batch.
pub(crate) fn progress_key(place: Place) -> Vec<u8> {
    format!("w/{:06}/{:02}", place.run, place.thread).into_bytes()
}

/// What that key holds after batch `number`.
pub(crate) fn progress(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn rng_of(seed: u64, place: Place, purpose: u64) -> Rng {
    Rng::of(seed, &[place.run.into(), place.thread.into(), place.number.into(), purpose])
}

fn changes(rng: &mut Rng, place: Place) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    if !rng.chance(35) {
        return Vec::new();
    }
    let key = format!("k/{:06}/{:02}/{}", place.run, place.thread, rng.below(KEYS)).into_bytes();
    // Values of more than 4 KB are kept in pieces.
    let bytes = if rng.chance(6) { rng.below(20_000) } else { rng.below(300) };
    let value = (!rng.chance(20)).then(|| (0..bytes).map(|_| rng.next().to_le_bytes()[0]).collect());
    vec![(key, value)]
}

/// The bodies of the thread's next releases, now and then.
fn staged(rng: &mut Rng, seed: u64, place: Place) -> anyhow::Result<Vec<Body>> {
    if !rng.chance(STAGED_PERCENT) {
        return Ok(Vec::new());
    }
    let next = arrivals(seed, Place { number: place.number + 1, ..place })?;
    Ok(next.into_iter().flat_map(|arrival| arrival.bodies).collect())
}

fn arrivals(seed: u64, place: Place) -> anyhow::Result<Vec<Arrival>> {
    let mut rng = rng_of(seed, place, 2);
    let count = rng.pick(&[0, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
    (0..count).map(|part| arrival(&mut rng, place, part)).collect()
}

fn arrival(rng: &mut Rng, place: Place, part: i64) -> anyhow::Result<Arrival> {
    let count = if rng.chance(3) { 60 } else { 1 + rng.below(10) };
    let mut bodies = (0..count).map(|_| body(rng)).collect::<anyhow::Result<Vec<_>>>()?;
    bodies.sort_unstable_by_key(Body::id);
    bodies.dedup_by_key(|body| body.id());
    let key = SecretKey::from_seed(&[7; 32])?;
    let label = Label::new(Tlp::Green, Category::Threat);
    let number = (i64::from(place.run) << 36) + (i64::from(place.thread) << 30) + i64::from(place.number) * 4 + part;
    let contents = bodies.iter().map(Body::id).collect();
    let release = VerifiedRelease::sign(
        CertId::from_bytes([1; 32]),
        &key,
        ReleaseDraft::publish(label, contents, Time::from_micros(number)),
    );
    Ok(Arrival { release: release.context("a release of made-up objects")?, bodies })
}

fn body(rng: &mut Rng) -> anyhow::Result<Body> {
    if rng.chance(20) {
        let shared = rng.below(SHARED_OBJECTS);
        return indicator(shared, 0, "shared");
    }
    let (high, low) = (rng.next(), rng.next());
    let words = if rng.chance(2) { 500 } else { 1 + rng.below(12) };
    let name: String = (0..words).map(|_| format!("{:016x}", rng.next())).collect();
    indicator(high, low, &name)
}

fn indicator(high: u64, low: u64, name: &str) -> anyhow::Result<Body> {
    let uuid = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    );
    let text = format!(
        r#"{{"created":"2026-01-01T00:00:00.000Z","id":"indicator--{uuid}","modified":"2026-01-01T00:00:00.000Z","name":"{name}","pattern":"[domain-name:value = 'host{}.example']","pattern_type":"stix","spec_version":"2.1","type":"indicator","valid_from":"2026-01-01T00:00:00Z"}}"#,
        high % 50
    );
    Ok(Body::of(&Object::parse(text.as_bytes())?)?)
}
