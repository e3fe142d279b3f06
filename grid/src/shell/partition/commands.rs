//! What people ask of a partition beside events: quarantined records, and the end.

use gridmill_client::engine::once;
use gridmill_persistence::LogError;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::machine::batch::{Batch, Item};
use crate::machine::control::{Retry, Verdict, generation, kind};
use crate::machine::replay::retried;
use crate::topology::RecordInfo;

use super::commit::PendingCommand;
use super::{Fatal, Partition};

/// Where the answer to a command goes.
pub(crate) type CommandDone = once::Sender<Result<(), String>>;

/// What to do with a quarantined record.
pub(crate) struct QuarantineCommand {
    pub(crate) retry: Retry,
    pub(crate) discard: bool,
    /// Nobody waits where it comes of itself.
    pub(crate) done: Option<CommandDone>,
}

/// Commands that cannot be carried out yet.
#[derive(Default)]
pub(crate) struct Commands {
    deferred: Vec<QuarantineCommand>,
    stop: Option<CommandDone>,
}

impl Commands {
    fn defer(&mut self, command: QuarantineCommand) {
        self.deferred.push(command);
    }

    /// The partition is to stop, once nothing is under way.
    pub(crate) fn stop(&mut self, done: CommandDone) {
        self.stop = Some(done);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Who is told that it has stopped.
    pub(crate) fn take_stop(&mut self) -> Option<CommandDone> {
        self.stop.take()
    }
}

impl Partition {
    /// Handles a quarantined record again, after all that came since, or forgets it. Either is a
    /// record of the log, so that a replay does the same.
    pub(crate) fn quarantined(&mut self, command: QuarantineCommand) -> Result<(), Fatal> {
        // Its record comes behind a batch that is applied in part, and behind a topology that joins.
        if self.batching.has_rest() || self.catch_ups.is_entering() {
            self.commands.defer(command);
            return Ok(());
        }
        let QuarantineCommand { mut retry, discard, done } = command;
        let time = self.writer.time();
        let item = match self.quarantine_item(&mut retry, discard, time) {
            Ok(item) => item,
            Err(message) => {
                match done {
                    Some(done) => drop(done.send(Err(message))),
                    None => self.is_hopeless(retry, &message),
                }
                return Ok(());
            }
        };
        if let Err(error) = self.log_command(&retry, discard, time) {
            done.map(|done| done.send(Err(error.to_string())));
            return self.after_failed_write(&error);
        }
        let batch = Batch::new(vec![item], self.writer.end());
        self.shared.commits.written(
            batch.end,
            Vec::new(),
            Vec::new(),
            done.map(PendingCommand::new),
        );
        self.make_durable();
        self.apply(batch)
    }

    /// What a command brings to the machine; `retry` gets the place of its record.
    fn quarantine_item(&self, retry: &mut Retry, discard: bool, time: i64) -> Result<Item, String> {
        let Some(verdict) = self.held(retry) else {
            return Err(format!(
                "topology `{}` has no record at position {} in quarantine; see `grid.quarantine()`",
                retry.topology, retry.position
            ));
        };
        (retry.depot, retry.offset) = (verdict.depot.clone(), verdict.offset);
        if discard {
            return Ok(Item::Discard(retry.clone()));
        }
        let info = RecordInfo { position: self.writer.end(), offset: retry.offset, time };
        let (registry, reader) = (self.writer.registry(), self.writer.reader());
        let events = retried(&self.core.plan, registry, &reader, retry, info);
        let events = events.map_err(|error| error.to_string())?;
        let events = events.ok_or("its depot or topology is gone")?;
        Ok(Item::Retry(retry.clone(), events))
    }

    /// The verdict that a command is about.
    fn held(&self, retry: &Retry) -> Option<&Verdict> {
        let topology = self.core.topology(&retry.topology)?;
        self.core.consumers[topology].quarantine.get(&retry.position)
    }

    fn log_command(&mut self, retry: &Retry, discard: bool, time: i64) -> Result<(), LogError> {
        if is_planted(Bug::LoseRetry) {
            return Ok(());
        }
        let kind = if discard { kind::DISCARD } else { kind::RETRY };
        let generation = generation(&self.core, &retry.topology);
        self.writer.write_controls(kind, time, std::iter::once((generation, retry)))
    }

    /// Sees to the commands that had to wait.
    pub(crate) fn quarantined_meanwhile(&mut self) -> Result<(), Fatal> {
        let deferred = std::mem::take(&mut self.commands.deferred);
        deferred.into_iter().try_for_each(|command| self.quarantined(command))
    }

    pub(super) fn after_failed_write(&mut self, error: &LogError) -> Result<(), Fatal> {
        match error {
            LogError::SyncFailed { .. } => self.recover_log(),
            _ => Ok(()),
        }
    }
}
