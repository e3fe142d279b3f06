//! What handlers have scheduled: state of their topology, until the log says that it is time.

use gridmill_model::prelude::*;
use gridmill_model::{PState, Timer};

use crate::record;

use super::handler::RecordInfo;

/// When a timer is due, the position of the record that scheduled it, and which of those of that record: timers are
/// kept, and fire, in this order.
pub(crate) type TimerKey = (i64, u64, u32);

/// What is sent when a timer is due.
#[record]
pub(crate) struct Scheduled {
    /// The stage that it goes to, with the variant, as records of the log have it.
    pub(crate) type_id: u32,
    /// The partition that it goes to; [`EVERYWHERE`] for all of them.
    pub(crate) target: u32,
    pub(crate) bytes: Bytes,
}

/// The target of what goes to all partitions. There are never so many.
pub(crate) const EVERYWHERE: u32 = u32::MAX;

/// What a topology has scheduled on one partition.
pub(crate) type Timers = Map<TimerKey, Scheduled>;

/// The hidden PState of a topology's timers.
pub(crate) fn timers(name: &'static str) -> PState<Timers> {
    // Keys say nothing about where they are due.
    PState::new(name).local().private()
}

/// What a handler left for later: changes of its topology's timers and open calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Later {
    Schedule {
        key: TimerKey,
        /// By the plan's numbers.
        depot: usize,
        variant: u16,
        target: u32,
        bytes: Bytes,
    },
    Cancel(TimerKey),
    /// A call for the record that is handled.
    Call {
        info: RecordInfo,
        variant: u16,
        bytes: Bytes,
    },
}

/// Under which key a timer is kept.
pub(crate) fn key_of(timer: Timer) -> TimerKey {
    (timer.at, timer.position, timer.number)
}
