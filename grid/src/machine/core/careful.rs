//! Record by record: what is done with a batch of which something failed. One that fails every time is set
//! aside.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::machine::batch::{Batch, Events, Item, Step};
use crate::machine::control::{Retry, Verdict};
use crate::topology::{Answers, Effects, HandlerError, Refusal};

use super::panics::{panic_message, shortened};
use super::{Applied, Core, ItemAnswers, Stop};

/// Which record of which item a topology handles, one at a time.
#[derive(Clone, Copy)]
struct One<'a> {
    item: usize,
    index: usize,
    topology: usize,
    variant: u16,
    bytes: &'a [u8],
    /// How often it was tried before it was set aside.
    before: u32,
}

/// What the appender of a record hears that a topology skips, because it failed with this message.
pub(crate) fn skipped(message: &str) -> Refusal {
    Refusal {
        message: format!("the handler failed, and the record is skipped: {message}"),
        error: None,
    }
}

enum Attempt {
    Done,
    /// It panicked; another attempt may help.
    Failed(String),
    /// It will fail every time.
    Refused(String),
}

impl Core {
    /// Applies a step record by record with a seal after each, so that one that fails can be
    /// undone alone, tried again and set aside.
    pub(super) fn apply_one_by_one(
        &mut self,
        batch: &mut Batch,
        step: Step,
    ) -> Result<Applied, Stop> {
        let mut applied = Applied::default();
        applied.answers.resize_with(batch.items.len(), ItemAnswers::default);
        for number in step.items() {
            let item = &mut batch.items[number];
            let before = match item {
                Item::Retry(retry, _) => self.attempts_at(retry),
                _ => 0,
            };
            if let Item::Events(events) | Item::Retry(_, events) = item {
                let records = step.records_of(number, events);
                if let Some((call, info)) = events.call.zip(events.infos.first()) {
                    self.close_call_alone(events.depot, call, info.position)?;
                }
                self.apply_each((number, records, before), events, &mut applied)?;
            }
            if step.ends(number) {
                self.apply_control(item)?;
            }
        }
        for verdict in &applied.verdicts {
            // Also where it is to be skipped: until the log says so.
            self.set_aside(verdict.clone());
        }
        Ok(applied)
    }

    fn apply_each(
        &mut self,
        (item, records, before): (usize, Range<usize>, u32),
        events: &mut Events,
        applied: &mut Applied,
    ) -> Result<(), Stop> {
        let encoded = std::mem::take(&mut events.encoded);
        let step = encoded.iter().enumerate().skip(records.start).take(records.len());
        for (index, (variant, bytes)) in step {
            for topology in 0..self.plan.topologies.len() {
                let one = One { item, index, topology, variant, bytes, before };
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
        let attempts = self.attempts_of(one.topology, events.depot);
        for number in 1..=attempts {
            let sent = applied.effects.mark();
            let to = (&mut applied.answers[one.item], &mut applied.effects);
            let attempt = self.attempt(one, events, to)?;
            if !matches!(attempt, Attempt::Done) {
                applied.effects.truncate(sent);
            }
            match attempt {
                Attempt::Done => return Ok(()),
                Attempt::Failed(why) => message = why,
                Attempt::Refused(why) => {
                    return self.quarantine(one, events, number, why, applied);
                }
            }
        }
        self.quarantine(one, events, attempts, message, applied)
    }

    /// How often a topology tries a record of a depot.
    fn attempts_of(&self, topology: usize, depot: usize) -> u32 {
        let topology = &self.plan.topologies[topology];
        let policy = topology.source(depot).map(|source| topology.sources[source].failure);
        policy.and_then(|policy| policy.attempts).unwrap_or(self.limits.attempts)
    }

    /// How often a record was tried before it was set aside.
    fn attempts_at(&self, retry: &Retry) -> u32 {
        let topology = self.topology(&retry.topology);
        let held =
            topology.and_then(|topology| self.consumers[topology].quarantine.get(&retry.position));
        held.map_or(0, |verdict| verdict.attempts)
    }

    fn attempt(
        &mut self,
        one: One<'_>,
        events: &Events,
        (answers, effects): (&mut ItemAnswers, &mut Effects),
    ) -> Result<Attempt, Stop> {
        let codec = &self.plan.depots[events.depot].codec;
        let (infos, only) = (vec![events.infos[one.index]], events.only);
        let mut single = Events { infos, only, ..Events::none(&self.plan, events.depot) };
        if let Err(error) = codec.decode(&mut single.events, usize::from(one.variant), one.bytes) {
            return Ok(Attempt::Refused(format!("the event cannot be decoded: {error}")));
        }
        let sent = effects.mark();
        let run = || self.run(one.topology, &mut single, 0..1, one.index, (answers, &mut *effects));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(HandlerError::Lost)) => {
                self.rollback()?;
                effects.truncate(sent);
                return Ok(Attempt::Done);
            }
            Ok(Err(HandlerError::Fault(fault))) => {
                self.rollback()?;
                return Ok(Attempt::Refused(fault));
            }
            Ok(Err(HandlerError::Damaged(damage))) => return Err(damage.into()),
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
        let skips = self
            .plan
            .skips(self.plan.topologies[one.topology].name, self.plan.depots[events.depot].name);
        let answers = &mut applied.answers[one.item];
        if skips {
            let said = Answers { refusals: vec![(index, skipped(&message))], ..Answers::default() };
            answers.topologies.push((one.topology, said));
        } else {
            answers.quarantined.push((index, one.topology, message.clone()));
        }
        applied.verdicts.push(Verdict {
            topology: self.plan.topologies[one.topology].name.to_owned(),
            position: info.position,
            depot: self.plan.depots[events.depot].name.to_owned(),
            offset: info.offset,
            time: info.time,
            attempts: one.before.saturating_add(attempts),
            message,
        });
        Ok(())
    }
}
