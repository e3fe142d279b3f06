//! One batch: out of the mailbox, into the log, through the machine.

use gridmill_client::{AppendErrorKind, BatchReceipt};
use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, Position, RecordMeta, Written};

use crate::machine::answers::complete;
use crate::machine::batch::{Batch, Events, Item};
use crate::machine::control::{Verdict, generation, kind, push_control};
use crate::topology::RecordInfo;

use super::commit::{PendingCommand, StepDone};
use super::counters::Counters;
use super::failing::JobKind;
use super::part::{Part, Waiting};
use super::{Durability, Fatal, Partition};

/// What the events of one batch may cost (see [`Part::cost`]), about: a millisecond of work, so that callers
/// of one batch are answered, and append again, while the next one is made.
const BATCH_BYTES: usize = 64 << 10;

/// Batches that may be written and not durable yet: one is synced while the next is made.
const FLIGHTS_MAX: usize = 2;

/// As many as that where another full batch waits: a sync that takes long then stops nobody. Smaller
/// ones are worth waiting for more events, because each costs a write.
const FULL_FLIGHTS_MAX: usize = 6;

impl Partition {
    /// Whether the next batch may start.
    pub(crate) fn may_take(&self) -> bool {
        self.has_room() && !self.is_held_back() && !self.catching_up.has_arrived()
    }

    /// Whether changes pile up faster than they are written out and dropped, and are, so that it helps to
    /// wait: this partition is told when one of the jobs ends.
    pub(crate) fn is_held_back(&self) -> bool {
        let is_double = |group| self.changes.is_double(self.core.weight_of(group));
        let mut groups = 0..self.core.plan.groups.len();
        // Flushes may wait for merges.
        let works = self.flushing || !self.merges.is_empty() || self.is_dropping();
        works && !self.failing.has(JobKind::Flush) && groups.any(is_double)
    }

    /// Whether there are few enough batches under way for another.
    fn has_room(&self) -> bool {
        match self.shared.commits.len() {
            ..FLIGHTS_MAX => true,
            FLIGHTS_MAX..FULL_FLIGHTS_MAX => self.shared.mailbox.has_waiting(BATCH_BYTES),
            _ => false,
        }
    }

