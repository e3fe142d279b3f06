//! Syncs run beside the actor, so that the next batch is made while the last one is synced. Where
//! there is no next one, the actor syncs itself: to wake another thread takes almost as long.

use std::sync::Arc;

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, LogSyncer, Position};

use super::counters::Counters;
use super::part::Part;
use super::shared::Shared;
use super::{Durability, Fatal, Msg, Partition};
use crate::shell::host::{Host, Job, Step, Work};

/// Records that handlers may take after a sync on the actor's thread. With more, the sync is to run
/// meanwhile.
const HANDLED_MAX: usize = 16;

impl Partition {
    /// Syncs what was written, on another thread. One sync runs at a time.
    pub(crate) fn start_sync(&mut self) {
        if self.syncing {
            self.sync_wanted = true;
            return;
        }
        self.syncing = true;
        self.sync_wanted = false;
        let job = SyncJob {
            syncer: self.syncer.clone(),
            shared: Arc::clone(&self.shared),
            host: Arc::clone(&self.host),
            synced: None,
        };
        self.host.run(Work::Sync, Box::new(job));
    }

    pub(crate) fn synced(&mut self, result: Result<(), LogError>) -> Result<(), Fatal> {
        self.syncing = false;
        self.see_to(result)?;
        if self.sync_wanted {
            self.start_sync();
        }
        Ok(())
    }

    /// Whether to bring `taken` to the disk on this thread: nothing of this partition can go on
    /// meanwhile, no other partition of the thread waits, and handlers have little to do that could be
    /// done beside the sync.
    pub(crate) fn is_alone(&self, taken: &[Part]) -> bool {
        self.options.durability == Durability::Sync
            && !self.syncing
            && self.shared.commits.len() == 0
            && !self.shared.mailbox.has_waiting(1)
            && !self.shared.mailbox.load().is_shared()
            && self.handled(taken) <= HANDLED_MAX
    }

    /// How many events of `taken` go to handlers.
    fn handled(&self, taken: &[Part]) -> usize {
        let is_read = |depot| self.core.plan.topologies.iter().any(|t| t.source(depot).is_some());
        let read = taken.iter().filter(|part| is_read(part.depot));
        read.map(|part| part.encoded.len()).sum()
    }

    /// Syncs on this thread.
    pub(crate) fn sync_here(&mut self) -> Result<(), Fatal> {
        let synced = self.syncer.sync().map(|durable| note_durable(&self.shared, durable));
        self.see_to(synced)
    }

    fn see_to(&mut self, result: Result<(), LogError>) -> Result<(), Fatal> {
        let Err(error) = result else { return Ok(()) };
        tracing::error!(partition = self.shared.partition, %error, "a sync failed");
        self.recover_log()
    }

    /// After a failed sync: writes all that was not durable into a new segment.
    pub(crate) fn recover_log(&mut self) -> Result<(), Fatal> {
        self.log.recover_from_failed_sync()?;
        let durable = self.syncer.sync()?;
        self.shared.durable(durable);
        Ok(())
    }

    pub(crate) fn sync_due(&mut self) {
        let behind = self.syncer.durable() < self.log.next_position();
        if behind && matches!(self.options.durability, Durability::Interval(_)) {
            self.start_sync();
        }
    }
}

/// A sync beside the partition: it makes durable what was written, then answers.
struct SyncJob {
    syncer: LogSyncer,
    shared: Arc<Shared>,
    host: Arc<dyn Host>,
    /// What the sync has made durable.
    synced: Option<Position>,
}

impl Job for SyncJob {
    fn step(&mut self) -> Step {
        if let Some(synced) = self.synced {
            let claims_all = is_planted(Bug::ClaimUnsynced);
            let durable = if claims_all { self.syncer.expose() } else { synced };
            note_durable(&self.shared, durable);
            self.host.tell(Msg::Synced(Ok(())));
            return Step::Done;
        }
        match self.syncer.sync() {
            Ok(durable) => self.synced = Some(durable),
            Err(error) => {
                self.host.tell(Msg::Synced(Err(error)));
                return Step::Done;
            }
        }
        Step::Again
    }
}

/// Everything before `durable` is durable now.
fn note_durable(shared: &Shared, durable: Position) {
    Counters::add(&shared.counters.syncs, 1);
    // Appends that only wait for the log are answered here, never behind a handler.
    shared.durable(durable);
}
