//! The life of one store, with nothing else in this process: ingest, duplicates, reads, opening, rebuilding.

use std::{fs, io::Write, path::Path, time::Duration, time::Instant};

use anyhow::ensure;
use mithaq_core::{body::Body, id::ContentId, time::Time};
use mithaq_store::{Batch, Options, SledStore, Store};
use serde_json::{Value, json};

use super::{
    input::{Publisher, Spool},
    yardstick::folder_bytes,
};
use crate::{count, count_u64, machine, objects, round};

/// Objects of a push, and releases of a page of the log.
const PUSH: usize = 1_000;

/// Pushes that are made ready before the clock runs.
const TURN: usize = 10;

/// The most duplicates, and the most objects beside which they lie.
const DUPLICATES_MAX: usize = 200_000;

/// How many bodies are read one by one, and how many values are searched for.
const READS: usize = 10_000;

/// Of a push with duplicates, one in so many is new.
const ONE_NEW_IN: usize = 10;

/// How a push is made of the objects from a place on.
type MakePush<'a> = dyn Fn(usize) -> anyhow::Result<Batch> + 'a;

/// Measures everything; the folder of the store is made and left.
pub(super) fn measure(dir: &Path, spool: &Spool) -> anyhow::Result<Value> {
    let dir = dir.join("alone");
    let publisher = Publisher::new()?;
    forget_peak();
    let store = SledStore::open(&dir, Options::default())?;
    let all = |salt| move |publisher: &Publisher, first| publisher.push(spool.bodies(first, PUSH)?, salt);
    let ingest = commit_all(&store, spool.len(), &|first| all(1)(&publisher, first))?;
    let ingest_rss = machine::peak_rss_mb(std::process::id())?;
    drop(store);
    let disk = folder_bytes(&dir)?;
    let store = SledStore::open(&dir, Options::default())?;
    let repeated = spool.len().min(DUPLICATES_MAX);
    let same = commit_all(&store, repeated, &|first| all(1)(&publisher, first))?;
    let others = commit_all(&store, repeated, &|first| all(2)(&publisher, first))?;
    let mostly = commit_all(&store, repeated, &|first| publisher.push(mostly_held(spool, first)?, 3))?;
    let lookups = lookups(&store, spool)?;
    let reads = reads(&store, spool)?;
    let (opening, store) = reopen(&dir, store)?;
    let rss = machine::peak_rss_mb(std::process::id())?;
    let verified = Instant::now();
    let problems = store.verify()?.problems;
    ensure!(problems.is_empty(), "the store is damaged: {problems:?}");
    Ok(json!({
        "objects": spool.len(),
        "ingest_per_s": per_second(spool.len(), ingest),
        "duplicates_same_releases_per_s": per_second(repeated, same),
        "duplicates_other_releases_per_s": per_second(repeated, others),
        "duplicates_90_percent_per_s": per_second(repeated, mostly),
        "lookups": lookups,
        "reads": reads,
        "opening": opening,
        "verify_per_s": per_second(spool.len(), verified.elapsed()),
        "disk": disk_figures(spool, disk)?,
        "rss_ingest_mb": round(ingest_rss),
        "rss_mb": round(rss),
    }))
}

/// Lets the peak of resident memory begin anew, so that filling the spool does not count.
fn forget_peak() {
    // Without it the figure is only larger.
    let _forgotten = fs::write("/proc/self/clear_refs", "5");
}

fn per_second(number: usize, time: Duration) -> f64 {
    (count(number) / time.as_secs_f64()).round()
}

/// Commits a push for every thousand objects; the time spent in commits.
fn commit_all(store: &SledStore, objects: usize, push: &MakePush<'_>) -> anyhow::Result<Duration> {
    let mut time = Duration::ZERO;
    for first in (0..objects).step_by(PUSH * TURN) {
        let end = (first + PUSH * TURN).min(objects);
        let pushes: Vec<Batch> = (first..end).step_by(PUSH).map(push).collect::<anyhow::Result<_>>()?;
        let started = Instant::now();
        for push in pushes {
            store.commit(push, Time::from_micros(0))?;
        }
        time += started.elapsed();
    }
    Ok(time)
}

/// A thousand objects of which nine in ten are held.
fn mostly_held(spool: &Spool, first: usize) -> anyhow::Result<Vec<Body>> {
    let mut bodies = spool.bodies(first, PUSH)?;
    for (number, body) in bodies.iter_mut().enumerate().step_by(ONE_NEW_IN) {
        *body = fresh(first + number)?;
    }
    Ok(bodies)
}

fn fresh(number: usize) -> anyhow::Result<Body> {
    let text = objects::fresh(number);
    Ok(Body::of(&mithaq_core::stix::Object::parse(&text)?)?)
}

/// Contents that are asked for, by the thousand and one by one.
fn lookups(store: &SledStore, spool: &Spool) -> anyhow::Result<Value> {
    let held = sample(spool)?;
    let ids: Vec<_> = held.iter().map(Body::id).collect();
    // Ids that no object has: nobody can make one.
    let strangers: Vec<_> = (0..ids.len()).map(|number| ContentId::of(&number.to_be_bytes())).collect();
    let (by_thousand, found) = timed(|| has(store, &ids, PUSH))?;
    let (hit, found_singly) = timed(|| has(store, &ids, 1))?;
    let (miss, strangers_found) = timed(|| has(store, &strangers, 1))?;
    ensure!(
        (found, found_singly, strangers_found) == (ids.len(), ids.len(), 0),
        "the store does not know what it holds"
    );
    Ok(json!({
        "hit_by_1000_per_s": per_second(ids.len(), by_thousand),
        "hit_per_s": per_second(ids.len(), hit),
        "miss_per_s": per_second(strangers.len(), miss),
    }))
}

