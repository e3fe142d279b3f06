//! Ticks of a simulated grid: each boundary once, whatever happens to the partition that appends them.

use std::time::Duration;

use gridmill_client::Recorded;

use crate::model::prelude::*;
use crate::module::Setup;

/// Microseconds from one tick to the next.
const EVERY: i64 = 2_000;

pub(super) const TICKS: Depot<Tick> = Depot::tick("sim/ticks", Duration::from_micros(EVERY as u64));

pub(super) fn declare(module: &mut Setup) {
    module.depot(TICKS);
}

/// All ticks of a grid at rest at `now`: they go on where those before them ended, and none is left out.
pub(super) fn check(ticks: &[Recorded<Tick>], now: i64) -> Result<(), String> {
    let mut last = None;
    for Recorded { event: Tick { at, missed }, offset, time, .. } in ticks {
        if at % EVERY != 0 || at > time {
            return Err(format!("tick {offset} is of {at} and was logged at {time}"));
        }
        let from = at - EVERY * (i64::from(*missed) + 1);
        if last.is_some_and(|last| last != from) {
            return Err(format!("tick {offset} of {at} missed {missed}, and comes after {last:?}"));
        }
        last = Some(*at);
    }
    match last {
        Some(last) if now - last >= EVERY => {
            Err(format!("the last tick is of {last}, and it is {now} by now"))
        }
        _ => Ok(()),
    }
}
