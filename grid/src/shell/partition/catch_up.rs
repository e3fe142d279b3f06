//! Topologies that read the past: each on a thread of its own, at full speed, until it reaches the
//! live flow and joins it at a batch boundary.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_model::engine::Damaged;

use crate::machine::budget::Account;
use crate::machine::control::Verdict;
use crate::machine::core::{Consumer, Core, Stop};
use crate::machine::flush::{FlowsAtFlush, FlushJob, rejoin};
use crate::machine::merge::Biases;
use crate::machine::replay::{Replay, verdicts};
use crate::shell::host::Work;
use crate::state::Cell;

use super::failing::JobKind;
use super::reading::{ReadJob, Reading, flush_past};
use super::{Fatal, Partition};

/// Records that the actor itself reads at the hand-over; with more, the thread goes on reading.
const HAND_OVER_RECORDS: u64 = 20_000;

/// The topologies of a partition that read the past.
#[derive(Default)]
pub(crate) struct CatchUps {
    running: HashSet<usize>,
    cancel: Arc<AtomicBool>,
    arrived: Option<CaughtUp>,
    /// Those whose snapshot could not be written when they were to join.
    put_off: Vec<CaughtUp>,
}

impl CatchUps {
    /// Whether one waits at the door, so that no new batch may start.
    pub(crate) fn has_arrived(&self) -> bool {
        self.arrived.is_some()
    }

    /// Whether one joins, and the snapshot is being written that decides for all later records who sees it.
    pub(crate) fn is_entering(&self) -> bool {
        self.arrived.as_ref().is_some_and(|arrived| arrived.entering)
    }

    /// The one that was to join does not: it has to read on before it tries again.
    pub(crate) fn put_off(&mut self) {
        if let Some(mut caught_up) = self.arrived.take_if(|arrived| arrived.entering) {
            caught_up.entering = false;
            rejoin(&mut caught_up.core, &[caught_up.topology]);
            self.put_off.push(caught_up);
        }
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
    pub(super) topology: usize,
    pub(super) core: Core,
    /// What its unflushed changes take.
    pub(super) changes: Account,
    /// Its snapshot is being written as that of a live topology, with those of its group.
    pub(super) entering: bool,
}

impl Partition {
    /// Starts a thread for each topology that is not live.
    pub(crate) fn start_catch_ups(&mut self) -> Result<(), Fatal> {
        for topology in 0..self.core.consumers.len() {
            if !self.core.consumers[topology].live {
                self.log_unlogged(topology)?;
                self.start_catch_up(topology).map_err(Stop::from)?;
            }
        }
        Ok(())
    }

    /// A topology that reads the past flushes by itself: its snapshot may hold verdicts that the partition did
    /// not come to log before it ended. They are logged before any order can be about them.
    fn log_unlogged(&mut self, topology: usize) -> Result<(), Fatal> {
        let held = &self.core.consumers[topology].quarantine;
        let Some(&first) = held.keys().min() else { return Ok(()) };
        let known = verdicts(&self.core.plan, &self.registry, &self.log.reader(), first)?;
        let is_known = |verdict: &&Verdict| known.contains(&(topology, verdict.position));
        let unlogged: Vec<_> = held.values().filter(|held| !is_known(held)).cloned().collect();
        if !unlogged.is_empty() {
            self.log_verdicts(&unlogged)?;
        }
        Ok(())
    }

    /// The topology gets a machine of its own, with the cells that it owns.
    fn start_catch_up(&mut self, topology: usize) -> Result<(), Damaged> {
        let plan = Arc::clone(&self.core.plan);
        let mut consumers = vec![Consumer::default(); plan.topologies.len()];
        consumers[topology] = Consumer { live: true, ..self.core.consumers[topology].clone() };
        let mut cells: Vec<Box<dyn Cell>> = Vec::new();
        for pstate in 0..plan.pstates.len() {
            let empty = self.core.empty_cell(pstate)?;
            let owned = plan.topologies[topology].owned.contains(&pstate);
            cells.push(if owned { self.core.swap_cell(pstate, empty) } else { empty });
        }
        let limits = self.core.limits();
        let core = Core::new(plan, self.core.numbers(), cells, consumers, limits);
        self.read_on(topology, core, self.options.changes.account());
        Ok(())
    }

    fn read_on(&mut self, topology: usize, core: Core, changes: Account) {
        self.catching_up.running.insert(topology);
        let reading = Reading {
            topology,
            core,
            registry: Arc::clone(&self.registry),
            reader: self.log.reader(),
            replay: None,
            flushes: self.flushes.clone(),
            shared: Arc::clone(&self.shared),
            host: Arc::clone(&self.host),
            cancel: Arc::clone(&self.catching_up.cancel),
            changes,
            biases: Biases::default(),
        };
        self.host.run(Work::Read, Box::new(ReadJob::new(reading)));
    }

    /// A topology has read all that was durable. It joins once nothing is under way; where the live
    /// flow has run far ahead meanwhile, it goes on reading.
    pub(crate) fn caught_up(&mut self, caught_up: CaughtUp) -> Result<(), Fatal> {
        self.catching_up.running.remove(&caught_up.topology);
        self.job_went_well(JobKind::Flush);
        let next = caught_up.core.consumers[caught_up.topology].next;
        let behind = self.log.next_position().number().saturating_sub(next.number());
        let busy = self.catching_up.arrived.is_some();
        if self.shutdown.is_some() || behind > HAND_OVER_RECORDS || busy {
            self.read_on(caught_up.topology, caught_up.core, caught_up.changes);
            return Ok(());
        }
        self.catching_up.arrived = Some(caught_up);
        Ok(())
    }

