//! Expiry: at `valid_until` the log gets a row that tells our own readers so. What was signed stays as it is.
//!
//! Beside each release stands when it is to be looked at next: at the first `valid_until` of its objects that is to come.
//! That is written in the commit of the release itself, so no restart loses it. What is over when it comes needs no row:
//! the feed tells so right behind the object.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mithaq_api::http::Problem;
use mithaq_core::{
    id::{ContentId, ReleaseId},
    release::{Kind, ReleaseDraft},
    stix::{object::Object, time::TimestampRef},
    time::Time,
};
use mithaq_store::{Arrival, Batch, StateChange, StoreError};
use tokio::sync::Notify;

use crate::{clock, node::Node, push::store_problem};

/// Before the key of when a release is to be looked at: time (8), release (32).
const LOOK: &[u8] = b"x/";

/// The key that tells that releases which were there before this was kept have such a row too.
const COMPLETE: &[u8] = b"xm/";

/// At once: what there is to know of the release is not known yet.
const AT_ONCE: i64 = 0;

/// How many releases are looked at before the clock is read again, and how many rows of the log are read at a time.
const ROWS: usize = 64;

/// The longest sleep, since clocks are set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How long to wait after a failure.
const FAILED_WAIT: Duration = Duration::from_secs(10);

/// When something expires next.
#[derive(Debug)]
pub(crate) struct Expiry {
    next: AtomicI64,
    sooner: Notify,
}

impl Default for Expiry {
    fn default() -> Self {
        Self { next: AtomicI64::new(i64::MAX), sooner: Notify::new() }
    }
}

impl Expiry {
    /// Notes that a release is to be looked at then.
    pub(crate) fn note(&self, micros: i64) {
        if self.next.fetch_min(micros, Ordering::AcqRel) > micros {
            self.sooner.notify_one();
        }
    }

    /// When something expires next: then, as a sweep has found, or sooner by what was noted meanwhile.
    fn next(&self, found: Option<i64>) -> i64 {
        // Nobody is woken: it is the sweeper itself who asks, and would never sleep.
        let found = found.unwrap_or(i64::MAX);
        self.next.fetch_min(found, Ordering::AcqRel).min(found)
    }
}

/// How many bodies are read at a time: those of one release lie together, and are unpacked together.
const BODIES: usize = 256;

/// Whether releases of a kind bring readers what may expire.
fn brings(kind: Kind) -> bool {
    kind.publishes() || matches!(kind, Kind::Accept | Kind::Corroborate)
}

/// What is to be written with a batch that is stored now, and when the first of it is due.
pub(crate) fn changes(batch: &Batch, now: Time) -> (Vec<StateChange>, Option<i64>) {
    let is_to_come = |micros: &i64| *micros > now.as_micros();
    let looks = batch.arrivals.iter().filter_map(|arrival| {
        let is_brought = brings(arrival.release.manifest().kind);
        let look_at = if arrival.bodies.len() < arrival.release.contents().len() {
            Some(AT_ONCE)
        } else {
            arrival.bodies.iter().flat_map(|body| times(body.bytes())).filter(is_to_come).min()
        };
        Some((look_at.filter(|_| is_brought)?, arrival.release.id()))
    });
    let looks: Vec<_> = looks.collect();
    let first = looks.iter().map(|(micros, _)| *micros).min();
    (
        looks.into_iter().map(|(micros, release)| StateChange::set(look_key(micros, release), Vec::new())).collect(),
        first,
    )
}

/// The object of these canonical bytes, if the time until which it is valid is over then.
pub(crate) fn over(body: &[u8], at: Time) -> Option<Object<'_>> {
    if !times(body).any(|time| time <= at.as_micros()) {
        return None;
    }
    Object::parse(body).ok().filter(|object| end_of(object).is_some_and(|end| end <= at.as_micros()))
}

/// The `valid_until` of an object.
fn end_of(object: &Object<'_>) -> Option<i64> {
    Some(object.valid_until()?.unix_micros().max(AT_ONCE + 1))
}

