//! A whole batch at once: what is done as long as nothing fails.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::module::Plan;
use crate::partition::batch::{Batch, Events, Item};
use crate::topology::{Answers, StageError, StageRun, Window};

use super::panics::panic_message;
use super::{Applied, Core, ItemAnswers, Stop};

impl Core {
    /// Applies the whole batch at once; `None`, with nothing done, where a record fails.
    pub(super) fn apply_fast(&mut self, batch: &mut Batch) -> Result<Option<Applied>, Stop> {
        let mut answers = Vec::new();
        if !self.run_guarded(batch, &mut answers)? {
            self.rollback()?;
            return Ok(None);
        }
        if self.limits.check_twice && !self.run_again(batch)? {
            return Ok(None);
        }
        self.seal()?;
        for item in &batch.items {
            self.apply_control(item);
        }
        Ok(Some(Applied { answers, verdicts: Vec::new() }))
    }

    /// Runs the batch; false where a handler panicked or made a value that is not allowed.
    pub(super) fn run_guarded(
        &mut self,
        batch: &mut Batch,
        answers: &mut Vec<ItemAnswers>,
    ) -> Result<bool, Stop> {
        match catch_unwind(AssertUnwindSafe(|| self.run_all(batch, answers))) {
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

    /// Rolls the batch back, runs it again from its bytes and compares what both runs touched.
    pub(super) fn run_again(&mut self, batch: &mut Batch) -> Result<bool, Stop> {
        let first = self.digests();
        self.rollback()?;
        for item in &mut batch.items {
            let Item::Events(events) = item else { continue };
            if !decode_again(&self.plan, events) {
                return Ok(true);
            }
        }
        if !self.run_guarded(batch, &mut Vec::new())? {
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

    pub(super) fn digests(&mut self) -> Vec<u64> {
        self.cells.0.iter_mut().map(|cell| cell.0.touched_digest()).collect()
    }

    /// Topologies in declaration order; where one reads another's state, record by record.
    pub(super) fn run_all(
        &mut self,
        batch: &mut Batch,
        answers: &mut Vec<ItemAnswers>,
    ) -> Result<(), StageError> {
        answers.clear();
        answers.resize_with(batch.items.len(), ItemAnswers::default);
        let topologies = self.plan.topologies.len();
        for (item, answers) in batch.items.iter_mut().zip(answers.iter_mut()) {
            let Item::Events(events) = item else { continue };
            let records = events.infos.len();
            let step = if self.plan.coupled { 1 } else { records.max(1) };
            for start in (0..records).step_by(step) {
                for topology in 0..topologies {
                    self.run(topology, events, start..(start + step).min(records), 0, answers)?;
                }
            }
        }
        Ok(())
    }

    /// Runs one topology over some records of one item, where it reads their depot. `base` is the
    /// index in its item of the first of `events`.
    pub(super) fn run(
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
