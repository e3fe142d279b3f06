//! When a partition whose actor ended is opened again, and when it is given up.

use std::time::Duration;

/// How long the first restart waits; each further one in a row waits twice as long.
const BACK_OFF: Duration = Duration::from_millis(20);

/// Restarts in a row before a partition is given up: about ten seconds of trying.
const RESTARTS_MAX: u32 = 10;

/// The restarts of one partition in a row.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    failed: u32,
}

impl Restarts {
    /// How long to wait before the next.
    pub(crate) fn delay(&self) -> Duration {
        BACK_OFF * 2u32.pow(self.failed)
    }

    /// One failed: whether there is another. What `is_final` stays so: trying again would only keep callers
    /// waiting.
    pub(crate) fn go_on(&mut self, is_final: bool) -> bool {
        self.failed += 1;
        !is_final && self.failed < RESTARTS_MAX
    }
}
