//! Topologies that read the past: each on a thread of its own, at full speed, until it reaches the
//! live flow and joins it at a batch boundary.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogReader, Position};

use crate::partition::batch::Verdict;
use crate::partition::budget::Account;
use crate::partition::core::{Core, Lane, Stop};
use crate::partition::fold::{FoldContext, fold_now};
use crate::partition::registry::Registry;
use crate::partition::replay::{Replay, verdicts};
use crate::state::Cell;

use super::actor::{Fatal, Msg, Partition};
use super::host::{Host, Work, once};
use super::shared::{Progress, Shared};

/// Records that the actor itself reads at the hand-over; with more, the thread goes on reading.
const HAND_OVER_RECORDS: u64 = 20_000;

/// The topologies of a partition that read the past.
#[derive(Default)]
pub(crate) struct CatchUps {
    running: HashSet<usize>,
    cancel: Arc<AtomicBool>,
    arrived: Option<CaughtUp>,
}

impl CatchUps {
    /// Whether one waits at the door, so that no new batch may start.
    pub(crate) fn has_arrived(&self) -> bool {
        self.arrived.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.arrived.is_none()
    }

    pub(crate) fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    pub(crate) fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// A topology whose state has everything that was durable a moment ago.
pub(crate) struct CaughtUp {
    topology: usize,
    core: Core,
}

/// What the thread of one topology works with.
struct Reading {
    topology: usize,
    core: Core,
    registry: Arc<Registry>,
    reader: LogReader,
    folds: FoldContext,
    shared: Arc<Shared>,
    host: Arc<dyn Host>,
    cancel: Arc<AtomicBool>,
    /// What its unfolded changes take.
    changes: Account,
}

impl Partition {
    /// Starts a thread for each topology that is not live.
    pub(crate) fn start_catch_ups(&mut self) -> Result<(), Fatal> {
        for topology in 0..self.core.lanes.len() {
            if !self.core.lanes[topology].live {
                self.start_catch_up(topology).map_err(Stop::from)?;
            }
        }
        Ok(())
    }

    /// The topology gets a machine of its own, with the cells that it owns.
    fn start_catch_up(&mut self, topology: usize) -> Result<(), Damaged> {
        let plan = Arc::clone(&self.core.plan);
        let mut lanes = vec![Lane::default(); plan.topologies.len()];
        lanes[topology] = Lane { live: true, ..self.core.lanes[topology].clone() };
        let mut cells: Vec<Box<dyn Cell>> = Vec::new();
        for pstate in 0..plan.pstates.len() {
            let empty = self.core.empty_cell(pstate)?;
            let owned = plan.topologies[topology].owned.contains(&pstate);
            cells.push(if owned { self.core.swap_cell(pstate, empty) } else { empty });
        }
        let limits = self.core.limits();
        let core = Core::new(plan, self.core.numbers(), cells, lanes, limits);
        self.read_on(topology, core);
        Ok(())
    }

    fn read_on(&mut self, topology: usize, core: Core) {
        self.catching_up.running.insert(topology);
        let reading = Reading {
            topology,
            core,
            registry: Arc::clone(&self.registry),
            reader: self.log.reader(),
            folds: self.folds.clone(),
            shared: Arc::clone(&self.shared),
            host: Arc::clone(&self.host),
            cancel: Arc::clone(&self.catching_up.cancel),
            changes: self.options.changes.account(),
        };
        self.host.run(Work::Read, once(move || reading.run()));
    }

    /// A topology has read all that was durable. It joins once nothing is under way; where the live
    /// flow has run far ahead meanwhile, it goes on reading.
    pub(crate) fn caught_up(&mut self, caught_up: CaughtUp) -> Result<(), Fatal> {
        self.catching_up.running.remove(&caught_up.topology);
        let next = caught_up.core.lanes[caught_up.topology].next;
        let behind = self.log.next_position().number().saturating_sub(next.number());
        let busy = self.catching_up.arrived.is_some();
        if self.shutdown.is_some() || behind > HAND_OVER_RECORDS || busy {
            self.read_on(caught_up.topology, caught_up.core);
            return Ok(());
        }
        self.catching_up.arrived = Some(caught_up);
        Ok(())
    }

