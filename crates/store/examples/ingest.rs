//! Measures a store beside plain appends of the same bytes: `ingest OBJECTS.jsonl FOLDER`.
//!
//! The folder is made, used and left behind for a look at it.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)] // A program for developers.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use mithaq_core::{
    body::Body,
    id::CertId,
    keys::SecretKey,
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::{Object, Tlp},
    time::Time,
};
use mithaq_store::{Arrival, Batch, Options, SledStore, Store};

const PUSH: usize = 1_000;
const SINGLES: usize = 20_000;
const CLIENTS: usize = 8;

fn main() {
    let mut arguments = env::args().skip(1).map(PathBuf::from);
    let (input, dir) = (arguments.next().unwrap(), arguments.next().unwrap());
    let bodies = read(&input);
    let bytes: usize = bodies.iter().map(|body| body.bytes().len()).sum();
    println!("{} objects of {} bytes", bodies.len(), bytes / bodies.len());
    let (single, pushed) = bodies.split_at(SINGLES.min(bodies.len() / 2));

    fs::create_dir_all(&dir).unwrap();
    append(&dir, "append, pushes", pushed, PUSH);
    append(&dir, "append, singles", &single[..1000], 1);

    let store = SledStore::open(&dir.join("pushes"), Options::default()).unwrap();
    let batches: Vec<_> = pushed.chunks(PUSH).map(|bodies| batch(bodies, 1)).collect();
    rate("pushes", pushed.len(), || commit(&store, batches));
    print_size(&store);
    let repeated: Vec<_> = pushed.chunks(PUSH).map(|bodies| batch(bodies, 1)).collect();
    rate("same pushes again", pushed.len(), || commit(&store, repeated));
    let others: Vec<_> = pushed.chunks(PUSH).map(|bodies| batch(bodies, 2)).collect();
    rate("other releases of the same objects", pushed.len(), || commit(&store, others));
    print_size(&store);
    rate("all bodies in the order of the log", pushed.len(), || read_back(&store, pushed.len()));
    let ids: Vec<_> = pushed.iter().step_by(7).map(Body::id).collect();
    rate("single bodies", ids.len(), || ids.iter().for_each(|id| drop(store.bodies(&[*id]).unwrap())));
    rate("lookups, hit", ids.len(), || ids.iter().for_each(|id| assert!(store.has_bodies(&[*id]).unwrap()[0])));
    let strangers: Vec<_> = single.iter().map(Body::id).collect();
    rate("lookups, miss", strangers.len(), || {
        strangers.iter().for_each(|id| assert!(!store.has_bodies(&[*id]).unwrap()[0]));
    });
    rate("close", 1, || drop(store));
    rate("open", 1, || drop(SledStore::open(&dir.join("pushes"), Options::default()).unwrap()));
    fs::remove_dir_all(dir.join("pushes/index")).unwrap();
    let store =
        rate("open without index", pushed.len(), || SledStore::open(&dir.join("pushes"), Options::default()).unwrap());
    assert!(store.verify().unwrap().problems.is_empty());

    let store = SledStore::open(&dir.join("singles"), Options::default()).unwrap();
    let shares: Vec<Vec<_>> = single
        .chunks(single.len().div_ceil(CLIENTS))
        .map(|share| share.chunks(1).map(|body| batch(body, 3)).collect())
        .collect();
    rate("singles from 8 clients", single.len(), || {
        thread::scope(|scope| {
            for share in shares {
                scope.spawn(|| commit(&store, share));
            }
        });
    });
    print_size(&store);
    println!("{} MB resident, with the input", resident_mb());
}

fn print_size(store: &SledStore) {
    let stats = store.stats();
    println!("{:36} {:>10} bytes on disk an object", "", stats.disk_bytes / stats.objects);
}

fn read(input: &Path) -> Vec<Body> {
    let text = fs::read_to_string(input).unwrap();
    text.lines().map(|line| Body::of(&Object::parse(line.as_bytes()).unwrap()).unwrap()).collect()
}

fn batch(bodies: &[Body], salt: i64) -> Batch {
    let key = SecretKey::from_seed(&[7; 32]).unwrap();
    let label = Label::new(Tlp::Green, Category::Threat);
    let contents = bodies.iter().map(Body::id).collect();
    let release = VerifiedRelease::sign(
        CertId::from_bytes([1; 32]),
        &key,
        ReleaseDraft::publish(label, contents, Time::from_micros(salt)),
    );
    Batch { arrivals: vec![Arrival { release: release.unwrap(), bodies: bodies.to_vec() }], ..Batch::default() }
}

fn commit(store: &SledStore, batches: Vec<Batch>) {
    for batch in batches {
        store.commit(batch, Time::from_micros(0)).unwrap();
    }
}

fn read_back(store: &SledStore, expected: usize) {
    let (mut after, mut read) = (0, 0);
    while let Some(row) = store.log(after, 1).unwrap().first() {
        after = row.seq;
        if row.all_new {
            let (_, release) = store.release(row.release).unwrap().unwrap();
            read += store.bodies(&release.contents).unwrap().iter().flatten().count();
        }
    }
    assert_eq!(read, expected);
}

/// The yardstick: the same bytes, written and synced as often.
fn append(dir: &Path, what: &str, bodies: &[Body], count: usize) {
    let mut file = fs::File::create(dir.join("append")).unwrap();
    rate(what, bodies.len(), || {
        for bodies in bodies.chunks(count) {
            let bytes: Vec<u8> = bodies.iter().flat_map(Body::bytes).copied().collect();
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
        }
    });
}

fn rate<T>(what: &str, count: usize, work: impl FnOnce() -> T) -> T {
    let (begun, cpu_begun) = (Instant::now(), cpu_ms());
    let result = work();
    let seconds = begun.elapsed().as_secs_f64();
    let (rate, cpu) = (count as f64 / seconds, cpu_ms() - cpu_begun);
    println!("{what:36} {rate:>10.0}/s {:>9.1} ms {cpu:>6} ms of CPU", seconds * 1e3);
    result
}

/// The time that this process has kept processors busy, in steps of 10 ms.
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
