//! The partition as a pure machine: records in, state and answers out.
//!
//! No clock, no threads, and no I/O but reading the immutable runs that it was given. The same
//! records give the same state, so recovery, replay and the live flow are this one code.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gridmill_client::engine::EncodedEvents;
use gridmill_model::engine::Damaged;
use gridmill_persistence::Position;

use crate::state::{AnyView, Cell, Frozen, Place};
use crate::topology::{Answers, AnyCell, Cells, StageError, StageRun, Window};

use super::batch::{Batch, Events, Item, Retry, Step, Verdict};
use super::pace::Pace;
use super::plan::Plan;

/// Limits of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest value of a PState's entry, in encoded bytes.
    pub(crate) value_bytes_max: usize,
    /// Bytes, about, that a PState's cache of decoded entries may take on this partition.
    pub(crate) cache_bytes: usize,
    /// Bytes, about, that the records which are applied together may touch.
    pub(crate) step_bytes: usize,
    /// How often a record that panics is tried before it goes into quarantine.
    pub(crate) attempts: u32,
    /// Apply every batch twice and compare, to catch handlers that are not deterministic.
    pub(crate) check_twice: bool,
}

/// How far one topology is on this partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    /// Whether it takes part in the live flow; a topology that catches up does not.
    pub(crate) live: bool,
    /// Its state has every record before this position.
    pub(crate) next: Position,
    /// For each of its sources, the depot offset at which it started.
    pub(crate) starts: Vec<u64>,
    /// Records that it does not handle.
    pub(crate) quarantine: BTreeMap<Position, Verdict>,
    /// Positions of a replay that have a verdict further on in the log.
    pub(crate) skip: HashSet<Position>,
}

/// Why a partition cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(
        "topology `{topology}` is not deterministic: the same records gave PState `{pstate}` two \
         different contents; a handler must not use clocks, random numbers or hash order"
    )]
    NotDeterministic { topology: String, pstate: String },
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
}

/// Which record of which item a topology handles, one at a time.
#[derive(Clone, Copy)]
struct One<'a> {
    item: usize,
    index: usize,
    topology: usize,
    variant: u16,
    bytes: &'a [u8],
}

pub(crate) struct Core {
    pub(crate) plan: Arc<Plan>,
    pub(crate) partition: u32,
    partitions: u32,
    pub(crate) lanes: Vec<Lane>,
    cells: Cells,
    limits: Limits,
    pace: Pace,
}

impl Core {
    pub(crate) fn new(
        plan: Arc<Plan>,
        (partition, partitions): (u32, u32),
        cells: Vec<Box<dyn Cell>>,
        lanes: Vec<Lane>,
        limits: Limits,
    ) -> Self {
        let cells = Cells(cells.into_iter().map(AnyCell).collect());
        let pace = Pace::new(limits.step_bytes);
        Self { plan, partition, partitions, lanes, cells, limits, pace }
    }

    /// Applies the next step of a batch to every live topology and seals it. Between steps the state is
    /// that after [`Batch::applied_to`], and may be folded.
    ///
    /// # Errors
    /// [`Stop`]; the state is then that before the step, or unusable, and the partition has to be
    /// opened again.
    pub(crate) fn apply(&mut self, batch: &mut Batch) -> Result<Applied, Stop> {
        let before = self.weight_of_all();
        let step = batch.step(self.pace.records());
        let items = &batch.items[step.items()];
        let has_retry = items.iter().any(|item| matches!(item, Item::Retry(..)));
        let fast = if has_retry { None } else { self.apply_fast(batch, step)? };
        let applied = match fast {
            Some(applied) => applied,
            None => self.apply_one_by_one(batch, step)?,
        };
        for lane in self.lanes.iter_mut().filter(|lane| lane.live) {
            lane.next = lane.next.max(batch.applied_to());
        }
        let largest = self.cells.0.iter_mut().map(|cell| cell.0.take_largest()).max();
        let more = self.weight_of_all().saturating_sub(before + largest.unwrap_or(0));
        self.pace.note(step.records, more);
        Ok(applied)
    }

