//! A live partition: it takes batches out of its mailbox, into the log and through the machine, and sees to
//! flushes, merges, catch-ups and orders beside that. All of it is synchronous; who calls it, and who does the
//! work that it hands out, is the business of its [`Host`].
//!
//! Messages are few: events wait in the mailbox beside it, and a `Wake` says that there are some.

pub(crate) mod catch_up;
mod closed_loop;
mod commands;
mod commit;
mod commits;
pub(crate) mod counters;
mod failing;
mod jobs;
mod life;
mod mailbox;
mod merges;
mod part;
pub(crate) mod past;
pub(crate) mod published;
mod reading;
pub(crate) mod shared;
mod sync;
mod take;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridmill_client::engine::once;
use gridmill_persistence::{Log, LogError, LogSyncer, Position};
use parking_lot::Mutex;

use crate::machine::answers::RecoveredAnswer;
use crate::machine::batch::Batch;
use crate::machine::budget::{Account, Budget};
use crate::machine::control::{Retry, Verdict};
use crate::machine::core::{Core, Stop};
use crate::machine::flush::{FlushContext, FlushDone, FlushFault};
use crate::machine::manifest::ManifestFile;
use crate::machine::merge::MergeDone;
use crate::machine::open::Opened;
use crate::machine::registry::Registry;
use crate::machine::replay::ReplayError;
use crate::state::Spent;

use super::clock::Clock;
use super::host::Host;

use catch_up::{CatchUps, CaughtUp};
use closed_loop::ClosedLoop;
use commits::Publish;
use failing::Failing;
use merges::Merges;
use part::{Part, Waiting};
use published::PartitionView;
use shared::Shared;

/// How durable an append is before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The log is synced before anything is answered or shown. One sync covers all that came in
    /// meanwhile. The default.
    #[default]
    Sync,
    /// Written is as good as durable; the log is synced this often. A killed process loses nothing,
    /// a power loss may lose the last interval.
    Interval(Duration),
    /// Written is as good as durable; the operating system syncs when it likes. A killed process
    /// loses nothing.
    Os,
}

/// What a partition's actor needs beside its state.
#[derive(Clone, Debug)]
pub(crate) struct ActorOptions {
    pub(crate) durability: Durability,
    /// For unflushed changes, of all partitions.
    pub(crate) changes: Budget,
    /// For the logs that a restart would replay, of all partitions of the thread.
    pub(crate) tails: Budget,
    pub(crate) clock: Clock,
}

/// What a partition is told.
pub(crate) enum Msg {
    /// Events wait in the mailbox.
    Wake,
    /// A batch that was applied in part goes on.
    GoOn,
    /// A sync has ended.
    Synced(Result<(), LogError>),
    /// It is time to sync, where durability goes by interval.
    SyncDue,
    /// A flush of a group of topologies has ended.
    Flushed(usize, Result<FlushDone, FlushFault>),
    /// The merge with this number has ended.
    Merged(u64, Result<MergeDone, FlushFault>),
    /// A topology that read the past has reached the end of what is durable.
    CaughtUp(Box<CaughtUp>),
    /// Such a topology set records aside.
    SetAside(Vec<Verdict>),
    /// Such a topology stopped reading, and why.
    CatchUpEnded(usize, Option<String>),
    /// A topology that reads the past cannot write out what it has.
    PutOff(Box<CaughtUp>, String),
    /// A quarantined record shall be handled again, or forgotten.
    Quarantined(QuarantineCommand),
    /// Flush everything and stop.
    Shutdown(once::Sender<Result<(), String>>),
}

/// What to do with a quarantined record.
pub(crate) struct QuarantineCommand {
    pub(crate) retry: Retry,
    pub(crate) discard: bool,
    pub(crate) done: once::Sender<Result<(), String>>,
}

