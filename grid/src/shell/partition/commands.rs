//! What people ask of a partition beside events: quarantined records, and the end.

use gridmill_persistence::LogError;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::machine::batch::{Batch, Item};
use crate::machine::control::{generation, kind, push_control};
use crate::machine::flush::{FlowsAtFlush, flush_now};
use crate::machine::replay::retried;
use crate::topology::RecordInfo;

use super::commit::PendingCommand;
use super::shared::Counters;
use super::{Fatal, Partition, QuarantineCommand};

impl Partition {
    /// Handles a quarantined record again, after all that came since, or forgets it. Either is a
    /// record of the log, so that a replay does the same.
    pub(crate) fn quarantined(&mut self, order: QuarantineCommand) -> Result<(), Fatal> {
        // Its record comes behind a batch that is applied in part, and behind a topology that joins.
        if self.rest.is_some() || self.catching_up.is_entering() {
            self.commands.push(order);
            return Ok(());
        }
        let QuarantineCommand { mut retry, discard, done } = order;
        let held = self.core.topology(&retry.topology).and_then(|topology| {
            self.core.consumers[topology].quarantine.get(&retry.position).cloned()
        });
        let Some(verdict) = held else {
            let _ = done.send(Err(format!(
                "topology `{}` has no record at position {} in quarantine; see `grid.quarantine()`",
                retry.topology, retry.position
            )));
            return Ok(());
        };
        retry.depot = verdict.depot;
        retry.offset = verdict.offset;
        let time = self.options.clock.now().max(self.last_time);
        let info = RecordInfo { position: self.log.next_position(), offset: retry.offset, time };
        let item = if discard {
            Item::Discard(retry.clone())
        } else {
            let reader = self.log.reader();
            let events = match retried(&self.core.plan, &self.registry, &reader, &retry, info) {
                Ok(Some(events)) => events,
                Ok(None) => {
                    let _ = done.send(Err("its depot or topology is gone".to_owned()));
                    return Ok(());
                }
                Err(error) => {
                    let _ = done.send(Err(error.to_string()));
                    return Ok(());
                }
            };
            Item::Retry(retry.clone(), events)
        };
        let kind = if discard { kind::DISCARD } else { kind::RETRY };
        let generation = generation(&self.core, &self.registry, &retry.topology);
        let logged = if is_planted(Bug::LoseRetry) {
            Ok(())
        } else {
            push_control(&mut self.log, (kind, generation), time, &retry)
                .and_then(|_| self.log.write().map(|_| ()))
        };
        if let Err(error) = logged {
            let _ = done.send(Err(error.to_string()));
            return self.after_failed_write(error);
        }
        self.last_time = time;
        let batch = Batch::new(vec![item], self.log.next_position());
        self.shared.commits.written(batch.end, Vec::new(), Some(PendingCommand::new(done)));
        self.make_durable();
        self.apply(batch)
    }

    /// Sees to the orders that had to wait.
    pub(crate) fn quarantined_meanwhile(&mut self) -> Result<(), Fatal> {
        std::mem::take(&mut self.commands).into_iter().try_for_each(|order| self.quarantined(order))
    }

    fn after_failed_write(&mut self, error: LogError) -> Result<(), Fatal> {
        match error {
            LogError::SyncFailed { .. } => self.recover_log(),
            _ => Ok(()),
        }
    }

    /// Whether it was told to stop and nothing is under way any more.
    pub(crate) fn may_stop(&mut self) -> bool {
        if self.shutdown.is_none() {
            return false;
        }
        self.catching_up.cancel();
        let busy = self.flushing
            || self.rest.is_some()
            || !self.merges.is_empty()
            || self.syncing
            || self.shared.commits.len() > 0
            || !self.shared.is_idle()
            || !self.catching_up.is_empty();
        !busy
    }

    /// Flushes everything and leaves a clean end.
    pub(crate) fn stop_cleanly(mut self) {
        let Some(done) = self.shutdown.take() else { return };
        let recovered = self.log.recover_from_failed_sync().map_err(|error| error.to_string());
        let flushed = recovered.and_then(|()| self.flush_everything());
        let Self { log, fence, flushes, shared, .. } = self;
        let noted = flushed.and_then(|()| {
            // The next start knows by it that the log is whole.
            let end = log.next_position();
            flushes.root.note_end(shared.module, shared.partition, end.number());
            flushes.manifest.lock().note_end(end).map_err(|error| error.to_string())
        });
        let closed = noted.and_then(|()| log.close_clean().map_err(|error| error.to_string()));
        drop(fence);
        let _ = done.send(closed);
    }

    fn flush_everything(&mut self) -> Result<(), String> {
        for group in 0..self.core.plan.groups.len() {
            if self.is_behind(group) {
                let live: Vec<usize> = self.core.live_of(group).collect();
                let bytes =
                    flush_now(&mut self.core, &live, &self.flushes, FlowsAtFlush::default());
                let bytes = bytes.map_err(|error| error.to_string())?;
                Counters::add(&self.shared.counters.flushes, 1);
                Counters::add(&self.shared.counters.flushed_bytes, bytes);
            }
        }
        self.syncer.sync().map_err(|error| error.to_string())?;
        Ok(())
    }
}