/// The times that stand under a `valid_until` anywhere in canonical bytes, that which counts among them: found without
/// reading the object.
fn times(body: &[u8]) -> impl Iterator<Item = i64> {
    const MEMBER: &[u8] = b"\"valid_until\":\"";
    memchr::memmem::find_iter(body, MEMBER).filter_map(move |at| {
        let text = &body[at + MEMBER.len()..];
        let text = &text[..memchr::memchr(b'"', text)?];
        let time = TimestampRef::borrow(std::str::from_utf8(text).ok()?).ok()?;
        Some(time.unix_micros().max(AT_ONCE + 1))
    })
}

fn look_key(micros: i64, release: ReleaseId) -> Vec<u8> {
    [LOOK, &micros.to_be_bytes(), release.as_bytes()].concat()
}

fn read_key(key: &[u8]) -> Option<(i64, ReleaseId)> {
    let (micros, release) = key.strip_prefix(LOOK)?.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*micros), ReleaseId::from_bytes(release.try_into().ok()?)))
}

/// Tells readers of what expires, until the daemon stops.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        node.expiry.next.store(i64::MAX, Ordering::Release);
        let worker = Arc::clone(&node);
        let swept = tokio::task::spawn_blocking(move || tell(&worker));
        let pause = match swept.await {
            Ok(Ok(found)) => until(node.expiry.next(found)),
            Ok(Err(problem)) => {
                let reason = problem.message;
                tracing::error!(code = problem.code, reason, "what has expired could not be told; trying again");
                FAILED_WAIT
            }
            Err(_) => return node.fail("telling what expires"),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = node.expiry.sooner.notified() => {}
            () = node.shutdown.cancelled() => return,
        }
    }
}

fn until(micros: i64) -> Duration {
    let left = micros.saturating_sub(clock::wall().as_micros());
    Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(SLEEP_MAX)
}

/// Writes rows of all that has expired and was not told; says when something expires next. Blocks.
pub(crate) fn tell(node: &Node) -> Result<Option<i64>, Problem> {
    complete(node)?;
    sweep(node)
}

/// Has releases looked at that were stored before this was kept.
fn complete(node: &Node) -> Result<(), Problem> {
    let failed = |error: StoreError| store_problem(&error);
    if node.store.state(COMPLETE).map_err(failed)?.is_some() {
        return Ok(());
    }
    let mut after = 0;
    loop {
        let rows = node.store.log(after, ROWS).map_err(failed)?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        let state = rows.iter().map(|row| StateChange::set(look_key(AT_ONCE, row.release), Vec::new())).collect();
        node.commit(Batch { state, ..Batch::default() }).map_err(failed)?;
    }
    let state = vec![StateChange::set(COMPLETE.to_vec(), vec![1])];
    node.commit(Batch { state, ..Batch::default() }).map_err(failed)?;
    Ok(())
}

/// Looks at each release whose time has come; says when the next comes. Blocks.
fn sweep(node: &Node) -> Result<Option<i64>, Problem> {
    loop {
        let rows = node.store.state_range(LOOK, None, ROWS).map_err(|error| store_problem(&error))?;
        if rows.is_empty() {
            return Ok(None);
        }
        for (key, _) in rows {
            let Some((look_at, release)) = read_key(&key) else { continue };
            if look_at > clock::wall().as_micros() {
                return Ok(Some(look_at));
            }
            look(node, key, look_at, release)?;
            if node.shutdown.is_cancelled() {
                return Ok(None);
            }
        }
    }
}

