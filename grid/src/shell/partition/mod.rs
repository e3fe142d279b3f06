//! A live partition: it takes batches out of its mailbox, into the log and through the machine, and sees to
//! flushes, merges, catch-ups and commands beside that. All of it is synchronous; who calls it, and who does the
//! work that it hands out, is the business of its [`Host`].
//!
//! Messages are few: events wait in the mailbox beside it, and a `Wake` says that there are some.

mod apply;
mod batching;
mod callers;
pub(crate) mod calls;
mod catch_up;
mod catch_ups;
mod closed_loop;
mod commands;
mod commit;
mod commits;
pub(crate) mod counters;
mod delivery;
mod door;
mod failing;
mod flows;
mod flushes;
mod hand_over;
mod ids;
mod joint;
mod life;
mod log_writer;
mod mailbox;
mod maintenance;
mod merges;
pub(crate) mod outside;
pub(crate) mod past;
pub(crate) mod peers;
pub(crate) mod published;
mod queued;
#[cfg(all(test, feature = "races"))]
mod races;
mod reading;
mod retries;
mod senders;
pub(crate) mod shared;
mod spent;
mod stop;
mod sync;
mod ticks;
mod timers;
mod tree;
mod waiting;
pub(crate) mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridmill_persistence::{LogError, Position};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::machine::answers::RecoveredAnswer;
use crate::machine::budget::Budget;
use crate::machine::control::Verdict;
use crate::machine::core::{Core, Stop};
use crate::machine::flow::outbox::Outbox;
use crate::machine::flush::{FlushDone, FlushFault};
use crate::machine::manifest::ManifestFile;
use crate::machine::merge::MergeDone;
use crate::machine::once::OnceLimits;
use crate::machine::open::Opened;
use crate::machine::replay::ReplayError;

use super::clock::Clock;
use super::host::Host;
use crate::topology::CallResult;

use batching::Batching;
use calls::{CallId, Calls, Clients};
use catch_ups::{CatchUps, CaughtUp};
use closed_loop::ClosedLoop;
use commands::{CommandDone, Commands};
use flows::Flows;
use flushes::Flushes;
use ids::Ids;
use log_writer::LogWriter;
use maintenance::Maintenance;
use published::PartitionView;
use retries::Retries;
use shared::Shared;
use sync::Syncing;
use ticks::Ticks;
use waiting::Waiting;

pub(crate) use commands::QuarantineCommand;

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
    /// For what is under way from one partition to another, of all partitions.
    pub(crate) flows: Budget,
    pub(crate) clock: Clock,
    pub(crate) once: OnceLimits,
    /// Where calls to the outside get their clients from.
    pub(crate) clients: Clients,
    /// Where calls to the outside run.
    pub(crate) calls_on: Option<Handle>,
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
    /// Deliveries that could not be written may be tried again.
    Release,
    /// A call to the outside has ended.
    Called(CallId, CallResult),
    /// A partition misses something of what a topology sent it.
    SendAgain { topology: usize, target: u32 },
    /// Something is to be watched, or no longer.
    Watch,
    /// A quarantined record shall be handled again, or forgotten.
    Quarantined(QuarantineCommand),
    /// Flush everything and stop.
    Shutdown(CommandDone),
}

