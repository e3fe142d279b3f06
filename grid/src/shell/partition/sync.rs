//! Syncs run beside the actor, so that the next batch is made while the last one is synced. Where
//! there is no next one, the actor syncs itself: to wake another thread takes half as long as a sync.

use std::sync::Arc;

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, LogSyncer, Position};

use super::counters::Counters;
use super::shared::Shared;
use super::{Durability, Fatal, Msg, Partition};
use crate::shell::host::{Host, Job, Step, Work};

/// How what is written becomes durable. One sync runs at a time.
pub(crate) struct Syncing {
    syncer: LogSyncer,
    durability: Durability,
    /// A sync runs on another thread.
    running: bool,
    /// Something was written that the running sync may not cover.
    wanted: bool,
}

impl Syncing {
    pub(crate) fn new(syncer: LogSyncer, durability: Durability) -> Self {
        Self { syncer, durability, running: false, wanted: false }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running
    }

    /// Whether to start a sync now. Where one runs, another one will follow it.
    fn begin(&mut self) -> bool {
        self.wanted = self.running;
        !std::mem::replace(&mut self.running, true)
    }

    /// A sync has ended; whether another one is to follow.
    fn end(&mut self) -> bool {
        self.running = false;
        self.wanted
    }

    /// Syncs now, on this thread; returns up to where the log is durable.
    pub(crate) fn sync(&self) -> Result<Position, LogError> {
        self.syncer.sync()
    }

    /// Lets what is written count as durable; returns up to where.
    fn expose(&self) -> Position {
        self.syncer.expose()
    }
}

impl Partition {
    /// Starts the sync of what was written, or says that none is needed.
    pub(crate) fn make_durable(&mut self) {
        match self.syncing.durability {
            Durability::Sync if is_planted(Bug::AckBeforeSync) => {
                self.shared.durable(self.syncing.expose());
                self.start_sync();
            }
            Durability::Sync => self.start_sync(),
            // Records that partitions sent are told of at the sync, so that a power loss takes none that
            // their source has let go of.
            Durability::Interval(_) => self.shared.durable(self.syncing.expose()),
            Durability::Os => note_synced(&self.shared, self.syncing.expose()),
        }
    }

    /// Syncs what was written, on another thread.
    fn start_sync(&mut self) {
        if self.syncing.begin() {
            let job = SyncJob {
                syncer: self.syncing.syncer.clone(),
                shared: Arc::clone(&self.shared),
                host: Arc::clone(&self.host),
                synced: None,
            };
            self.host.run(Work::Sync, Box::new(job));
        }
    }

    pub(crate) fn synced(&mut self, result: Result<(), LogError>) -> Result<(), Fatal> {
        let again = self.syncing.end();
        self.see_to(result)?;
        if again {
            self.start_sync();
        }
        Ok(())
    }

    /// Syncs on this thread.
    pub(crate) fn sync_here(&mut self) -> Result<(), Fatal> {
        let synced = self.syncing.sync().map(|durable| note_durable(&self.shared, durable));
        self.see_to(synced)
    }

    fn see_to(&mut self, result: Result<(), LogError>) -> Result<(), Fatal> {
        let Err(error) = result else { return Ok(()) };
        tracing::error!(partition = self.shared.partition, %error, "a sync failed");
        self.recover_log()
    }

    /// After a failed sync: writes all that was not durable into a new segment.
    pub(crate) fn recover_log(&mut self) -> Result<(), Fatal> {
        self.writer.recover_from_failed_sync()?;
        note_synced(&self.shared, self.syncing.sync()?);
        Ok(())
    }

    pub(crate) fn sync_due(&mut self) {
        // A flush syncs the log as well, and tells nobody.
        let durable = self.syncing.syncer.durable();
        self.shared.synced(durable);
        let behind = durable < self.writer.end();
        if behind && matches!(self.syncing.durability, Durability::Interval(_)) {
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
    note_synced(shared, durable);
}

fn note_synced(shared: &Shared, synced: Position) {
    shared.synced(synced);
    shared.durable(synced);
}
