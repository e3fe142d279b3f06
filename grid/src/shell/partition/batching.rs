//! One batch on its way in: out of the mailbox and into the log.

use gridmill_client::{AppendErrorKind, BatchReceipt};
use gridmill_persistence::LogError;

use crate::machine::batch::{Batch, Events, Item};
use crate::topology::RecordInfo;
use gridmill_persistence::Position;

use super::callers::Callers;
use super::counters::Counters;
use super::log_writer::Logged;
use super::queued::QueuedEvents;
use super::{Durability, Fatal, Msg, Partition};

/// What the events of one batch may cost (see [`QueuedEvents::cost`]), about: a millisecond of work, so that callers
/// of one batch are answered, and append again, while the next one is made.
const BATCH_BYTES: usize = 64 << 10;

/// Batches that may be written and not durable yet: one is synced while the next is made.
const COMMITS_MAX: usize = 2;

/// As many as that where another full batch waits: a sync that takes long then stops nobody. Smaller
/// ones are worth waiting for more events, because each costs a write.
const FULL_COMMITS_MAX: usize = 6;

/// Records that handlers may take after a sync on the actor's thread. With more, the sync is to run
/// meanwhile.
const HANDLED_MAX: usize = 16;

/// The batch in the making, and one that is applied in part.
#[derive(Default)]
pub(crate) struct Batching {
    /// What makes up the batch in the making; kept for its allocation.
    dequeued: Vec<QueuedEvents>,
    /// A batch that was logged, and applied in part.
    rest: Option<Batch>,
    /// A `GoOn` is under way.
    told: bool,
}

impl Batching {
    /// An empty list for what is dequeued.
    fn list(&mut self) -> Vec<QueuedEvents> {
        std::mem::take(&mut self.dequeued)
    }

    /// Keeps the allocation of a list that is empty again.
    fn keep(&mut self, list: Vec<QueuedEvents>) {
        self.dequeued = list;
    }

    /// Whether a batch is applied in part.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// A step of `batch` was applied; what is left of it waits.
    pub(crate) fn applied(&mut self, batch: Batch) {
        self.rest = (!batch.is_applied()).then_some(batch);
    }

    pub(crate) fn take_rest(&mut self) -> Option<Batch> {
        self.rest.take()
    }

    /// A record came behind the batch that is applied in part, and is to be taken as its last; false where there
    /// is no such batch.
    pub(crate) fn extend_rest(&mut self, end: Position) -> bool {
        self.rest.as_mut().map(|rest| rest.end = end).is_some()
    }

    /// The partition was told to go on.
    pub(crate) fn goes_on(&mut self) {
        self.told = false;
    }

    /// Whether the partition is to be told to go on with the rest. It is told once.
    pub(crate) fn tell(&mut self) -> bool {
        self.rest.is_some() && !std::mem::replace(&mut self.told, true)
    }
}

impl Partition {
    /// Whether the next batch may start.
    pub(crate) fn may_dequeue(&self) -> bool {
        self.has_room() && !self.is_held_back() && !self.catch_ups.has_arrived()
    }

    /// Whether there are few enough batches under way for another.
    fn has_room(&self) -> bool {
        match self.shared.commits.len() {
            ..COMMITS_MAX => true,
            COMMITS_MAX..FULL_COMMITS_MAX => self.shared.mailbox.has_waiting(BATCH_BYTES),
            _ => false,
        }
    }

    /// Logs and applies what waits in the mailbox, as much as makes one batch.
    pub(crate) fn next_batch(&mut self) -> Result<(), Fatal> {
        let mut dequeued = self.batching.list();
        self.shared.mailbox.dequeue(BATCH_BYTES, &mut dequeued);
        if dequeued.is_empty() {
            self.batching.keep(dequeued);
            return Ok(());
        }
        self.closed_loop.arrived();
        let span = tracing::debug_span!("batch", partition = self.shared.partition);
        let _entered = span.enter();
        let alone = self.is_alone(&dequeued);
        match self.writer.write_events(&dequeued, alone) {
            Ok(logged) => self.logged(dequeued, logged, alone)?,
            Err(error) => self.not_logged(dequeued, &error)?,
        }
        self.ring_again();
        Ok(())
    }

    /// Others of this thread first; the rest of the mailbox comes with the next message.
    pub(crate) fn ring_again(&self) {
        if !self.shared.mailbox.is_idle() {
            self.shared.send(Msg::Wake);
        }
    }