    /// Lets the topology at the door in, where every batch has landed.
    pub(crate) fn hand_over(&mut self) -> Result<(), Fatal> {
        if self.shared.flights.len() > 0 {
            return Ok(());
        }
        let Some(CaughtUp { topology, mut core }) = self.catching_up.arrived.take() else {
            return Ok(());
        };
        let found = read_to_end(&mut core, topology, &self.registry, self.log.reader())?;
        for &pstate in &self.core.plan.topologies[topology].owned.clone() {
            let empty = core.empty_cell(pstate).map_err(Stop::from)?;
            let cell = core.swap_cell(pstate, empty);
            self.core.swap_cell(pstate, cell);
        }
        let next = self.log.next_position();
        self.core.lanes[topology] = Lane { next, ..core.lanes[topology].clone() };
        self.core.lanes[topology].skip.clear();
        if !found.is_empty() {
            self.log_verdicts(&found)?;
        }
        self.note_quarantine();
        self.fold_asked.insert(topology);
        let view = self.view();
        self.shared.view.store(view);
        for &pstate in &self.core.plan.topologies[topology].owned {
            self.shared.partial.remove(&pstate);
        }
        self.shared.progress.remove(&topology);
        self.note_runs();
        self.shared.touch();
        self.shared.send(Msg::Wake);
        Ok(())
    }

    pub(crate) fn catch_up_ended(&mut self, topology: usize, problem: Option<String>) {
        self.catching_up.running.remove(&topology);
        if let Some(problem) = problem {
            let name = self.core.plan.topologies[topology].name;
            let partition = self.shared.partition;
            tracing::error!(topology = name, partition, %problem, "a topology stopped catching up");
            self.shared.problems.insert(topology, problem);
        }
        self.shared.touch();
    }
}

/// Applies what is left of the log, on the actor; nobody writes meanwhile.
fn read_to_end(
    core: &mut Core,
    topology: usize,
    registry: &Registry,
    reader: LogReader,
) -> Result<Vec<Verdict>, Fatal> {
    let plan = Arc::clone(&core.plan);
    let from = core.lanes[topology].next;
    let mut found = Vec::new();
    let mut replay = Replay::new(&plan, registry, reader, from, std::iter::once(topology))?;
    while let Some(mut batch) = replay.next_batch()? {
        found.extend(core.apply(&mut batch)?.verdicts);
    }
    Ok(found)
}

impl Reading {
    /// Reads to the end of what is durable, then knocks at the actor's door.
    fn run(mut self) {
        let (topology, host) = (self.topology, Arc::clone(&self.host));
        let read = self.read();
        let shared = Arc::clone(&self.shared);
        let message = match read {
            Ok(true) => Msg::CaughtUp(Box::new(CaughtUp { topology, core: self.core })),
            Ok(false) => Msg::CatchUpEnded(topology, None),
            Err(problem) => Msg::CatchUpEnded(topology, Some(problem)),
        };
        host.tell(message);
        shared.touch();
    }

    /// True at the end, false where it was told to stop.
    fn read(&mut self) -> Result<bool, String> {
        let plan = Arc::clone(&self.core.plan);
        let registry = Arc::clone(&self.registry);
        let from = self.core.lanes[self.topology].next;
        self.skip_known(from)?;
        let only = std::iter::once(self.topology);
        let replay = Replay::new(&plan, &registry, self.reader.clone(), from, only);
        let mut replay = replay.map_err(|error| error.to_string())?;
        loop {
            // Also where there is nothing left to read: a stop waits for this.
            if self.cancel.load(Ordering::Relaxed) {
                self.fold()?;
                return Ok(false);
            }
            let batch = replay.next_batch().map_err(|error| error.to_string())?;
            let Some(mut batch) = batch else { return Ok(true) };
            let applied = self.core.apply(&mut batch).map_err(|error| error.to_string())?;
            if !applied.verdicts.is_empty() {
                self.host.tell(Msg::SetAside(applied.verdicts));
            }
            self.show(batch.end);
            let bytes = self.core.weight(self.topology);
            self.changes.set(bytes);
            if self.changes.is_over(1, bytes) {
                self.fold()?;
            }
        }
    }

    fn fold(&mut self) -> Result<(), String> {
        // In the manifest it is not live before it has joined.
        self.core.lanes[self.topology].live = false;
        let folded = fold_now(&mut self.core, self.topology, &self.folds);
        self.core.lanes[self.topology].live = true;
        folded.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Records that stand in quarantine further on in the log.
    fn skip_known(&mut self, from: Position) -> Result<(), String> {
        let name = self.core.plan.topologies[self.topology].name;
        let found = verdicts(&self.reader, from).map_err(|error| error.to_string())?;
        let mine = found.into_iter().filter(|(topology, _)| topology == name);
        self.core.lanes[self.topology].skip.extend(mine.map(|(_, position)| position));
        Ok(())
    }

    /// Publishes how far it is, and what it has so far.
    fn show(&mut self, position: Position) {
        let views = self.core.views();
        for &pstate in &self.core.plan.topologies[self.topology].owned {
            self.shared.partial.insert(pstate, Arc::clone(&views[pstate]));
        }
        // Last, so that what it says is done can be read.
        let progress = Progress { done: position.number(), total: self.reader.end().number() };
        self.shared.progress.insert(self.topology, progress);
        self.shared.touch();
    }
}
