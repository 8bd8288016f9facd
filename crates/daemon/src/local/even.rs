//! Answers that say whether something is there come at even times: what is hidden from a reader takes the store some
//! reads more than what nobody has, and how long an answer took must not tell the one from the other.

use std::time::{Duration, Instant};

/// Far more than the store needs for what a request names, and little to whoever waits for it.
const STEP: Duration = Duration::from_millis(10);

/// Waits until a whole number of steps has passed since a request came.
pub(super) async fn until_even(begun: Instant) {
    tokio::time::sleep(rest(begun.elapsed())).await;
}

/// What is left of the step that has begun.
fn rest(elapsed: Duration) -> Duration {
    let over = elapsed.as_nanos() % STEP.as_nanos();
    STEP - Duration::from_nanos(u64::try_from(over).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_a_step_takes_one() {
        let step = STEP.as_micros();
        for (micros, expect) in [(0, step), (1, step), (9_999, step), (10_000, 2 * step), (12_345, 2 * step)] {
            let elapsed = Duration::from_micros(micros);
            assert_eq!((elapsed + rest(elapsed)).as_micros(), expect, "{micros}");
        }
    }
}