    /// Lets the topology at the door in, where every batch is completed.
    ///
    /// One that others read, or that reads others, joins when the manifest says so, with the snapshots
    /// of all of them as of this position; no batch starts before. Otherwise a replay after a crash
    /// would handle the records after the hand-over as if it had not joined.
    pub(crate) fn hand_over(&mut self) -> Result<(), Fatal> {
        let in_part = self.rest.is_some();
        if in_part || self.shared.commits.len() > 0 || self.catching_up.is_entering() {
            return Ok(());
        }
        let Some(arrived) = &self.catching_up.arrived else { return Ok(()) };
        let alone = self.core.plan.group_of(arrived.topology).len() == 1;
        if !alone && self.flushing {
            return Ok(());
        }
        let Some(mut caught_up) = self.catching_up.arrived.take() else { return Ok(()) };
        self.read_rest(&mut caught_up)?;
        let topology = caught_up.topology;
        let group = self.core.plan.topologies[topology].group;
        if alone {
            self.let_in(caught_up)?;
            self.flush_asked.insert(group);
            self.note_runs();
            self.joined(topology);
            return Ok(());
        }
        let live: Vec<usize> = self.core.live_of(group).collect();
        let mut job = FlushJob::freeze(&mut self.core, &live, FlowsAtFlush::default());
        job.add(&mut caught_up.core, topology);
        caught_up.entering = true;
        self.catching_up.arrived = Some(caught_up);
        self.run_flush(group, job);
        Ok(())
    }

    /// Lets a topology read what is left of the log, to the last record.
    fn read_rest(&mut self, caught_up: &mut CaughtUp) -> Result<(), Fatal> {
        let found = self.read_to_end(caught_up)?;
        let CaughtUp { topology, core, .. } = caught_up;
        if !found.is_empty() {
            self.log_verdicts(&found)?;
        }
        let consumer = &mut core.consumers[*topology];
        consumer.next = self.log.next_position();
        consumer.skip.clear();
        Ok(())
    }

    /// Applies what is left of the log, on the actor; nobody writes meanwhile.
    fn read_to_end(&self, caught_up: &mut CaughtUp) -> Result<Vec<Verdict>, Fatal> {
        let CaughtUp { topology, core, changes, .. } = caught_up;
        let (plan, topology) = (Arc::clone(&core.plan), *topology);
        let from = core.consumers[topology].next;
        let (mut found, mut flushes) = (Vec::new(), true);
        let reader = self.log.reader();
        let only = std::iter::once(topology);
        let mut replay = Replay::new(&plan, &self.registry, reader, from, only)?;
        while let Some(mut batch) = replay.next_batch()? {
            loop {
                found.extend(core.apply(&mut batch)?.verdicts);
                let bytes = core.weight(topology);
                changes.set(bytes);
                if flushes
                    && changes.is_over(bytes)
                    && let Err(error) = flush_past(core, topology, &self.flushes)
                {
                    // It joins with what it has, which is written out with all others.
                    tracing::error!(%error, "a flush failed; it is tried again later");
                    flushes = false;
                }
                if batch.is_applied() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Makes a topology that has read everything part of the live flow.
    fn let_in(&mut self, caught_up: CaughtUp) -> Result<(), Fatal> {
        let CaughtUp { topology, mut core, .. } = caught_up;
        for &pstate in &self.core.plan.topologies[topology].owned.clone() {
            let empty = core.empty_cell(pstate).map_err(Stop::from)?;
            let cell = core.swap_cell(pstate, empty);
            self.core.swap_cell(pstate, cell);
        }
        self.core.consumers[topology] = core.consumers[topology].clone();
        Ok(())
    }

    /// Lets in the topology whose snapshot was written to join; returns which.
    pub(crate) fn let_in_flushed(&mut self) -> Result<Option<usize>, Fatal> {
        let flushed = self.catching_up.arrived.take_if(|arrived| arrived.entering);
        let Some(caught_up) = flushed else { return Ok(None) };
        let topology = caught_up.topology;
        self.let_in(caught_up)?;
        Ok(Some(topology))
    }

    /// Shows a topology that has been let in.
    pub(crate) fn joined(&mut self, topology: usize) {
        self.note_quarantine();
        let view = self.view();
        self.shared.view.store(view);
        let owned = &self.core.plan.topologies[topology].owned;
        self.merges.came(owned);
        owned.iter().for_each(|pstate| drop(self.shared.partial.remove(pstate)));
        self.shared.progress.remove(&topology);
        self.shared.touch();
        self.shared.send(super::Msg::Wake);
    }

    /// Lets those that could not join try again, once something was logged since, or some time has passed.
    pub(crate) fn read_on_later(&mut self) {
        let waits = self.waits(JobKind::Flush);
        if !waits && self.shutdown.is_none() {
            for caught_up in std::mem::take(&mut self.catching_up.put_off) {
                self.read_on(caught_up.topology, caught_up.core, caught_up.changes);
            }
        }
    }

    /// A topology cannot write out what it has read: it reads on when that is tried again.
    pub(crate) fn put_off(&mut self, caught_up: CaughtUp, problem: String) {
        self.catching_up.running.remove(&caught_up.topology);
        self.catching_up.put_off.push(caught_up);
        self.job_failed(JobKind::Flush, problem);
        self.shared.touch();
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
