//! The clock: the only place where the daemon asks what time it is.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use mithaq_core::time::Time;
use mithaq_sync::Now;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The wall clock.
pub(crate) fn wall() -> Time {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Time::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The wall clock and a clock that only grows.
pub(crate) fn now() -> Now {
    Now { wall: wall(), monotonic: START.elapsed() }
}
