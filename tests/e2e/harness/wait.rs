//! Waiting for a thing, with a deadline.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a scenario fails: far longer than it does, since machines may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until there is something to see.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain: {what}");
        thread::sleep(PAUSE);
    }
}

/// Tells whoever runs the tests that a part of them did not run. It goes past the test runner, which keeps back what
/// tests that pass have printed.
pub(crate) fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {what}: {why}\n");
}
