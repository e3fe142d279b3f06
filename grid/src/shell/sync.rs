//! Syncs run beside the actor, so that the next batch is made while the last one is synced.

use std::sync::Arc;

use gridmill_persistence::LogError;

use super::actor::{Durability, Fatal, Msg, Partition};
use super::shared::Counters;

impl Partition {
    /// Syncs what was written, on another thread. One sync runs at a time.
    pub(crate) fn start_sync(&mut self) {
        if self.syncing {
            self.sync_wanted = true;
            return;
        }
        self.syncing = true;
        self.sync_wanted = false;
        let (syncer, shared, me) = (self.syncer.clone(), Arc::clone(&self.shared), self.me.clone());
        tokio::task::spawn_blocking(move || {
            let result = syncer.sync().map(|durable| {
                Counters::add(&shared.counters.syncs, 1);
                // Appends that only wait for the log are answered here, never behind a handler.
                shared.flights.durable(&shared, durable);
            });
            // An actor that ended meanwhile starts again from its folder.
            let _ = me.cast(Msg::Synced(result));
        });
    }

    pub(crate) fn synced(&mut self, result: Result<(), LogError>) -> Result<(), Fatal> {
        self.syncing = false;
        if let Err(error) = result {
            tracing::error!(partition = self.shared.partition, %error, "a sync failed");
            self.recover_log()?;
        }
        if self.sync_wanted {
            self.start_sync();
        }
        Ok(())
    }

    /// After a failed sync: writes all that was not durable into a new segment.
    pub(crate) fn recover_log(&mut self) -> Result<(), Fatal> {
        self.log.recover_from_failed_sync()?;
        let durable = self.syncer.sync()?;
        self.shared.flights.durable(&self.shared, durable);
        Ok(())
    }

    pub(crate) fn sync_due(&mut self) {
        let behind = self.syncer.durable() < self.log.next_position();
        if behind && matches!(self.options.durability, Durability::Interval(_)) {
            self.start_sync();
        }
    }
}
