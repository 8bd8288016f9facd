//! Durable ingest beside the yardsticks: they take turns, push by push, so that what else the machine does meets all alike.

use std::{path::Path, sync::Arc, thread, time::Duration, time::Instant};

use anyhow::Context;
use mithaq_core::time::Time;
use mithaq_store::{Batch, Options, SledStore, Store};
use serde_json::{Value, json};

use super::{
    input::{Publisher, Spool},
    yardstick::{Append, BareSled, CountedDisk, folder_bytes},
};
use crate::{count, count_u64, round};

/// Clients that push single objects at once.
const CLIENTS: usize = 8;

/// Objects between two looks at the clock.
const TURN: usize = 10_000;

/// The most single objects: a sync for each would take hours of a busy disk.
const SINGLES_MAX: usize = 20_000;

/// Single objects of a turn.
const SINGLES_TURN: usize = 2_000;

/// Single objects of a turn that the yardsticks store, who have one client.
const SINGLES_YARDSTICK: usize = 200;

/// How often a turn writes as many objects as there are clients, as a group of the store may hold, and syncs.
const GROUPS_TURN: usize = 50;

/// Time and objects of one way to store.
#[derive(Default, Clone, Copy)]
struct Pace {
    objects: usize,
    time: Duration,
}

impl Pace {
    fn add(&mut self, objects: usize, time: Duration) {
        self.objects += objects;
        self.time += time;
    }

    fn per_second(self) -> f64 {
        count(self.objects) / self.time.as_secs_f64()
    }
}

/// The three ways, over some turns.
#[derive(Default, Clone, Copy)]
struct Paces {
    store: Pace,
    append: Pace,
    sled: Pace,
}

impl Paces {
    fn add(&mut self, other: Self) {
        for (sum, pace) in
            [(&mut self.store, other.store), (&mut self.append, other.append), (&mut self.sled, other.sled)]
        {
            sum.add(pace.objects, pace.time);
        }
    }

    fn figures(self) -> Value {
        let [store, append, sled] = [self.store, self.append, self.sled].map(Pace::per_second);
        json!({
            "store_per_s": store.round(),
            "append_per_s": append.round(),
            "bare_sled_per_s": sled.round(),
            "to_append": round(store / append),
            "to_bare_sled": round(store / sled),
        })
    }
}

/// Pushes of `size` objects, in all of the store's life and in its last tenth.
pub(super) fn pushes(dir: &Path, spool: &Spool, objects: usize, size: usize) -> anyhow::Result<Value> {
    let store = SledStore::open(&dir.join("store"), Options::default())?;
    let (publisher, mut append, sled) = (Publisher::new()?, Append::create(dir)?, BareSled::create(dir)?);
    let mut turns = Vec::new();
    for first in (0..objects).step_by(TURN) {
        let bodies = spool.bodies(first, TURN.min(objects - first))?;
        let mut paces = Paces::default();
        for push in publisher.pushes(bodies, size, 1)? {
            let bodies = push.arrivals.iter().flat_map(|arrival| &arrival.bodies);
            let pushed: Vec<_> = bodies.map(|body| body.bytes().to_vec()).collect();
            paces.append.add(pushed.len(), append.push(&pushed)?);
            paces.sled.add(pushed.len(), sled.push(&pushed)?);
            let started = Instant::now();
            store.commit(push, Time::from_micros(0))?;
            paces.store.add(pushed.len(), started.elapsed());
        }
        turns.push(paces);
    }
    drop(sled);
    Ok(json!({
        "push": size,
        "objects": objects,
        "all": total(&turns).figures(),
        "first_tenth": total(&turns[..turns.len().div_ceil(10)]).figures(),
        "last_tenth": total(&turns[turns.len() - turns.len().div_ceil(10)..]).figures(),
        "bare_sled_bytes_per_object": (count_u64(folder_bytes(&dir.join("bare-sled"))?) / count(objects)).round(),
    }))
}

fn total(turns: &[Paces]) -> Paces {
    let mut sum = Paces::default();
    turns.iter().for_each(|turn| sum.add(*turn));
    sum
}

/// Single objects from eight clients; beside the yardsticks, which have one client, and the syncs that the disk could do
/// of as many objects at once.
pub(super) fn singles(dir: &Path, spool: &Spool) -> anyhow::Result<Value> {
    let disk = Arc::new(CountedDisk::default());
    let store = SledStore::open_on(&dir.join("store"), Options::default(), Arc::clone(&disk) as _)?;
    let (publisher, mut append, sled) = (Publisher::new()?, Append::create(dir)?, BareSled::create(dir)?);
    let (mut paces, mut groups, mut syncs, mut syncing) = (Paces::default(), Pace::default(), 0, Duration::ZERO);
    let objects = spool.len().min(SINGLES_MAX);
    for first in (0..objects).step_by(SINGLES_TURN) {
        for object in spool.objects(first, SINGLES_YARDSTICK)? {
            paces.append.add(1, append.push(std::slice::from_ref(&object))?);
            paces.sled.add(1, sled.push(&[object])?);
        }
        for group in spool.objects(first, GROUPS_TURN * CLIENTS)?.chunks(CLIENTS) {
            groups.add(1, append.push(group)?);
        }
        let bodies = spool.bodies(first, SINGLES_TURN.min(objects - first))?;
        let before = disk.syncs();
        let pushed = bodies.len();
        paces.store.add(pushed, push_at_once(&store, publisher.pushes(bodies, 1, 1)?)?);
        let after = disk.syncs();
        syncs += after.0 - before.0;
        syncing += after.1 - before.1;
    }
    let group = count(objects) / count_u64(syncs);
    let possible = groups.per_second() * group;
    Ok(json!({
        "push": 1,
        "clients": CLIENTS,
        "objects": objects,
        "all": paces.figures(),
        "objects_per_sync": round(group),
        "fdatasync_of_8_objects_per_s": groups.per_second().round(),
        "share_of_fdatasync_rate": round(paces.store.per_second() / possible),
        "share_of_time_in_fdatasync": round(syncing.as_secs_f64() / paces.store.time.as_secs_f64()),
    }))
}

/// Commits from all clients; the time until the last has its answer.
fn push_at_once(store: &SledStore, mut pushes: Vec<Batch>) -> anyhow::Result<Duration> {
    let share = pushes.len().div_ceil(CLIENTS).max(1);
    let mut shares = Vec::new();
    while !pushes.is_empty() {
        shares.push(pushes.split_off(pushes.len().saturating_sub(share)));
    }
    let started = Instant::now();
    thread::scope(|scope| {
        let commit = |share: Vec<Batch>| {
            share.into_iter().try_for_each(|push| store.commit(push, Time::from_micros(0)).map(drop))
        };
        let clients: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || commit(share))).collect();
        clients.into_iter().try_for_each(|client| Ok(client.join().ok().context("a client panicked")??))
    })
    .map(|()| started.elapsed())
}