    /// Applies the whole step at once; `None`, with nothing done, where a record fails.
    fn apply_fast(&mut self, batch: &mut Batch, step: Step) -> Result<Option<Applied>, Stop> {
        let mut answers = Vec::new();
        if !self.run_guarded(batch, step, &mut answers)? {
            self.rollback()?;
            return Ok(None);
        }
        if self.limits.check_twice && !self.run_again(batch, step)? {
            return Ok(None);
        }
        self.seal()?;
        for number in step.items().filter(|&number| step.ends(number)) {
            self.apply_control(&batch.items[number]);
        }
        Ok(Some(Applied { answers, verdicts: Vec::new() }))
    }

    /// Runs a step; false where a handler panicked or made a value that is not allowed.
    fn run_guarded(
        &mut self,
        batch: &mut Batch,
        step: Step,
        answers: &mut Vec<ItemAnswers>,
    ) -> Result<bool, Stop> {
        match catch_unwind(AssertUnwindSafe(|| self.run_all(batch, step, answers))) {
            Ok(Ok(())) => {}
            Ok(Err(StageError::Lost)) => return Ok(false),
            Ok(Err(StageError::Damaged(damage))) => return Err(damage.into()),
            Err(panic) => {
                panic_message(panic)?;
                return Ok(false);
            }
        }
        for topology in 0..self.lanes.len() {
            if self.check(topology)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rolls a step back, runs it again from its bytes and compares what both runs touched.
    fn run_again(&mut self, batch: &mut Batch, step: Step) -> Result<bool, Stop> {
        let first = self.digests();
        self.rollback()?;
        for item in &mut batch.items[step.items()] {
            let Item::Events(events) = item else { continue };
            if !decode_again(&self.plan, events) {
                return Ok(true);
            }
        }
        if !self.run_guarded(batch, step, &mut Vec::new())? {
            self.rollback()?;
            return Ok(false);
        }
        let second = self.digests();
        if let Some(differs) = first.iter().zip(&second).position(|(a, b)| a != b) {
            let pstate = &self.plan.pstates[differs];
            return Err(Stop::NotDeterministic {
                topology: self.plan.topologies[pstate.topology].name.to_owned(),
                pstate: pstate.name.to_owned(),
            });
        }
        Ok(true)
    }

    fn digests(&mut self) -> Vec<u64> {
        self.cells.0.iter_mut().map(|cell| cell.0.touched_digest()).collect()
    }

    /// Topologies in declaration order; where one reads another's state, record by record.
    fn run_all(
        &mut self,
        batch: &mut Batch,
        step: Step,
        answers: &mut Vec<ItemAnswers>,
    ) -> Result<(), StageError> {
        answers.clear();
        answers.resize_with(batch.items.len(), ItemAnswers::default);
        let topologies = self.plan.topologies.len();
        for number in step.items() {
            let Item::Events(events) = &mut batch.items[number] else { continue };
            let records = step.records_of(number, events);
            let together = if self.plan.coupled { 1 } else { records.len().max(1) };
            for start in records.clone().step_by(together) {
                let range = start..(start + together).min(records.end);
                for topology in 0..topologies {
                    self.run(topology, events, range.clone(), 0, &mut answers[number])?;
                }
            }
        }
        Ok(())
    }

    /// Runs one topology over some records of one item, where it reads their depot. `base` is the
    /// index in its item of the first of `events`.
    fn run(
        &mut self,
        topology: usize,
        events: &mut Events,
        range: Range<usize>,
        base: usize,
        answers: &mut ItemAnswers,
    ) -> Result<(), StageError> {
        let lane = &self.lanes[topology];
        if !lane.live || events.only.is_some_and(|only| only != topology) {
            return Ok(());
        }
        let plan = &self.plan.topologies[topology];
        let Some(number) = plan.source(events.depot) else { return Ok(()) };
        let source = &plan.sources[number];
        if answers.topologies.last().is_none_or(|(last, _)| *last != topology) {
            answers.topologies.push((topology, Answers::default()));
        }
        let Some((_, answers)) = answers.topologies.last_mut() else { return Ok(()) };
        let skip = (!lane.skip.is_empty()).then_some(&lane.skip);
        let start = if events.only.is_some() { 0 } else { lane.starts[number] };
        source.stage.run(StageRun {
            events: &mut events.events,
            infos: &events.infos,
            range,
            base,
            take: source.last,
            window: Window { after: lane.next, start, skip },
            cells: &mut self.cells,
            at: &plan.at,
            owned: &plan.owned,
            partition: self.partition,
            answers,
        })
    }

    /// Applies a step record by record with a seal after each, so that one that fails can be
    /// undone alone, tried again and set aside.
    fn apply_one_by_one(&mut self, batch: &mut Batch, step: Step) -> Result<Applied, Stop> {
        let mut applied = Applied::default();
        applied.answers.resize_with(batch.items.len(), ItemAnswers::default);
        for number in step.items() {
            let item = &mut batch.items[number];
            if let Item::Events(events) | Item::Retry(_, events) = item {
                let records = step.records_of(number, events);
                self.apply_each((number, records), events, &mut applied)?;
            }
            if step.ends(number) {
                self.apply_control(item);
            }
        }
        for verdict in &applied.verdicts {
            self.set_aside(verdict.clone());
        }
        Ok(applied)
    }

    fn apply_each(
        &mut self,
        (item, records): (usize, Range<usize>),
        events: &mut Events,
        applied: &mut Applied,
    ) -> Result<(), Stop> {
        let encoded = std::mem::take(&mut events.encoded);
        let step = encoded.iter().enumerate().skip(records.start).take(records.len());
        for (index, (variant, bytes)) in step {
            for topology in 0..self.plan.topologies.len() {
                let one = One { item, index, topology, variant, bytes };
                self.apply_record(one, events, applied)?;
            }
        }
        events.encoded = encoded;
        Ok(())
    }

    /// One record, one topology; a verdict where it fails every time.
    fn apply_record(
        &mut self,
        one: One<'_>,
        events: &mut Events,
        applied: &mut Applied,
    ) -> Result<(), Stop> {
        let mut message = String::new();
        for attempt in 1..=self.limits.attempts {
            match self.attempt(one, events, &mut applied.answers[one.item])? {
                Attempt::Done => return Ok(()),
                Attempt::Failed(why) => message = why,
                Attempt::Refused(why) => {
                    return self.quarantine(one, events, attempt, why, applied);
                }
            }
        }
        self.quarantine(one, events, self.limits.attempts, message, applied)
    }

    fn attempt(
        &mut self,
        one: One<'_>,
        events: &Events,
        answers: &mut ItemAnswers,
    ) -> Result<Attempt, Stop> {
        let codec = &self.plan.depots[events.depot].codec;
        let mut single = Events {
            depot: events.depot,
            events: codec.events(),
            encoded: EncodedEvents::default(),
            infos: vec![events.infos[one.index]],
            only: events.only,
        };
        if let Err(error) = codec.decode(&mut single.events, usize::from(one.variant), one.bytes) {
            return Ok(Attempt::Refused(format!("the event cannot be decoded: {error}")));
        }
        let run = || self.run(one.topology, &mut single, 0..1, one.index, answers);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(StageError::Lost)) => {
                self.rollback()?;
                return Ok(Attempt::Done);
            }
            Ok(Err(StageError::Damaged(damage))) => return Err(damage.into()),
            Err(panic) => {
                let message = panic_message(panic)?;
                self.rollback()?;
                return Ok(Attempt::Failed(message));
            }
        }
        if let Some(problem) = self.check(one.topology)? {
            self.rollback()?;
            return Ok(Attempt::Refused(problem));
        }
        self.seal()?;
        Ok(Attempt::Done)
    }