/// A live partition.
pub(crate) struct Partition {
    pub(crate) shared: Arc<Shared>,
    pub(crate) core: Core,
    pub(crate) log: Log,
    pub(crate) syncer: LogSyncer,
    pub(crate) registry: Arc<Registry>,
    pub(crate) flushes: FlushContext,
    pub(crate) options: ActorOptions,
    pub(crate) next_offsets: Vec<u64>,
    pub(crate) last_time: i64,
    pub(crate) host: Arc<dyn Host>,
    /// A sync runs on another thread.
    pub(crate) syncing: bool,
    /// Something was written that the running sync may not cover.
    pub(crate) sync_wanted: bool,
    /// A flush runs on another thread.
    pub(crate) flushing: bool,
    pub(crate) merges: Merges,
    /// Flushes and merges that failed since the last good one.
    pub(crate) failing: Failing,
    /// What was flushed and may still be read.
    pub(crate) spent: Vec<Spent>,
    /// Shared with threads that drop what was flushed.
    pub(crate) dropping: Arc<()>,
    /// What the unflushed changes of live topologies take.
    pub(crate) changes: Account,
    /// What a restart would replay.
    pub(crate) tail: Account,
    /// By topology: the position that its runs cover.
    pub(crate) flushed: Vec<Position>,
    /// Groups of topologies to flush although they are small.
    pub(crate) flush_asked: HashSet<usize>,
    /// Topologies that read the past.
    pub(crate) catching_up: CatchUps,
    /// Orders that came while they had to wait.
    pub(crate) commands: Vec<QuarantineCommand>,
    pub(crate) quarantine: Arc<Vec<Verdict>>,
    pub(crate) shutdown: Option<once::Sender<Result<(), String>>>,
    /// What makes up the batch in the making; kept for its allocation.
    pub(crate) taken: Vec<Part>,
    /// A batch that was logged, and applied in part.
    pub(crate) rest: Option<Batch>,
    /// A `GoOn` is under way.
    pub(crate) rest_told: bool,
    pub(crate) closed_loop: ClosedLoop,
    pub(crate) fence: Fence,
}

fn flushed_positions(core: &Core, flushes: &FlushContext) -> Vec<Position> {
    let manifest = flushes.manifest.lock();
    let topologies = core.plan.topologies.iter();
    let next = |name| manifest.get().topology(name).map_or(Position::START, |meta| meta.next);
    topologies.map(|topology| next(topology.name)).collect()
}

/// Threads that still work for an actor that has ended must not touch the folder any more: its
/// successor may have opened it.
#[derive(Debug)]
pub(crate) struct Fence {
    manifest: Arc<Mutex<ManifestFile>>,
    cancel: Arc<AtomicBool>,
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        self.manifest.lock().revoke();
    }
}