/// Writes a row of what of a release has expired since it was looked at last, and when it is to be looked at again.
fn look(node: &Node, key: Vec<u8>, look_at: i64, id: ReleaseId) -> Result<(), Problem> {
    let failed = |error: StoreError| store_problem(&error);
    let now = clock::wall();
    let mut batch = Batch::default();
    batch.state.push(StateChange { value: None, ..StateChange::set(key, Vec::new()) });
    let release = match node.store.release(id) {
        Err(StoreError::Corrupt { what }) => {
            // It is shown to nobody, and holds up nothing behind it.
            tracing::error!(what, "a damaged release is not looked at: run `mithaq store check`");
            None
        }
        read => read.map_err(failed)?,
    };
    if let Some((seq, release)) = release
        && let Ok(manifest) = release.stored_manifest()
        && brings(manifest.kind)
    {
        // Of what is held nobody is told; if it is accepted, that is a release of its own.
        let holds = node.standing.holds(&*node.store, id).map_err(failed)?;
        let contents = release.contents.into_iter().filter(|content| !holds.contains_key(content)).collect();
        let ends = ends_of(node, contents).map_err(failed)?;
        // What was over before the row came is told with it. Only where bodies did not come with their release is that not
        // known from when to look; a row's own time may be ahead of a clock that was set back.
        let since = if look_at == AT_ONCE { came(node, seq).map_err(failed)?.saturating_add(1) } else { look_at };
        let is_due = |end: i64| end <= now.as_micros() && end >= since;
        let due: Vec<_> = ends.iter().filter(|(_, end)| is_due(*end)).map(|(content, _)| *content).collect();
        let next = ends.iter().map(|(_, end)| *end).filter(|end| *end > now.as_micros()).min();
        batch.state.extend(next.map(|next| StateChange::set(look_key(next, id), Vec::new())));
        if !due.is_empty() {
            let draft = ReleaseDraft { kind: Kind::Expire, ..ReleaseDraft::publish(manifest.label, due, now) };
            batch.arrivals.push(Arrival { release: node.sign(draft)?, bodies: Vec::new() });
        }
    }
    node.commit(batch).map_err(failed)?;
    Ok(())
}

/// When a row was added, in microseconds since the Unix epoch; before everything if it was lost.
fn came(node: &Node, seq: u64) -> Result<i64, StoreError> {
    let row = node.store.log(seq - 1, 1)?.into_iter().next();
    Ok(row.map_or(AT_ONCE, |row| row.added_at.as_micros()))
}

/// The `valid_until` of those contents that are held and have one.
fn ends_of(node: &Node, contents: Vec<ContentId>) -> Result<Vec<(ContentId, i64)>, StoreError> {
    let mut ends = Vec::new();
    for contents in contents.chunks(BODIES) {
        for (content, body) in contents.iter().zip(node.sound_bodies(contents)?) {
            let Some(body) = body.filter(|body| times(body).next().is_some()) else { continue };
            let end = Object::parse(&body).ok().and_then(|object| end_of(&object));
            ends.extend(end.map(|end| (*content, end)));
        }
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_due_sooner_wakes() {
        let expiry = Expiry::default();
        let is_woken = async || tokio::time::timeout(Duration::ZERO, expiry.sooner.notified()).await.is_ok();
        assert_eq!((expiry.next(Some(5)), is_woken().await), (5, false));
        expiry.note(9);
        assert_eq!((expiry.next(Some(5)), is_woken().await), (5, false));
        expiry.note(3);
        assert_eq!((expiry.next(None), is_woken().await), (3, true));
    }

    #[test]
    fn times_are_found_without_reading_the_object() {
        let check =
            |body: &str, expect: &[i64]| assert_eq!(times(body.as_bytes()).collect::<Vec<_>>(), expect, "{body}");
        check(r#"{"type":"indicator"}"#, &[]);
        check(r#"{"valid_until":"1970-01-01T00:00:07Z"}"#, &[7_000_000]);
        check(
            r#"{"a":{"valid_until":"1970-01-01T00:00:05.5Z"},"valid_until":"1970-01-01T00:00:07Z"}"#,
            &[5_500_000, 7_000_000],
        );
        check(r#"{"valid_until":"never"}"#, &[]);
        check(r#"{"valid_until":7}"#, &[]);
        check(r#"{"valid_until":"1960-01-01T00:00:07Z"}"#, &[1]);
        check(r#"{"name":"\"valid_until\":\"1970-01-01T00:00:07Z\""}"#, &[]);
        check(r#"{"valid_until":""#, &[]);
    }

    #[test]
    fn keys_are_in_the_order_of_time() {
        let release = ReleaseId::from_bytes([7; 32]);
        assert!(look_key(AT_ONCE, release) < look_key(255, release) && look_key(255, release) < look_key(256, release));
        assert_eq!(read_key(&look_key(256, release)), Some((256, release)));
        assert_eq!(read_key(b"x/short"), None);
    }
}
