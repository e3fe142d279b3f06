//! The end of a partition that is told to stop.

use crate::machine::flush::flush_now;

use super::Partition;
use super::counters::Counters;

impl Partition {
    /// Whether it was told to stop and nothing is under way any more.
    pub(crate) fn may_stop(&mut self) -> bool {
        if !self.commands.is_stopping() {
            return false;
        }
        self.catch_ups.cancel();
        let busy = self.maintenance.is_at_work()
            || self.batching.has_rest()
            || self.syncing.is_running()
            || !self.shared.is_done()
            || !self.catch_ups.is_empty();
        !busy
    }

    /// Flushes everything and leaves a clean end.
    pub(crate) fn stop_cleanly(mut self) {
        let Some(done) = self.commands.take_stop() else { return };
        let recovered = self.writer.recover_from_failed_sync().map_err(|error| error.to_string());
        self.log_outcomes();
        let flushed = recovered.and_then(|()| self.flush_everything());
        let Self { writer, fence, maintenance, shared, .. } = self;
        let context = maintenance.flushes.context();
        let noted = flushed.and_then(|()| {
            // The next start knows by it that the log is whole.
            let end = writer.end();
            context.root.note_end(shared.module, shared.partition, end.number());
            context.manifest.lock().note_end(end).map_err(|error| error.to_string())
        });
        let closed = noted.and_then(|()| writer.close_clean().map_err(|error| error.to_string()));
        drop(fence);
        let _ = done.send(closed);
    }

    /// Puts the last answers to appends with ids into the log. What there is no room for is not known to the next life.
    fn log_outcomes(&mut self) {
        loop {
            let outcomes = self.ids.last_outcomes(&self.core.plan, self.writer.registry());
            if outcomes.is_empty() || self.writer.write_outcomes(&outcomes).is_err() {
                break;
            }
            self.ids.outcomes_logged(&outcomes);
            let end = self.writer.end();
            let live = self.core.consumers.iter_mut().filter(|consumer| consumer.live);
            live.for_each(|consumer| consumer.next = end);
        }
    }

    fn flush_everything(&mut self) -> Result<(), String> {
        for group in 0..self.core.plan.groups.len() {
            if self.maintenance.flushes.is_behind(&self.core, group) {
                let live: Vec<usize> = self.core.live_of(group).collect();
                let flows = self.flows_at_flush(&live);
                let context = self.maintenance.flushes.context();
                let bytes = flush_now(&mut self.core, &live, context, flows);
                let bytes = bytes.map_err(|error| error.to_string())?;
                Counters::add(&self.shared.counters.flushes, 1);
                Counters::add(&self.shared.counters.flushed_bytes, bytes);
            }
        }
        self.syncing.sync().map_err(|error| error.to_string())?;
        Ok(())
    }
}