/// Why an actor ends itself; its supervisor starts it again from its folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error(transparent)]
    Stop(#[from] Stop),
    #[error("the log: {0}")]
    Log(#[from] LogError),
    #[error("the log cannot be read back: {0}")]
    Replay(#[from] ReplayError),
}

impl Partition {
    /// Begins a life of the partition with what its folder held.
    pub(crate) fn begin(
        shared: Arc<Shared>,
        options: ActorOptions,
        opened: Opened,
        host: Arc<dyn Host>,
    ) -> Result<Self, Fatal> {
        let Opened { core, log, end, said, registry, flushes, next_offsets, last_time, .. } =
            opened;
        let flushed = flushed_positions(&core, &flushes);
        let (changes, tail) = (options.changes.account(), options.tails.account());
        let catching_up = CatchUps::default();
        let fence =
            Fence { manifest: Arc::clone(&flushes.manifest), cancel: catching_up.cancel_flag() };
        let mut partition = Self {
            shared,
            core,
            syncer: log.syncer(),
            log,
            registry: Arc::new(registry),
            flushes,
            options,
            next_offsets,
            last_time,
            host,
            syncing: false,
            sync_wanted: false,
            flushing: false,
            merges: Merges::default(),
            failing: Failing::default(),
            spent: Vec::new(),
            dropping: Arc::default(),
            changes,
            tail,
            flushed,
            flush_asked: HashSet::new(),
            catching_up,
            commands: Vec::new(),
            quarantine: Arc::default(),
            shutdown: None,
            taken: Vec::new(),
            rest: None,
            rest_told: false,
            closed_loop: ClosedLoop::default(),
            fence,
        };
        partition.show_recovered(end, said)?;
        Ok(partition)
    }

    /// Shows what the folder held, and starts what goes on beside the live flow. The log ended at
    /// `end` when it was opened.
    fn show_recovered(&mut self, end: Position, said: Vec<RecoveredAnswer>) -> Result<(), Fatal> {
        self.shared.published.show_log(self.log.reader());
        self.note_quarantine();
        self.note_runs();
        let view = self.view();
        let plan = Arc::clone(&self.core.plan);
        let hear = |waiting: &mut Waiting, from| waiting.hear(&plan, &said, from);
        self.shared.commits.recovered(end, view, hear, &self.shared.published);
        self.start_catch_ups()?;
        if let Durability::Interval(every) = self.options.durability {
            self.host.every(every, || Msg::SyncDue);
        }
        Ok(())
    }

    /// Carries out a message, and goes on with what waits.
    ///
    /// # Errors
    /// [`Fatal`]: this life ends. The partition is to be dropped and opened again.
    pub(crate) fn handle(&mut self, message: Msg) -> Result<(), Fatal> {
        match message {
            Msg::Wake => {}
            Msg::GoOn => self.rest_told = false,
            Msg::Synced(result) => self.synced(result)?,
            Msg::SyncDue => self.sync_due(),
            Msg::Flushed(group, result) => self.flushed(group, result)?,
            Msg::Merged(number, result) => self.merged(number, result),
            Msg::CaughtUp(caught_up) => self.caught_up(*caught_up)?,
            Msg::SetAside(verdicts) => {
                self.log_verdicts(&verdicts)?;
            }
            Msg::CatchUpEnded(topology, problem) => self.catch_up_ended(topology, problem),
            Msg::PutOff(caught_up, problem) => self.put_off(*caught_up, problem),
            Msg::Quarantined(order) => self.quarantined(order)?,
            Msg::Shutdown(done) => self.shutdown = Some(done),
        }
        self.go_on()
    }

    /// Goes on with a batch, or takes the next one where nothing speaks against it, and sees to what is due.
    fn go_on(&mut self) -> Result<(), Fatal> {
        if self.rest.is_some() {
            self.apply_rest()?;
        } else if self.is_full() {
            self.refuse_waiting();
        } else if self.may_take() {
            self.take_batch()?;
        }
        self.hand_over()?;
        self.read_on_later();
        self.start_jobs();
        self.let_go();
        if self.rest.is_some() && !self.is_held_back() && !self.rest_told {
            self.rest_told = true;
            self.shared.send(Msg::GoOn);
        }
        self.shared.settle();
        Ok(())
    }

    /// The present state for readers.
    pub(crate) fn view(&mut self) -> Arc<PartitionView> {
        Arc::new(PartitionView {
            roots: self.core.views(),
            live: self.core.consumers.iter().map(|consumer| consumer.live).collect(),
            quarantine: Arc::clone(&self.quarantine),
        })
    }

    /// Collects what stands in quarantine, for the views to come.
    pub(crate) fn note_quarantine(&mut self) {
        let consumers = self.core.consumers.iter();
        let all = consumers.flat_map(|consumer| consumer.quarantine.values().cloned());
        self.quarantine = Arc::new(all.collect());
    }

    /// Shows the present state at once, where all of it is durable.
    pub(crate) fn show(&mut self) {
        if self.shared.commits.len() == 0 {
            let view = self.view();
            self.shared.published.show(view);
        }
        self.shared.published.touch();
    }
}
