//! One batch on its way in: out of the mailbox and into the log.

use gridmill_client::AppendErrorKind;
use gridmill_persistence::LogError;

use crate::machine::batch::Batch;
use gridmill_persistence::Position;

use super::counters::Counters;
use super::door::{Incoming, Splitting};
use super::ids::PlacedId;
use super::log_writer::Logged;
use super::mailbox::{Dequeued, Intake};
use super::queued::QueuedEvents;
use super::waiting::Waiting;
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
    /// What the events of the batch in the making are dequeued into; kept for its allocation.
    events: Vec<QueuedEvents>,
    /// A batch that was logged, and applied in part.
    rest: Option<Batch>,
    /// A `GoOn` is under way.
    told: bool,
}

impl Batching {
    /// An empty list for events that are dequeued.
    fn list(&mut self) -> Vec<QueuedEvents> {
        std::mem::take(&mut self.events)
    }

    /// Keeps the allocation of a list that is empty again.
    fn keep(&mut self, list: Vec<QueuedEvents>) {
        self.events = list;
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
        self.refuse_stalled();
        let events = self.batching.list();
        let mut dequeued = Dequeued { events, ..Dequeued::default() };
        self.shared.mailbox.dequeue(BATCH_BYTES, self.flows.intake(), &mut dequeued);
        if dequeued.is_empty() && !self.is_tick_due() {
            self.batching.keep(dequeued.events);
            return Ok(());
        }
        let incoming = self.let_in_new(dequeued);
        if incoming.is_empty() {
            self.batching.keep(incoming.events);
            self.put_down();
            self.ring_again();
            return Ok(());
        }
        self.closed_loop.arrived();
        let span = tracing::debug_span!("batch", partition = self.shared.partition);
        let _entered = span.enter();
        let alone = self.is_alone(&incoming);
        let outcomes = self.ids.outcomes(&self.core.plan, self.writer.registry());
        match self.writer.write(&self.core.plan, (&incoming, &outcomes), alone) {
            Ok(logged) => {
                self.ids.outcomes_logged(&outcomes);
                self.logged(incoming, logged, alone)?;
            }
            Err(error) => self.not_logged(incoming, &error)?,
        }
        self.ring_again();
        Ok(())
    }

    /// Lets in what was dequeued: of appends with ids and of what partitions sent, what is new.
    fn let_in_new(&mut self, mut dequeued: Dequeued) -> Incoming {
        self.let_in_once(&mut dequeued.events);
        let mut gaps = Vec::new();
        let marks = &mut self.flows.marks;
        let mut incoming = Incoming::admit(dequeued, self.writer.registry(), marks, &mut gaps);
        if self.flows.intake().events {
            incoming.events.extend(self.due_ticks());
        }
        self.ask_again(gaps);
        incoming
    }

    /// Others of this thread first; the rest of the mailbox comes with the next message.
    pub(crate) fn ring_again(&self) {
        if self.shared.mailbox.has(self.flows.intake()) {
            self.shared.send(Msg::Wake);
        }
    }

    /// Whether to bring `incoming` to the disk on this thread: nothing of this partition can go on
    /// meanwhile, no other partition of the thread waits, and handlers have little to do that could be
    /// done beside the sync.
    fn is_alone(&self, incoming: &Incoming) -> bool {
        self.syncing.durability() == Durability::Sync
            && !self.syncing.is_running()
            && self.shared.commits.len() == 0
            && !self.shared.mailbox.has_waiting(1)
            && !self.shared.mailbox.load().is_shared()
            && self.handled(incoming) <= HANDLED_MAX
    }

    /// How many records go to handlers.
    fn handled(&self, incoming: &Incoming) -> usize {
        let is_read = |depot| self.core.plan.topologies.iter().any(|t| t.source(depot).is_some());
        let read = incoming.events.iter().filter(|events| is_read(events.depot()));
        let sent = incoming.admitted.iter().map(|admitted| admitted.delivery.parcel.len());
        read.map(|events| events.encoded().len()).chain(sent).sum()
    }

    /// Makes a batch durable that was written, and applies it.
    fn logged(&mut self, incoming: Incoming, logged: Logged, alone: bool) -> Result<(), Fatal> {
        self.count(&logged);
        self.ticks.logged();
        self.flows.release();
        let received = incoming.received();
        Counters::add(&self.shared.counters.received, incoming.sent_records() as u64);
        let time = logged.time;
        let (batch, waiting, ids) = self.split(incoming, logged);
        self.ids.logged(&ids, time);
        self.shared.commits.written(batch.end, waiting, received, None);
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
    fn split(
        &mut self,
        incoming: Incoming,
        logged: Logged,
    ) -> (Batch, Vec<Waiting>, Vec<PlacedId>) {
        let Incoming { admitted, mut events } = incoming;
        let numbers = (self.shared.partition, admitted.len() + events.len());
        let mut splitting = Splitting::new(&self.core.plan, numbers, logged);
        admitted.into_iter().for_each(|admitted| splitting.sent(admitted));
        events.drain(..).for_each(|events| splitting.appended(events));
        let split = splitting.finish();
        self.batching.keep(events);
        split
    }

    /// The batch was not logged, or nobody knows: tell everybody, with their events back where it is
    /// certain. A failed sync is recovered from, and the batch is tried again.
    fn not_logged(&mut self, incoming: Incoming, error: &LogError) -> Result<(), Fatal> {
        let mut dequeued = incoming.take_back(&mut self.flows.marks);
        // Also where it may be in the log: either a later write tells that it is not, or the next start reads it.
        self.ids.take_back(dequeued.events.iter().filter_map(QueuedEvents::id_key));
        self.ticks.not_logged();
        dequeued.events.retain(|events| self.core.plan.depots[events.depot()].every.is_none());
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
        dequeued.events.drain(..).for_each(|events| events.fail(&kind));
        // What partitions sent cannot be refused: what sent it has happened.
        if !dequeued.deliveries.is_empty() {
            self.hold_deliveries();
        }
        self.shared.mailbox.put_back(dequeued);
        self.put_down();
        Ok(())
    }

    /// Gives back what clients have in the mailbox, while changes cannot be written out.
    pub(crate) fn refuse_changes(&mut self) {
        let problem = self.shared.life.problem();
        let message = problem.map_or_else(String::new, |problem| problem.message);
        let partition = self.shared.partition;
        self.refuse_waiting(&AppendErrorKind::ChangesFull { partition, message });
    }

    /// Gives back what clients have in the mailbox.
    pub(crate) fn refuse_waiting(&mut self, kind: &AppendErrorKind) {
        let mut dequeued = Dequeued::default();
        let intake = Intake { deliveries: false, events: true };
        self.shared.mailbox.dequeue(usize::MAX, intake, &mut dequeued);
        dequeued.events.drain(..).for_each(|events| events.fail(kind));
        self.put_down();
    }

    /// What was dequeued is under way, or refused.
    fn put_down(&self) {
        self.shared.mailbox.put_down();
        self.shared.published.touch();
    }
}
