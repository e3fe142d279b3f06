//! Topologies that read the past: each on a thread of its own, at full speed, until it reaches the
//! live flow and joins it at a batch boundary.

use std::sync::Arc;

use gridmill_model::engine::Damaged;

use crate::machine::budget::Account;
use crate::machine::control::Verdict;
use crate::machine::core::{Consumer, Core, Stop};
use crate::machine::merge::Biases;
use crate::machine::replay::verdicts;
use crate::shell::host::Work;
use crate::state::Cell;

use super::catch_ups::CaughtUp;
use super::failing::JobKind;
use super::reading::{ReadJob, Reading};
use super::{Fatal, Partition};

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
    /// not come to log before it ended. They are logged before any command can be about them.
    fn log_unlogged(&mut self, topology: usize) -> Result<(), Fatal> {
        let held = &self.core.consumers[topology].quarantine;
        let Some(&first) = held.keys().min() else { return Ok(()) };
        let known =
            verdicts(&self.core.plan, self.writer.registry(), &self.writer.reader(), first)?;
        let is_known = |verdict: &&Verdict| known.contains(&(topology, verdict.position));
        let unlogged: Vec<_> = held.values().filter(|held| !is_known(held)).cloned().collect();
        if !unlogged.is_empty() {
            self.log_verdicts(&unlogged)?;
        }
        self.core.forget_skipped(topology);
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
        let what = (plan, Arc::clone(self.core.registry()));
        let core = Core::new(what, self.core.numbers(), cells, consumers, limits);
        self.read_on(topology, core, self.catch_ups.account());
        Ok(())
    }

    /// Has a topology read on, on a thread of its own.
    pub(super) fn read_on(&mut self, topology: usize, core: Core, changes: Account) {
        self.catch_ups.begin(topology);
        let reading = Reading {
            topology,
            core,
            registry: Arc::clone(self.writer.registry()),
            reader: self.writer.reader(),
            replay: None,
            flushes: self.maintenance.flushes.context().clone(),
            shared: Arc::clone(&self.shared),
            host: Arc::clone(&self.host),
            cancel: self.catch_ups.cancel_flag(),
            changes,
            biases: Biases::default(),
        };
        self.host.run(Work::Read, Box::new(ReadJob::new(reading)));
    }

    /// Lets those that could not join try again, once something was logged since, or some time has passed.
    pub(crate) fn read_on_later(&mut self) {
        let waits = self.waits(JobKind::Flush);
        if !waits && !self.commands.is_stopping() {
            for caught_up in self.catch_ups.take_put_off() {
                self.read_on(caught_up.topology, caught_up.core, caught_up.changes);
            }
        }
    }

    /// A topology cannot write out what it has read: it reads on when that is tried again.
    pub(crate) fn put_off(&mut self, caught_up: CaughtUp, problem: String) {
        self.catch_ups.end(caught_up.topology);
        self.catch_ups.put_off(caught_up);
        self.job_failed(JobKind::Flush, problem);
        self.shared.published.touch();
    }

    pub(crate) fn catch_up_ended(&mut self, topology: usize, problem: Option<String>) {
        self.catch_ups.end(topology);
        if let Some(problem) = problem {
            let name = self.core.plan.topologies[topology].name;
            let partition = self.shared.partition;
            tracing::error!(topology = name, partition, %problem, "a topology stopped catching up");
            self.shared.past.stopped(topology, problem);
        }
        self.shared.published.touch();
    }
}
