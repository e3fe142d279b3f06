//! The partition as a pure machine: records in, state and answers out.
//!
//! No clock, no threads, and no I/O but reading the immutable runs that it was given. The same
//! records give the same state, so recovery, replay and the live flow are this one code.

mod calls;
mod careful;
mod consumers;
mod control;
mod fast;
mod panics;
mod timers;

use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::Position;

use crate::module::Plan;
use crate::state::marks::{Mark, ScopeId};
use crate::state::{AnyView, Cell, CellPlace, Frozen};
use crate::topology::{Answers, AnyCell, Cells, Effects, SendLimits};

use super::batch::{Batch, Item};
use super::control::Verdict;
use super::pace::Pace;
use super::registry::Registry;

pub(crate) use careful::skipped;
pub(crate) use consumers::Consumer;
use timers::Earliest;

/// Limits of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest value of a PState's entry, in encoded bytes.
    pub(crate) value_bytes_max: usize,
    /// Bytes, about, that a PState's cache of decoded entries may take on this partition.
    pub(crate) cache_bytes: usize,
    /// Bytes, about, that the records which are applied together may touch.
    pub(crate) step_bytes: usize,
    /// What handlers may send.
    pub(crate) sends: SendLimits,
    /// How often a record that panics is tried before it goes into quarantine.
    pub(crate) attempts: u32,
    /// Apply every batch twice and compare, to catch handlers that are not deterministic.
    pub(crate) check_twice: bool,
}

/// Why a partition cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(
        "topology `{topology}` is not deterministic: the same records {what}; a handler must not use \
         clocks, random numbers or hash order"
    )]
    NotDeterministic { topology: String, what: String },
}

/// What handlers said about one item of a batch, by topology.
#[derive(Debug, Default)]
pub(crate) struct ItemAnswers {
    pub(crate) topologies: Vec<(usize, Answers)>,
    /// Records that went into quarantine: index in the item, topology, message.
    pub(crate) quarantined: Vec<(u32, usize, String)>,
}

impl ItemAnswers {
    /// How many refusals there are, and records that were set aside.
    pub(crate) fn rejected(&self) -> usize {
        let refused = self.topologies.iter().map(|(_, answers)| answers.refusals.len());
        refused.sum::<usize>() + self.quarantined.len()
    }
}

/// What applying a step of a batch gave.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// One for each item of the batch; without anything where none of its records was in the step.
    pub(crate) answers: Vec<ItemAnswers>,
    /// New verdicts; they have to be logged before anything of the batch is shown.
    pub(crate) verdicts: Vec<Verdict>,
    /// What handlers sent.
    pub(crate) effects: Effects,
}

pub(crate) struct Core {
    pub(crate) plan: Arc<Plan>,
    registry: Arc<Registry>,
    pub(crate) partition: u32,
    partitions: u32,
    pub(crate) consumers: Vec<Consumer>,
    cells: Cells,
    /// By topology.
    earliest: Vec<Earliest>,
    limits: Limits,
    pace: Pace,
    /// Whether anything was ever watched.
    is_watched: bool,
}

impl Core {
    pub(crate) fn new(
        (plan, registry): (Arc<Plan>, Arc<Registry>),
        (partition, partitions): (u32, u32),
        cells: Vec<Box<dyn Cell>>,
        consumers: Vec<Consumer>,
        limits: Limits,
    ) -> Self {
        let cells = Cells(cells.into_iter().map(AnyCell).collect());
        let pace = Pace::new(limits.step_bytes);
        let earliest = vec![Earliest::default(); consumers.len()];
        let is_watched = false;
        Self {
            plan,
            registry,
            partition,
            partitions,
            consumers,
            cells,
            earliest,
            limits,
            pace,
            is_watched,
        }
    }

    /// Applies the next step of a batch to every live topology and seals it. Between steps the state is
    /// that after [`Batch::applied_to`], and may be flushed.
    ///
    /// # Errors
    /// [`Stop`]; the state is then that before the step, or unusable, and the partition has to be
    /// opened again.
    pub(crate) fn apply(&mut self, batch: &mut Batch) -> Result<Applied, Stop> {
        let before = self.weight_of_all();
        let step = batch.step(self.pace.records());
        let items = &batch.items[step.items()];
        if let [Item::Clock(clock, info), ..] = items {
            let applied = self.apply_clock(*clock, *info)?;
            items.iter().try_for_each(|item| self.apply_control(item))?;
            self.applied_to(batch.applied_to());
            return Ok(applied);
        }
        let has_retry = items.iter().any(|item| matches!(item, Item::Retry(..)));
        let fast = if has_retry || batch.careful { None } else { self.apply_fast(batch, step)? };
        let applied = match fast {
            Some(applied) => applied,
            None => self.apply_one_by_one(batch, step)?,
        };
        self.applied_to(batch.applied_to());
        let largest = self.cells.0.iter_mut().map(|cell| cell.0.take_largest()).max();
        let more = self.weight_of_all().saturating_sub(before + largest.unwrap_or(0));
        self.pace.note(step.records, more);
        Ok(applied)
    }

