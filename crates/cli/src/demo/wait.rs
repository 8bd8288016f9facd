//! Waiting for a state, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a daemon may take to start or to stop.
pub(super) const DAEMON_SECONDS_MAX: u64 = 30;

/// How long a session may take to come about.
pub(super) const SESSION_SECONDS_MAX: u64 = 60;

/// How often a state is asked for.
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks until the answer is yes; gives whether it was before the deadline.
pub(super) async fn until(limit: Duration, mut ask: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        if ask().await? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(INTERVAL).await;
    }
}

/// How long the delivery of `objects` may take: enough for a slow machine that does other things too.
pub(super) fn delivery_limit(objects: usize) -> Duration {
    Duration::from_secs(SESSION_SECONDS_MAX + objects as u64 / 200)
}
