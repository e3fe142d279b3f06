//! When depots of ticks are due, and with what.

use gridmill_client::Gate;
use gridmill_client::engine::{Ack, EncodedEvents, Submission};
use gridmill_model::{Event, Tick};

use crate::module::Plan;

/// A depot of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticking {
    pub(crate) depot: usize,
    /// Microseconds from one boundary to the next.
    every: i64,
    /// The last boundary that has been seen to.
    last: i64,
}

impl Ticking {
    /// All depots of ticks of a module. None of them is due before its next boundary after `now`.
    pub(crate) fn all(plan: &Plan, now: i64) -> Vec<Self> {
        let depots = plan.depots.iter().enumerate();
        let ticking = depots.filter_map(|(depot, def)| Some((depot, def.every?)));
        ticking.map(|(depot, every)| Self { depot, every, last: boundary(now, every) }).collect()
    }

    /// `tick` has been appended.
    pub(crate) fn appended(&mut self, tick: Tick) {
        // The period may have been another one when it was.
        self.last = boundary(tick.at, self.every);
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> i64 {
        self.last.saturating_add(self.every)
    }

    /// What is to be appended at `now`: one tick, however many boundaries have passed.
    pub(crate) fn due(&self, now: i64) -> Option<Tick> {
        let at = boundary(now, self.every);
        let passed = at.saturating_sub(self.last) / self.every;
        let missed = u32::try_from(passed - 1).unwrap_or(u32::MAX);
        (passed > 0).then_some(Tick { at, missed })
    }
}

/// The last boundary at or before a time.
fn boundary(time: i64, every: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(every))
}

/// A tick as it is appended; nobody waits for its answer.
pub(crate) fn submission(depot: usize, tick: Tick) -> Option<Submission> {
    let mut bytes = Vec::new();
    // Two integers can always be encoded.
    tick.encode_fields(&mut bytes).ok()?;
    let mut encoded = EncodedEvents::default();
    encoded.push(0, &bytes);
    // It needs no room in a mailbox: it is made when it is taken out.
    let admission = Gate::new(1).try_enter(1).ok()?;
    let (events, ack) = (Box::new(vec![Some(tick)]), Ack::None);
    Some(Submission { depot, partition: 0, events, encoded, ack, admission, done: None, id: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_AGO: i64 = -1_000_000_000;

    #[test]
    fn one_tick_comes_after_a_pause_and_says_what_was_missed() {
        let mut ticking = Ticking { depot: 0, every: 10, last: boundary(27, 10) };
        assert_eq!((ticking.next(), ticking.due(29)), (30, None));
        assert_eq!(ticking.due(30), Some(Tick { at: 30, missed: 0 }));
        let late = Tick { at: 60, missed: 3 };
        assert_eq!(ticking.due(69), Some(late.clone()));
        ticking.appended(late);
        assert_eq!((ticking.next(), ticking.due(69)), (70, None));
    }

    #[test]
    fn a_clock_that_goes_back_ticks_no_boundary_twice() {
        let ticking = Ticking { depot: 0, every: 10, last: 60 };
        assert!([69, 60, 31, -5, i64::MIN].iter().all(|&now| ticking.due(now).is_none()));
        assert_eq!(ticking.due(70), Some(Tick { at: 70, missed: 0 }));
    }

    #[test]
    fn times_before_1970_and_at_the_end_of_time_are_told() {
        let ticking = Ticking { depot: 0, every: 10, last: boundary(LONG_AGO - 1, 10) };
        assert_eq!(ticking.due(LONG_AGO), Some(Tick { at: LONG_AGO, missed: 0 }));
        let at_end = ticking.due(i64::MAX).map(|tick| tick.missed);
        assert_eq!(at_end, Some(u32::MAX));
    }
}