/// A live partition. Its parts see to themselves; what takes several of them stands here.
pub(crate) struct Partition {
    shared: Arc<Shared>,
    host: Arc<dyn Host>,
    core: Core,
    writer: LogWriter,
    syncing: Syncing,
    batching: Batching,
    closed_loop: ClosedLoop,
    maintenance: Maintenance,
    catch_ups: CatchUps,
    commands: Commands,
    flows: Flows,
    ticks: Ticks,
    retries: Retries,
    calls: Calls,
    ids: Ids,
    /// The position after the last record that is applied.
    applied_to: Position,
    /// What stands in quarantine, for the views to come.
    quarantine: Arc<Vec<Verdict>>,
    fence: Fence,
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
        let Opened {
            core,
            log,
            end,
            said,
            registry,
            flushes,
            next_offsets,
            last_time,
            marks,
            sent,
            ids,
            ..
        } = opened;
        let ActorOptions { durability, changes, tails, flows, clock, once, clients, .. } = options;
        let catch_ups = CatchUps::new(changes.clone());
        let manifest = Arc::clone(&flushes.manifest);
        let flushes = Flushes::new(&core, flushes, changes.account(), tails.account());
        let confirmed = shared.peers.confirmed().cloned();
        let outbox = Outbox::new(shared.partition, confirmed, sent);
        let flows = Flows::new(marks, outbox, flows.account());
        let now = clock.now().max(last_time);
        let offsets = (&*registry, &next_offsets[..]);
        let ticks = Ticks::new(&core.plan, shared.partition, now, offsets, &log.reader())?;
        let calls = Calls::new(&core.plan, clients);
        let mut partition = Self {
            host,
            core,
            syncing: Syncing::new(log.syncer(), durability),
            writer: LogWriter::new(log, registry, next_offsets, last_time, clock),
            batching: Batching::default(),
            closed_loop: ClosedLoop::new(shared.mailbox.load().last_answer.clone()),
            maintenance: Maintenance::new(flushes),
            fence: Fence { manifest, cancel: catch_ups.cancel_flag() },
            catch_ups,
            commands: Commands::default(),
            flows,
            ticks,
            retries: Retries::default(),
            calls,
            ids: Ids::new(shared.partition, once, ids),
            applied_to: end,
            quarantine: Arc::default(),
            shared,
        };
        partition.show_recovered(end, said)?;
        Ok(partition)
    }

    /// Shows what the folder held, and starts what goes on beside the live flow. The log ended at
    /// `end` when it was opened.
    fn show_recovered(&mut self, end: Position, said: Vec<RecoveredAnswer>) -> Result<(), Fatal> {
        self.shared.published.show_log(self.writer.reader());
        self.note_quarantine();
        self.note_runs();
        let watched = self.watch_all();
        let view = self.view();
        let plan = Arc::clone(&self.core.plan);
        let recover = |waiting: &mut Waiting, from| waiting.recover(&plan, &said, from);
        self.shared.commits.recovered(end, view, &watched, recover, &*self.shared);
        self.send_recovered();
        self.start_catch_ups()?;
        self.shared.calls.lose();
        self.note_due()?;
        if let Durability::Interval(every) = self.syncing.durability() {
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
            Msg::GoOn => self.batching.goes_on(),
            Msg::Synced(result) => self.synced(result)?,
            Msg::SyncDue => self.sync_due(),
            Msg::Flushed(group, result) => self.flush_ended(group, result)?,
            Msg::Merged(number, result) => self.merged(number, result),
            Msg::CaughtUp(caught_up) => self.caught_up(*caught_up)?,
            Msg::SetAside(verdicts) => {
                self.log_verdicts(&verdicts)?;
            }
            Msg::CatchUpEnded(topology, problem) => self.catch_up_ended(topology, problem),
            Msg::PutOff(caught_up, problem) => self.put_off(*caught_up, problem),
            Msg::Release => self.flows.release(),
            Msg::Called(id, result) => self.called(id, result),
            Msg::SendAgain { topology, target } => self.send_again(topology, target),
            Msg::Watch => self.watch(),
            Msg::Quarantined(command) => self.quarantined(command)?,
            Msg::Shutdown(done) => self.commands.stop(done),
        }
        self.go_on()
    }

    /// Goes on with a batch, or takes the next one where nothing speaks against it, and sees to what is due.
    fn go_on(&mut self) -> Result<(), Fatal> {
        self.settle_flows();
        if self.batching.has_rest() {
            self.apply_rest()?;
        } else if self.is_full() {
            self.refuse_changes();
        } else {
            self.fire_timers()?;
            self.retry_due()?;
            self.log_ended_calls()?;
            if self.may_dequeue() {
                self.next_batch()?;
            }
        }
        self.go_on_calls()?;
        self.set_alarm()?;
        self.hand_over()?;
        self.read_on_later();
        self.start_jobs();
        self.let_go();
        if self.batching.has_rest() && !self.is_held_back() && self.batching.tell() {
            self.shared.send(Msg::GoOn);
        }
        self.shared.settle();
        Ok(())
    }

    /// What it shares with its callers.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether to wait a moment for the next append; once for each of a closed loop.
    pub(crate) fn is_busy_wait_due(&mut self) -> bool {
        self.closed_loop.is_due()
    }

    /// The present state for readers.
    pub(crate) fn view(&mut self) -> Arc<PartitionView> {
        Arc::new(PartitionView {
            roots: self.core.views(),
            live: self.core.consumers.iter().map(|consumer| consumer.live).collect(),
            quarantine: Arc::clone(&self.quarantine),
            end: self.applied_to,
        })
    }

    /// Collects what stands in quarantine, for the views to come.
    pub(crate) fn note_quarantine(&mut self) {
        let consumers = self.core.consumers.iter();
        let all = consumers.flat_map(|consumer| consumer.quarantine.values().cloned());
        self.quarantine = Arc::new(all.collect());
        self.note_retries();
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