    fn quarantine(
        &mut self,
        one: One<'_>,
        events: &Events,
        attempts: u32,
        message: String,
        applied: &mut Applied,
    ) -> Result<(), Stop> {
        let message = shortened(message);
        let info = events.infos[one.index];
        let index = u32::try_from(one.index).unwrap_or(u32::MAX);
        applied.answers[one.item].quarantined.push((index, one.topology, message.clone()));
        applied.verdicts.push(Verdict {
            topology: self.plan.topologies[one.topology].name.to_owned(),
            position: info.position,
            depot: self.plan.depots[events.depot].name.to_owned(),
            offset: info.offset,
            time: info.time,
            attempts,
            message,
        });
        Ok(())
    }

    fn apply_control(&mut self, item: &Item) {
        match item {
            Item::Verdict(verdict) => self.set_aside(verdict.clone()),
            Item::Discard(retry) | Item::Retry(retry, _) => self.forget(retry),
            Item::Events(_) => {}
        }
    }

    fn set_aside(&mut self, verdict: Verdict) {
        if let Some(topology) = self.topology(&verdict.topology) {
            self.lanes[topology].quarantine.insert(verdict.position, verdict);
        }
    }

    fn forget(&mut self, retry: &Retry) {
        if let Some(topology) = self.topology(&retry.topology) {
            self.lanes[topology].quarantine.remove(&retry.position);
        }
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
        std::mem::replace(&mut self.cells.0[pstate].0, cell)
    }

