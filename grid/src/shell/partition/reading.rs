//! Reading the past for a topology that is not live, batch by batch, beside the live flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_persistence::{LogReader, Position};

use crate::machine::batch::Batch;
use crate::machine::budget::Account;
use crate::machine::core::Core;
use crate::machine::flush::{FlowsAtFlush, FlushContext, FlushFault, flush_now};
use crate::machine::merge::{Biases, merge_now};
use crate::machine::registry::Registry;
use crate::machine::replay::{Replay, verdicts};
use crate::shell::host::{Host, Job, Step};
use crate::state::FlushError;

use super::Msg;
use super::catch_ups::CaughtUp;
use super::past::Progress;
use super::shared::Shared;

/// What the thread of one topology works with.
pub(super) struct Reading {
    pub(super) topology: usize,
    pub(super) core: Core,
    pub(super) registry: Arc<Registry>,
    pub(super) reader: LogReader,
    /// Where it reads, once it has begun.
    pub(super) replay: Option<Replay>,
    pub(super) flushes: FlushContext,
    pub(super) shared: Arc<Shared>,
    pub(super) host: Arc<dyn Host>,
    pub(super) cancel: Arc<AtomicBool>,
    /// What its unflushed changes take.
    pub(super) changes: Account,
    pub(super) biases: Biases,
}

/// A topology that reads the past, one batch a step; then it knocks at the actor's door.
pub(super) struct ReadJob {
    reading: Option<Box<Reading>>,
    host: Arc<dyn Host>,
    shared: Arc<Shared>,
}

impl ReadJob {
    pub(super) fn new(reading: Reading) -> Self {
        let (host, shared) = (Arc::clone(&reading.host), Arc::clone(&reading.shared));
        Self { reading: Some(Box::new(reading)), host, shared }
    }
}

impl Job for ReadJob {
    fn step(&mut self) -> Step {
        let Some(mut reading) = self.reading.take() else { return Step::Done };
        let topology = reading.topology;
        let message = match reading.step() {
            Ok(Read::On) => {
                self.reading = Some(reading);
                return Step::Again;
            }
            Ok(Read::End) => Msg::CaughtUp(Box::new(reading.caught_up())),
            Ok(Read::Told) => Msg::CatchUpEnded(topology, None),
            Err(Fault::Flush(problem)) => Msg::PutOff(Box::new(reading.caught_up()), problem),
            Err(Fault::Other(problem)) => Msg::CatchUpEnded(topology, Some(problem)),
        };
        self.host.tell(message);
        self.shared.published.touch();
        Step::Done
    }
}

/// Why a step of reading went no further.
enum Fault {
    /// What was read cannot be written out now: it goes on later.
    Flush(String),
    Other(String),
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self::Other(problem)
    }
}

/// How far a step of reading came.
enum Read {
    On,
    /// To the end of what is durable.
    End,
    /// It was told to stop.
    Told,
}

impl Reading {
    /// What it has come to, for the partition.
    fn caught_up(self) -> CaughtUp {
        let Self { topology, core, changes, .. } = self;
        CaughtUp::new(topology, core, changes)
    }

    fn step(&mut self) -> Result<Read, Fault> {
        // Also where there is nothing left to read: a stop waits for this.
        if self.cancel.load(Ordering::Relaxed) {
            self.flush()?;
            return Ok(Read::Told);
        }
        if self.replay.is_none() {
            self.begin()?;
        }
        let Some(replay) = &mut self.replay else { return Ok(Read::On) };
        let batch = replay.next_batch().map_err(|error| error.to_string())?;
        let Some(mut batch) = batch else { return Ok(Read::End) };
        loop {
            self.apply(&mut batch)?;
            if batch.is_applied() {
                break;
            }
            if self.cancel.load(Ordering::Relaxed) {
                self.flush()?;
                return Ok(Read::Told);
            }
        }
        self.show(batch.end);
        Ok(Read::On)
    }

    /// Applies a step of a batch, and writes out what has become too much.
    fn apply(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let applied = self.core.apply(batch).map_err(|error| error.to_string())?;
        if !applied.verdicts.is_empty() {
            self.host.tell(Msg::SetAside(applied.verdicts));
        }
        let bytes = self.core.weight(self.topology);
        self.changes.set(bytes);
        if self.changes.is_over(bytes) {
            self.flush().map_err(Fault::Flush)?;
            self.merge();
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), String> {
        let from = self.core.consumers[self.topology].next;
        self.skip_known(from)?;
        let only = std::iter::once(self.topology);
        let replay = Replay::new(&self.core.plan, &self.registry, self.reader.clone(), from, only);
        self.replay = Some(replay.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        let flushed = flush_past(&mut self.core, self.topology, &self.flushes);
        flushed.map_err(|error| error.to_string())
    }

    /// Keeps its runs few, on this thread: what it reads of its own state it reads through them.
    fn merge(&mut self) {
        let Self { core, topology, biases, flushes, cancel, shared, .. } = self;
        match merge_now(core, *topology, biases, flushes, cancel) {
            Ok(()) | Err(FlushFault::Runs(FlushError::Cancelled)) => {}
            Err(error) => {
                let partition = shared.partition;
                tracing::error!(partition, %error, "a merge failed; it is tried again later");
            }
        }
    }

    /// Records that stand in quarantine further on in the log.
    fn skip_known(&mut self, from: Position) -> Result<(), String> {
        let found = verdicts(&self.core.plan, &self.registry, &self.reader, from);
        let found = found.map_err(|error| error.to_string())?;
        let mine = found.into_iter().filter(|(topology, _)| *topology == self.topology);
        self.core.consumers[self.topology].skip.extend(mine.map(|(_, position)| position));
        Ok(())
    }

    /// Publishes how far it is, and what it has so far.
    fn show(&mut self, position: Position) {
        let views = self.core.views();
        let owned = self.core.plan.topologies[self.topology].owned.iter();
        let roots = owned.map(|&pstate| (pstate, Arc::clone(&views[pstate])));
        let progress = Progress { done: position.number(), total: self.reader.end().number() };
        self.shared.past.show(self.topology, progress, roots);
        self.shared.published.touch();
    }
}

/// Writes out what a topology has that reads the past.
pub(super) fn flush_past(
    core: &mut Core,
    topology: usize,
    flushes: &FlushContext,
) -> Result<(), FlushFault> {
    // In the manifest it is not live before it has joined.
    core.consumers[topology].live = false;
    let flushed = flush_now(core, &[topology], flushes, FlowsAtFlush::default());
    core.consumers[topology].live = true;
    flushed.map(|_| ())
}
