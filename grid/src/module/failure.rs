//! What becomes of records that a handler cannot handle.

use std::time::Duration;

/// What a topology does with a record at which its handler panics, or makes a value that is not allowed. See
/// [`Source::on_failure`](crate::Source::on_failure).
///
/// The record stays in its depot, whatever is done; what the handler did for it is undone, and others go on.
///
/// ```
/// use std::time::Duration;
///
/// use gridmill::OnFailure;
/// use gridmill::prelude::*;
///
/// const HITS: Depot<u64> = Depot::hash_by("hits/hits", |page| page.into());
/// const ORDERS: Depot<u64> = Depot::hash_by("shop/orders", |order| order.into());
/// const PAGES: PState<Map<u64, u64>> = PState::new("hits/pages");
/// const BOOKED: PState<Map<u64, u64>> = PState::new("shop/booked");
///
/// fn count(key: u64, counts: &mut Map<u64, u64>) {
///     *counts.entry(key).or_default() += 1;
/// }
///
/// fn define(module: &mut Setup) {
///     module.depot(HITS).depot(ORDERS);
///     // One hit more or less is nothing to look after.
///     module.stream("hits", PAGES).source(HITS).on_failure(OnFailure::skip().attempts(1)).each(count);
///     // Tried again after 1, 2, 4, 8 and 16 seconds, then left to whoever looks after the quarantine.
///     let policy = OnFailure::set_aside().retry_after(Duration::from_secs(1), 5);
///     module.stream("book", BOOKED).source(ORDERS).on_failure(policy).each(count);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnFailure {
    pub(crate) skips: bool,
    /// How often it is tried at once; as often as the builder says where nothing is said.
    pub(crate) attempts: Option<u32>,
    pub(crate) retries: Option<Retries>,
}

/// How a record is tried again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retries {
    first: Duration,
    times: u32,
}

impl OnFailure {
    /// The record goes into quarantine, where it waits for [`Grid::retry_quarantined`] or
    /// [`Grid::discard_quarantined`]. Records after it are handled meanwhile. The default.
    ///
    /// [`Grid::retry_quarantined`]: crate::Grid::retry_quarantined
    /// [`Grid::discard_quarantined`]: crate::Grid::discard_quarantined
    pub const fn set_aside() -> Self {
        Self { skips: false, attempts: None, retries: None }
    }

    /// The topology never handles the record, and does not list it: for what nobody would look after.
    pub const fn skip() -> Self {
        Self { skips: true, attempts: None, retries: None }
    }

    /// How often a record is tried at once, instead of as often as
    /// [`GridBuilder::attempts`](crate::GridBuilder::attempts) says; at least once. What would fail each time, such as
    /// a value that is too large, is tried once.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Has a record that was set aside handled again by itself: after `first`, after twice as long each time that it
    /// fails again, so many `times`; each time with as many attempts at once. It is handled after all that came since,
    /// as with [`Grid::retry_quarantined`](crate::Grid::retry_quarantined), which may be called meanwhile, too.
    ///
    /// Whoever appended the event is told at the first failure, and does not wait for what comes later. The times go
    /// by the grid's clock, and survive restarts.
    pub const fn retry_after(mut self, first: Duration, times: u32) -> Self {
        self.retries = Some(Retries { first, times });
        self
    }

    /// What is wrong with it, and what to do.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match (self.attempts, self.retries) {
            (Some(0), _) => Some("with no attempt at all; give `attempts` at least 1"),
            (_, Some(_)) if self.skips => Some(
                "with `skip` and `retry_after`; what is skipped is not tried again, drop one of the two",
            ),
            (_, Some(retries)) if retries.first.is_zero() || retries.times == 0 => {
                Some("with `retry_after` of nothing; give it a time and a number of times")
            }
            _ => None,
        }
    }
}

impl Retries {
    /// When a record that was logged, or handled again, at `time` is to be handled again, where it has been tried so
    /// many times, and `at_once` each time.
    pub(crate) fn due(&self, time: i64, attempts: u32, at_once: u32) -> Option<i64> {
        // What fails every time was tried less often. What an operator set aside was not tried at all.
        if attempts == 0 || !attempts.is_multiple_of(at_once.max(1)) {
            return None;
        }
        let rounds = attempts / at_once.max(1);
        if rounds > self.times {
            return None;
        }
        let first = i64::try_from(self.first.as_micros()).unwrap_or(i64::MAX);
        let longer = 1_i64.checked_shl(rounds - 1).filter(|longer| *longer > 0).unwrap_or(i64::MAX);
        Some(time.saturating_add(first.saturating_mul(longer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_twice_as_long_until_there_have_been_enough() {
        let retries = Retries { first: Duration::from_micros(10), times: 3 };
        let due = |attempts| retries.due(100, attempts, 2);
        assert_eq!([2, 4, 6].map(due), [Some(110), Some(120), Some(140)]);
        assert_eq!([8, 10].map(due), [None, None]);
        assert_eq!([0, 1, 3].map(due), [None; 3], "nobody failed, or will fail every time");
        let many = Retries { first: Duration::from_secs(1), times: u32::MAX };
        assert_eq!(many.due(5, 200, 1), Some(i64::MAX));
    }
}
