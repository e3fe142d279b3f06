//! When a path is evaluated again: what takes long is not done all the time, and what failed is not done at once.

use std::time::Duration;

use gridmill_client::engine::Evaluated;

/// A path that takes less is evaluated whenever something was touched.
const SHORT: Duration = Duration::from_micros(50);

/// A path that takes longer waits so many times as long.
const WAITS: u32 = 9;

/// How long a path that failed waits, unless something is touched: it ends after ten times.
const FAILED: Duration = Duration::from_millis(20);

/// How long to wait after an evaluation that took so long.
pub(super) fn wait(evaluated: Evaluated, took: Duration) -> Duration {
    let paced = if took < SHORT { Duration::ZERO } else { took * WAITS };
    if evaluated == Evaluated::Failed { paced.max(FAILED) } else { paced }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_takes_a_tenth_of_a_core() {
        let wait = |micros| wait(Evaluated::Well, Duration::from_micros(micros));
        assert_eq!(wait(20), Duration::ZERO);
        assert_eq!(wait(1_000), Duration::from_millis(9));
    }
}
