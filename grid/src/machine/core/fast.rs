//! A whole step at once: what is done as long as nothing fails.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::machine::batch::{Batch, Events, Item, Step};
use crate::module::Plan;
use crate::topology::{Answers, Effects, HandlerError, HandlerRun, Sending, Window};

use super::panics::panic_message;
use super::{Applied, Core, ItemAnswers, Stop};

impl Core {
    /// Applies the whole step at once; `None`, with nothing done, where a record fails.
    pub(super) fn apply_fast(
        &mut self,
        batch: &mut Batch,
        step: Step,
    ) -> Result<Option<Applied>, Stop> {
        let mut applied = Applied::default();
        if !self.run_guarded(batch, step, &mut applied)? {
            self.rollback()?;
            return Ok(None);
        }
        if self.limits.check_twice && !self.run_again(batch, step, &applied.effects)? {
            return Ok(None);
        }
        self.seal()?;
        for number in step.items().filter(|&number| step.ends(number)) {
            self.apply_control(&batch.items[number])?;
        }
        Ok(Some(applied))
    }

    /// Runs a step; false where a handler panicked or made a value that is not allowed.
    pub(super) fn run_guarded(
        &mut self,
        batch: &mut Batch,
        step: Step,
        applied: &mut Applied,
    ) -> Result<bool, Stop> {
        match catch_unwind(AssertUnwindSafe(|| self.run_all(batch, step, applied))) {
            Ok(Ok(())) => {}
            Ok(Err(HandlerError::Lost | HandlerError::Fault(_))) => return Ok(false),
            Ok(Err(HandlerError::Damaged(damage))) => return Err(damage.into()),
            Err(panic) => {
                panic_message(panic)?;
                return Ok(false);
            }
        }
        for topology in 0..self.consumers.len() {
            if self.check(topology)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rolls a step back, runs it again from its bytes and compares what both runs touched.
    pub(super) fn run_again(
        &mut self,
        batch: &mut Batch,
        step: Step,
        sent: &Effects,
    ) -> Result<bool, Stop> {
        let first = self.digests()?;
        self.rollback()?;
        for item in &mut batch.items[step.items()] {
            let Item::Events(events) = item else { continue };
            if !decode_again(&self.plan, events) {
                return Ok(true);
            }
        }
        let mut again = Applied::default();
        if !self.run_guarded(batch, step, &mut again)? {
            self.rollback()?;
            return Ok(false);
        }
        if let Some(topology) = sent.difference(&again.effects) {
            let topology = self.plan.topologies[topology].name.to_owned();
            return Err(Stop::NotDeterministic { topology, what: "sent different records".into() });
        }
        let second = self.digests()?;
        if let Some(differs) = first.iter().zip(&second).position(|(a, b)| a != b) {
            let pstate = &self.plan.pstates[differs];
            return Err(Stop::NotDeterministic {
                topology: self.plan.topologies[pstate.topology].name.to_owned(),
                what: format!("gave PState `{}` two different contents", pstate.name),
            });
        }
        Ok(true)
    }

    pub(super) fn digests(&mut self) -> Result<Vec<u64>, Stop> {
        let digests = self.cells.0.iter_mut().map(|cell| cell.0.changed_digest());
        Ok(digests.collect::<Result<_, _>>()?)
    }

    /// Topologies in declaration order; where one reads another's state, record by record.
    pub(super) fn run_all(
        &mut self,
        batch: &mut Batch,
        step: Step,
        applied: &mut Applied,
    ) -> Result<(), HandlerError> {
        let Applied { answers, effects, .. } = applied;
        answers.resize_with(batch.items.len(), ItemAnswers::default);
        let topologies = self.plan.topologies.len();
        for number in step.items() {
            let Item::Events(events) = &mut batch.items[number] else { continue };
            if let Some((call, info)) = events.call.zip(events.infos.first()) {
                self.close_call(events.depot, call, info.position);
            }
            let records = step.records_of(number, events);
            let together = if self.plan.coupled { 1 } else { records.len().max(1) };
            for start in records.clone().step_by(together) {
                let range = start..(start + together).min(records.end);
                for topology in 0..topologies {
                    let (range, to) = (range.clone(), (&mut answers[number], &mut *effects));
                    self.run(topology, events, range, 0, to)?;
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
        (answers, effects): (&mut ItemAnswers, &mut Effects),
    ) -> Result<(), HandlerError> {
        let consumer = &self.consumers[topology];
        if !consumer.live || events.only.is_some_and(|only| only != topology) {
            return Ok(());
        }
        let plan = &self.plan.topologies[topology];
        let Some(number) = plan.source(events.depot) else { return Ok(()) };
        let source = &plan.sources[number];
        if answers.topologies.last().is_none_or(|(last, _)| *last != topology) {
            answers.topologies.push((topology, Answers::default()));
        }
        let Some((_, answers)) = answers.topologies.last_mut() else { return Ok(()) };
        let skip = (!consumer.skip.is_empty()).then_some(&consumer.skip);
        let start = if events.only.is_some() { 0 } else { consumer.starts[number] };
        source.handler.run(HandlerRun {
            events: &mut events.events,
            infos: &events.infos,
            range,
            base,
            take: source.last,
            window: Window { after: consumer.next, start, skip },
            cells: &mut self.cells,
            at: &source.at,
            owned: &source.owned,
            partition: self.partition,
            sending: Sending {
                topology,
                outputs: &plan.outputs,
                replies: plan.replies.as_ref(),
                partitions: self.partitions,
                limits: self.limits.sends,
                effects: &mut *effects,
            },
            answers,
        })?;
        self.keep_later(topology, events.depot, effects);
        Ok(())
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