    /// A fresh cell for a PState.
    pub(crate) fn empty_cell(&self, pstate: usize) -> Result<Box<dyn Cell>, Damaged> {
        self.plan.pstates[pstate].codec.cell(self.place(pstate), Vec::new(), 0)
    }

    /// Where a PState's cell lies: a global one has a single partition.
    pub(crate) fn place(&self, pstate: usize) -> Place {
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

    /// About how many bytes of memory the unfolded changes of a topology take.
    pub(crate) fn weight(&self, topology: usize) -> usize {
        let owned = &self.plan.topologies[topology].owned;
        owned.iter().map(|&cell| self.cells.0[cell].0.weight()).sum()
    }

    /// About how many bytes of memory all unfolded changes take.
    fn weight_of_all(&self) -> usize {
        self.cells.0.iter().map(|cell| cell.0.weight()).sum()
    }

    /// The topologies of a group that take part in the live flow.
    pub(crate) fn live_of(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let members = self.plan.groups[group].iter().copied();
        members.filter(move |&topology| self.lanes[topology].live)
    }

    /// About how many bytes of memory the unfolded changes of a group's live topologies take.
    pub(crate) fn weight_of(&self, group: usize) -> usize {
        self.live_of(group).map(|topology| self.weight(topology)).sum()
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
) -> Place {
    let partitions = if plan.pstates[pstate].global { 1 } else { partitions };
    Place { partition, partitions, cache_bytes }
}

enum Attempt {
    Done,
    /// It panicked; another attempt may help.
    Failed(String),
    /// It will fail every time.
    Refused(String),
}

/// The most bytes of what a handler's panic says that a verdict keeps.
const MESSAGE_BYTES_MAX: usize = 4096;

/// A message that fits a record of the log, whatever a handler said.
fn shortened(mut message: String) -> String {
    let is_end = |end: &usize| message.is_char_boundary(*end);
    if message.len() > MESSAGE_BYTES_MAX
        && let Some(end) = (0..=MESSAGE_BYTES_MAX).rev().find(is_end)
    {
        message.truncate(end);
        message.push_str("..");
    }
    message
}

/// Decodes the events of an item again. They were decoded or encoded by this process before.
fn decode_again(plan: &Plan, events: &mut Events) -> bool {
    let codec = &plan.depots[events.depot].codec;
    let mut again = codec.events();
    for (variant, bytes) in events.encoded.iter() {
        if codec.decode(&mut again, usize::from(variant), bytes).is_err() {
            return false;
        }
    }
    events.events = again;
    true
}

/// What a panic said; damage that took this way out of a handler stops the partition.
fn panic_message(panic: Box<dyn Any + Send>) -> Result<String, Stop> {
    let panic = match panic.downcast::<Damaged>() {
        Ok(damage) => return Err((*damage).into()),
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Ok(text.unwrap_or_else(|| "the handler panicked without a message".to_owned()))
}