    /// The live topologies have everything before `position`.
    fn applied_to(&mut self, position: Position) {
        for consumer in self.consumers.iter_mut().filter(|consumer| consumer.live) {
            consumer.next = consumer.next.max(position);
        }
    }

    /// What the numbers of the log stand for.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn topology(&self, name: &str) -> Option<usize> {
        self.plan.topologies.iter().position(|topology| topology.name == name)
    }

    /// What a live topology did to its PStates that is not allowed.
    fn check(&mut self, topology: usize) -> Result<Option<String>, Stop> {
        for &cell in &self.plan.topologies[topology].owned {
            if let Err(problem) = self.cells.0[cell].0.check(self.limits.value_bytes_max)? {
                return Ok(Some(problem.to_string()));
            }
        }
        Ok(None)
    }

    fn rollback(&mut self) -> Result<(), Stop> {
        for cell in &mut self.cells.0 {
            cell.0.rollback_batch()?;
        }
        Ok(())
    }

    pub(crate) fn seal(&mut self) -> Result<(), Stop> {
        for cell in &mut self.cells.0 {
            cell.0.seal()?;
        }
        Ok(())
    }

    /// Watches entries of a PState from now on, or no longer.
    pub(crate) fn mark(&mut self, mark: &Mark) {
        self.cells.0[mark.pstate].0.mark(mark);
        self.is_watched |= mark.enters;
    }

    /// What was touched of what is watched, since this was asked last.
    pub(crate) fn take_hits(&mut self) -> Vec<ScopeId> {
        let mut hits = Vec::new();
        if self.is_watched {
            self.cells.0.iter_mut().for_each(|cell| cell.0.take_hits(&mut hits));
        }
        hits
    }

    /// The published roots, one for each PState.
    pub(crate) fn views(&mut self) -> Vec<AnyView> {
        self.cells.0.iter_mut().map(|cell| cell.0.view()).collect()
    }

    pub(crate) fn cell(&self, pstate: usize) -> &dyn Cell {
        &*self.cells.0[pstate].0
    }

    pub(crate) fn cell_mut(&mut self, pstate: usize) -> &mut dyn Cell {
        &mut *self.cells.0[pstate].0
    }

    /// Puts another cell in the place of a PState's; returns the old one.
    pub(crate) fn swap_cell(&mut self, pstate: usize, cell: Box<dyn Cell>) -> Box<dyn Cell> {
        self.forget_earliest(self.plan.pstates[pstate].topology);
        std::mem::replace(&mut self.cells.0[pstate].0, cell)
    }

    /// A fresh cell for a PState.
    pub(crate) fn empty_cell(&self, pstate: usize) -> Result<Box<dyn Cell>, Damaged> {
        self.plan.pstates[pstate].codec.cell(self.place(pstate), Vec::new(), 0)
    }

    /// Where a PState's cell lies: a global one has a single partition.
    pub(crate) fn place(&self, pstate: usize) -> CellPlace {
        let numbers = (self.partition, self.partitions);
        place(&self.plan, pstate, numbers, self.limits.cache_bytes)
    }

    /// This machine's numbers: which partition of how many.
    pub(crate) fn numbers(&self) -> (u32, u32) {
        (self.partition, self.partitions)
    }

    /// The limits that it applies.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Sets the changes of a topology's PStates aside, to be written out.
    pub(crate) fn freeze(&mut self, topology: usize) -> Vec<(usize, Box<dyn Frozen>)> {
        let owned = &self.plan.topologies[topology].owned;
        owned.iter().map(|&cell| (cell, self.cells.0[cell].0.freeze())).collect()
    }
}

/// Where a PState's cell lies: a global one has a single partition.
pub(crate) fn place(
    plan: &Plan,
    pstate: usize,
    (partition, partitions): (u32, u32),
    cache_bytes: usize,
) -> CellPlace {
    let partitions = if plan.pstates[pstate].global { 1 } else { partitions };
    CellPlace { partition, partitions, cache_bytes }
}