    /// Whether to bring `dequeued` to the disk on this thread: nothing of this partition can go on
    /// meanwhile, no other partition of the thread waits, and handlers have little to do that could be
    /// done beside the sync.
    fn is_alone(&self, dequeued: &[QueuedEvents]) -> bool {
        self.syncing.durability() == Durability::Sync
            && !self.syncing.is_running()
            && self.shared.commits.len() == 0
            && !self.shared.mailbox.has_waiting(1)
            && !self.shared.mailbox.load().is_shared()
            && self.handled(dequeued) <= HANDLED_MAX
    }

    /// How many events go to handlers.
    fn handled(&self, dequeued: &[QueuedEvents]) -> usize {
        let is_read = |depot| self.core.plan.topologies.iter().any(|t| t.source(depot).is_some());
        let read = dequeued.iter().filter(|events| is_read(events.depot()));
        read.map(|events| events.encoded().len()).sum()
    }

    /// Makes a batch durable that was written, and applies it.
    fn logged(
        &mut self,
        mut dequeued: Vec<QueuedEvents>,
        logged: Logged,
        alone: bool,
    ) -> Result<(), Fatal> {
        self.count(&logged);
        let (batch, callers) = self.split(&mut dequeued, logged);
        self.batching.keep(dequeued);
        self.shared.commits.written(batch.end, callers, None);
        self.put_down();
        if !alone {
            self.make_durable();
            return self.apply(batch);
        }
        self.sync_here()?;
        self.apply(batch)?;
        if !self.batching.has_rest() {
            self.closed_loop.answered();
        }
        Ok(())
    }

    fn count(&self, logged: &Logged) {
        let counters = &self.shared.counters;
        Counters::add(&counters.records, u64::from(logged.records));
        Counters::add(&counters.bytes, logged.bytes);
        Counters::add(&counters.batches, 1);
    }

    /// Splits what was logged into what is applied and who waits for it.
    fn split(&self, dequeued: &mut Vec<QueuedEvents>, logged: Logged) -> (Batch, Vec<Callers>) {
        let Logged { first: mut position, time, mut offsets, .. } = logged;
        let mut callers = Vec::with_capacity(dequeued.len());
        let mut items = Vec::with_capacity(dequeued.len());
        for queued in dequeued.drain(..) {
            let (depot, count) = (queued.depot(), queued.encoded().len() as u64);
            let offset = offsets[depot];
            let (events, encoded, waits) = queued.logged(BatchReceipt {
                partition: self.shared.partition,
                count,
                first_offset: offset,
                first_position: position.to_bits(),
                ..BatchReceipt::default()
            });
            callers.push(waits);
            let infos = (0..count).map(|record| RecordInfo {
                position: position.forward(record),
                offset: offset + record,
                time,
            });
            let infos = infos.collect();
            items.push(Item::Events(Events { depot, events, encoded, infos, only: None }));
            offsets[depot] += count;
            position = position.forward(count);
        }
        (Batch::new(items, position), callers)
    }

    /// The batch was not logged, or nobody knows: tell everybody, with their events back where it is
    /// certain. A failed sync is recovered from, and the batch is tried again.
    fn not_logged(&mut self, dequeued: Vec<QueuedEvents>, error: &LogError) -> Result<(), Fatal> {
        if let LogError::SyncFailed { .. } = error {
            self.shared.mailbox.put_back(dequeued);
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
        dequeued.into_iter().for_each(|events| events.fail(&kind));
        self.put_down();
        Ok(())
    }

    /// Gives back what waits in the mailbox, while changes cannot be written out.
    pub(crate) fn refuse_waiting(&mut self) {
        let mut dequeued = self.batching.list();
        self.shared.mailbox.dequeue(usize::MAX, &mut dequeued);
        if !dequeued.is_empty() {
            let problem = self.shared.life.problem();
            let message = problem.map_or_else(String::new, |problem| problem.message);
            let kind = AppendErrorKind::ChangesFull { partition: self.shared.partition, message };
            dequeued.drain(..).for_each(|events| events.fail(&kind));
        }
        self.batching.keep(dequeued);
        self.put_down();
    }

    /// What was dequeued is under way, or refused.
    fn put_down(&self) {
        self.shared.mailbox.put_down();
        self.shared.published.touch();
    }
}