    /// The topologies of the live flow.
    pub(crate) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        let consumers = self.core.consumers.iter().enumerate();
        consumers.filter(|(_, consumer)| consumer.live).map(|(topology, _)| topology)
    }

    /// Logs and applies what waits in the mailbox, as much as makes one batch.
    pub(crate) fn take_batch(&mut self) -> Result<(), Fatal> {
        let mut taken = std::mem::take(&mut self.taken);
        self.shared.mailbox.dequeue(BATCH_BYTES, &mut taken);
        if taken.is_empty() {
            self.taken = taken;
            return Ok(());
        }
        self.closed_loop.arrived(&self.shared.mailbox.load().last_answer);
        let span = tracing::debug_span!("batch", partition = self.shared.partition);
        let _entered = span.enter();
        let offsets = self.next_offsets.clone();
        let alone = self.is_alone(&taken);
        match self.log_batch(&taken, alone) {
            Ok(written) => {
                let (batch, waiting) = self.split(&mut taken, &offsets, &written);
                self.taken = taken;
                self.shared.commits.written(batch.end, waiting, None);
                self.shared.mailbox.put_down();
                self.shared.published.touch();
                self.finish(batch, alone)?;
            }
            Err(error) => {
                self.next_offsets = offsets;
                self.not_logged(taken, &error)?;
            }
        }
        if !self.shared.mailbox.is_idle() {
            // Others of this thread first; the rest of the mailbox comes with the next message.
            self.shared.send(super::Msg::Wake);
        }
        Ok(())
    }

    /// Makes a batch durable that was written, and applies it.
    fn finish(&mut self, batch: Batch, alone: bool) -> Result<(), Fatal> {
        if !alone {
            self.make_durable();
            return self.apply(batch);
        }
        self.sync_here()?;
        self.apply(batch)?;
        if self.rest.is_none() {
            self.closed_loop.answered(&self.shared.mailbox.load().last_answer);
        }
        Ok(())
    }

    /// Writes the records of `taken` as one batch. On an error the log is as it was.
    fn log_batch(&mut self, taken: &[Part], alone: bool) -> Result<Written, LogError> {
        let time = self.options.clock.now().max(self.last_time);
        let pushed = self.push_all(taken, time);
        if let Err(error) = pushed {
            self.log.discard();
            return Err(error);
        }
        let written = if alone { self.log.write_direct()? } else { self.log.write()? };
        self.last_time = time;
        Counters::add(&self.shared.counters.records, u64::from(written.records));
        Counters::add(&self.shared.counters.bytes, written.bytes);
        Counters::add(&self.shared.counters.batches, 1);
        Ok(written)
    }

    fn push_all(&mut self, taken: &[Part], time: i64) -> Result<(), LogError> {
        for part in taken {
            let depot = part.depot;
            let source = self.registry.source(depot);
            for (variant, bytes) in part.encoded.iter() {
                let meta = RecordMeta {
                    time,
                    depot_offset: self.next_offsets[depot],
                    type_id: self.registry.type_id(depot, variant),
                    source,
                    kind: kind::EVENT,
                    id: None,
                };
                self.log.push(&meta, bytes)?;
                self.next_offsets[depot] += 1;
            }
        }
        Ok(())
    }

    /// Splits parts into what is applied and who waits for it.
    fn split(
        &self,
        taken: &mut Vec<Part>,
        offsets: &[u64],
        written: &Written,
    ) -> (Batch, Vec<Waiting>) {
        let mut offsets = offsets.to_vec();
        let mut position = written.first;
        let mut waiting = Vec::with_capacity(taken.len());
        let mut items = Vec::with_capacity(taken.len());
        for part in taken.drain(..) {
            let (depot, count) = (part.depot, part.encoded.len() as u64);
            let (events, encoded, waits) = part.logged(BatchReceipt {
                partition: self.shared.partition,
                count,
                first_offset: offsets[depot],
                first_position: position.to_bits(),
                ..BatchReceipt::default()
            });
            waiting.push(waits);
            let infos = (0..count).map(|record| RecordInfo {
                position: position.forward(record),
                offset: offsets[depot] + record,
                time: self.last_time,
            });
            let infos = infos.collect();
            items.push(Item::Events(Events { depot, events, encoded, infos, only: None }));
            offsets[depot] += count;
            position = position.forward(count);
        }
        (Batch::new(items, position), waiting)
    }

    /// The batch was not logged, or nobody knows: tell everybody, with their events back where it is
    /// certain. A failed sync is recovered from, and the batch is tried again.
    fn not_logged(&mut self, taken: Vec<Part>, error: &LogError) -> Result<(), Fatal> {
        if let LogError::SyncFailed { .. } = error {
            self.shared.mailbox.put_back(taken);
            return self.recover_log();
        }
        let partition = self.shared.partition;
        let kind = match error {
            LogError::StorageFull { .. } => {
                AppendErrorKind::StorageFull { partition, message: error.to_string() }
            }
            LogError::Unsettled { .. } => AppendErrorKind::Unknown { reason: error.to_string() },
            other => AppendErrorKind::NotLogged { reason: other.to_string() },
        };
        taken.into_iter().for_each(|part| part.fail(&kind));
        self.shared.mailbox.put_down();
        self.shared.published.touch();
        Ok(())
    }

    /// Starts the sync of what was written, or says that none is needed.
    pub(crate) fn make_durable(&mut self) {
        match self.options.durability {
            Durability::Sync if is_planted(Bug::AckBeforeSync) => {
                let written = self.syncer.expose();
                self.shared.durable(written);
                self.start_sync();
            }
            Durability::Sync => self.start_sync(),
            Durability::Interval(_) | Durability::Os => {
                let durable = self.syncer.expose();
                self.shared.durable(durable);
            }
        }
    }

    /// Goes on with a batch that was applied in part, unless what it changed has to be written out first.
    pub(crate) fn apply_rest(&mut self) -> Result<(), Fatal> {
        if self.is_held_back() {
            return Ok(());
        }
        self.rest.take().map_or(Ok(()), |batch| self.apply(batch))?;
        if self.rest.is_none() {
            self.quarantined_meanwhile()?;
            if !self.shared.mailbox.is_idle() {
                // Who came meanwhile has rung, and was not heard.
                self.shared.send(super::Msg::Wake);
            }
        }
        Ok(())
    }

    /// Applies a step of a batch that was written, and completes its commit where it was the last; what
    /// is left goes to `rest`.
    pub(crate) fn apply(&mut self, mut batch: Batch) -> Result<(), Fatal> {
        let mut applied = self.core.apply(&mut batch)?;
        let (heard, mut end) = (batch.applied_to(), batch.end);
        let control = |item: &Item| !matches!(item, Item::Events(_));
        let has_control = batch.items.iter().any(control);
        // Before verdicts are logged: they stand behind it.
        self.rest = (!batch.is_applied()).then_some(batch);
        if !applied.verdicts.is_empty() {
            end = self.log_verdicts(&applied.verdicts)?;
        }
        if !applied.verdicts.is_empty() || has_control {
            self.note_quarantine();
        }
        let failed = applied.verdicts.first().map(|verdict| verdict.message.clone());
        let answers = std::mem::take(&mut applied.answers);
        let (view, all) = (self.view(), self.rest.is_none());
        if is_planted(Bug::PublishHalfBatch) {
            self.shared.published.show_half(&view);
        }
        let (plan, counters) = (&self.core.plan, &self.shared.counters);
        let say = |waiting: &mut [Waiting], order: Option<&mut PendingCommand>| {
            if let (Some(order), Some(message)) = (order, failed) {
                order.fail(format!("it failed again: {message}"));
            }
            for (waiting, answers) in waiting.iter_mut().zip(answers) {
                Counters::add(&counters.rejected, answers.rejected() as u64);
                if waiting.is_for_processed() {
                    complete(plan, &mut waiting.receipt, answers);
                }
            }
        };
        self.shared.applied(StepDone { heard, end, all, view }, say);
        Ok(())
    }

    /// Logs verdicts, which the live flow knows already; returns the position after them.
    pub(crate) fn log_verdicts(&mut self, verdicts: &[Verdict]) -> Result<Position, Fatal> {
        for verdict in verdicts {
            tracing::warn!(
                topology = %verdict.topology, position = %verdict.position, depot = %verdict.depot,
                message = %verdict.message, "a record goes into quarantine"
            );
        }
        if is_planted(Bug::ForgetVerdict) {
            return Ok(self.log.next_position());
        }
        if let Err(error) = self.write_verdicts(verdicts) {
            self.log.discard();
            let LogError::SyncFailed { .. } = error else { return Err(error.into()) };
            self.recover_log()?;
            self.write_verdicts(verdicts)?;
        }
        self.make_durable();
        let end = self.log.next_position();
        match &mut self.rest {
            // Consumers come to it when they have the rest of the batch before it.
            Some(rest) => rest.end = end,
            None => {
                let live = self.core.consumers.iter_mut().filter(|consumer| consumer.live);
                live.for_each(|consumer| consumer.next = end);
            }
        }
        Ok(end)
    }
}

impl Partition {
    fn write_verdicts(&mut self, verdicts: &[Verdict]) -> Result<(), LogError> {
        for verdict in verdicts {
            let generation = generation(&self.core, &self.registry, &verdict.topology);
            push_control(&mut self.log, (kind::VERDICT, generation), self.last_time, verdict)?;
        }
        self.log.write().map(|_| ())
    }
}