fn has(store: &SledStore, ids: &[ContentId], at_once: usize) -> anyhow::Result<usize> {
    let mut found = 0;
    for ids in ids.chunks(at_once) {
        found += store.has_bodies(ids)?.into_iter().filter(|held| *held).count();
    }
    Ok(found)
}

/// Bodies from all over the store, far apart.
fn sample(spool: &Spool) -> anyhow::Result<Vec<Body>> {
    let count = READS.min(spool.len());
    // A stride without a common factor with most counts, so that neighbours are not read one after the other.
    let places = (0..count).map(|number| number * 7_919 % count * (spool.len() / count));
    places.map(|place| Ok(spool.bodies(place, 1)?.remove(0))).collect()
}

/// Single bodies, the log, all objects in its order, and values.
fn reads(store: &SledStore, spool: &Spool) -> anyhow::Result<Value> {
    let sample = sample(spool)?;
    let (single, found) = timed(|| {
        let read = |body: &Body| Ok(store.bodies(&[body.id()])?[0].as_deref() == Some(body.bytes()));
        count_of(sample.iter().map(read))
    })?;
    let by_value: Vec<_> =
        sample.iter().filter_map(|body| Some((body.id(), body.facts().observables.first()?))).collect();
    let (search, hits) =
        timed(|| count_of(by_value.iter().map(|(id, value)| Ok(store.observed(value, PUSH)?.contains(id)))))?;
    ensure!((found, hits) == (sample.len(), by_value.len()), "the store does not find what it holds");
    let (log, rows) = timed(|| scan(store, |_| Ok(0)).map(|(rows, _)| rows))?;
    let (feed, objects) = timed(|| {
        scan(store, |row| {
            let release = if row.all_new { store.release(row.release)? } else { None };
            let contents = release.map(|(_, release)| release.contents).unwrap_or_default();
            Ok(store.bodies(&contents)?.into_iter().flatten().count())
        })
        .map(|(_, objects)| objects)
    })?;
    ensure!(objects >= spool.len(), "the feed has {objects} objects");
    Ok(json!({
        "bodies_hit_per_s": per_second(sample.len(), single),
        "search_by_value_per_s": per_second(by_value.len(), search),
        "log_rows_per_s": per_second(rows, log),
        "feed_objects_per_s": per_second(objects, feed),
    }))
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let started = Instant::now();
    let result = work()?;
    Ok((started.elapsed(), result))
}

fn count_of(mut found: impl Iterator<Item = anyhow::Result<bool>>) -> anyhow::Result<usize> {
    found.try_fold(0, |sum, found| Ok(sum + usize::from(found?)))
}

/// Goes through the log: its rows, and the sum of what `look` says of each.
fn scan(
    store: &SledStore,
    look: impl Fn(&mithaq_store::LogRow) -> anyhow::Result<usize>,
) -> anyhow::Result<(usize, usize)> {
    let (mut after, mut rows, mut sum) = (0, 0, 0);
    loop {
        let page = store.log(after, PUSH)?;
        let Some(last) = page.last() else { return Ok((rows, sum)) };
        after = last.seq;
        rows += page.len();
        for row in &page {
            sum += look(row)?;
        }
    }
}

/// Closes and opens the store as it is, and then without its index.
fn reopen(dir: &Path, store: SledStore) -> anyhow::Result<(Value, SledStore)> {
    let (close, ()) = timed(|| {
        drop(store);
        Ok(())
    })?;
    let (open, store) = timed(|| Ok(SledStore::open(dir, Options::default())?))?;
    drop(store);
    fs::remove_dir_all(dir.join("index"))?;
    let (rebuild, store) = timed(|| Ok(SledStore::open(dir, Options::default())?))?;
    let seconds = |time: Duration| round(time.as_secs_f64());
    let objects = store.stats().objects;
    Ok((
        json!({
            "objects": objects,
            "close_s": seconds(close),
            "open_s": seconds(open),
            "rebuild_s": seconds(rebuild),
        }),
        store,
    ))
}

/// Bytes an object: on disk, as JSON, and as one zstd frame of all of it.
fn disk_figures(spool: &Spool, disk: u64) -> anyhow::Result<Value> {
    let mut zipped = zstd::stream::write::Encoder::new(CountBytes(0), 3)?;
    for first in (0..spool.len()).step_by(PUSH) {
        for object in spool.objects(first, PUSH)? {
            zipped.write_all(&object)?;
        }
    }
    let zipped = zipped.finish()?.0;
    let json = spool.bytes(spool.len());
    let each = |bytes: u64| round(count_u64(bytes) / count(spool.len()));
    Ok(json!({
        "bytes_per_object": each(disk),
        "json_bytes_per_object": each(json),
        "zstd_of_all_bytes_per_object": each(zipped),
        "to_json": round(count_u64(disk) / count_u64(json)),
        "to_zstd_of_all": round(count_u64(disk) / count_u64(zipped)),
    }))
}

/// Takes everything and keeps only how much it was.
struct CountBytes(u64);

impl Write for CountBytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
