//! Timers of a live partition: when some are due, a record of the log says what time it is, and they go.

use gridmill_persistence::LogError;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::machine::batch::{Batch, Item};
use crate::machine::control::{ClockRecord, kind};
use crate::topology::RecordInfo;

use super::counters::Counters;
use super::{Fatal, Msg, Partition};

/// How many timers of a topology one record lets go, at most: it is applied at once.
const TIMERS_MAX: u32 = 1024;

/// How many bytes these have, about, at most.
const BYTES_MAX: u64 = 1 << 20;

impl Partition {
    /// Logs what time it is where timers are due, and lets them go, some at a time. What they hold waits for as
    /// clients' events do where too much is under way to other partitions.
    pub(crate) fn fire_timers(&mut self) -> Result<(), Fatal> {
        // Cheap questions first: most partitions have no timers.
        if !self.is_timer_due()? || !self.flows.intake().events || !self.may_dequeue() {
            return Ok(());
        }
        let time = self.writer.time();
        let info = RecordInfo { position: self.writer.end(), offset: 0, time };
        let clock = ClockRecord { timers_max: TIMERS_MAX, bytes_max: BYTES_MAX };
        if let Err(error) = self.log_clock(clock, time) {
            return self.after_failed_write(&error);
        }
        let batch = Batch::new(vec![Item::Clock(clock, info)], self.writer.end());
        self.shared.commits.written(batch.end, Vec::new(), Vec::new(), None);
        self.make_durable();
        self.apply(batch)
    }

    /// Whether a timer is to go now. None does once the grid stops.
    fn is_timer_due(&mut self) -> Result<bool, Fatal> {
        if self.core.next_due()?.is_none() || self.shared.gate.is_closed() {
            return Ok(false);
        }
        Ok(self.core.is_due(self.writer.time())?)
    }

    fn log_clock(&mut self, clock: ClockRecord, time: i64) -> Result<(), LogError> {
        let timers_max = if is_planted(Bug::TimerOutsideLog) { 0 } else { clock.timers_max };
        let logged = ClockRecord { timers_max, ..clock };
        self.writer.write_controls(kind::CLOCK, time, std::iter::once((0, &logged)))
    }

    /// Counts the timers that are pending. Where something is due already, the partition has something to do, before
    /// anybody may find that it has not.
    pub(crate) fn note_due(&mut self) -> Result<(), Fatal> {
        if self.core.plan.has_timers() {
            Counters::set(&self.shared.counters.timers, self.core.pending_timers() as usize);
        }
        if self.core.plan.has_calls() {
            Counters::set(&self.shared.counters.calls, self.core.open_calls() as usize);
        }
        if self.is_timer_due()? || self.is_retry_due() {
            self.shared.mailbox.time_passed(|| self.shared.send(Msg::Wake));
        }
        Ok(())
    }
}
