//! Logged batches on their way through the machine, and what it decides about their records.

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, Position};

use crate::machine::batch::{Batch, Item};
use crate::machine::control::Verdict;
use crate::machine::core::ItemAnswers;

use super::commit::{PendingCommand, StepDone};
use super::counters::Counters;
use super::waiting::Waiting;
use super::{Fatal, Partition};

impl Partition {
    /// The topologies of the live flow.
    pub(crate) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        let consumers = self.core.consumers.iter().enumerate();
        consumers.filter(|(_, consumer)| consumer.live).map(|(topology, _)| topology)
    }

    /// Goes on with a batch that was applied in part, unless what it changed has to be written out first.
    pub(crate) fn apply_rest(&mut self) -> Result<(), Fatal> {
        if self.is_held_back() {
            return Ok(());
        }
        self.batching.take_rest().map_or(Ok(()), |batch| self.apply(batch))?;
        if !self.batching.has_rest() {
            self.quarantined_meanwhile()?;
            // Who came meanwhile has rung, and was not heard.
            self.ring_again();
        }
        Ok(())
    }

    /// Applies a step of a batch that was written, and completes its commit where it was the last; what
    /// is left goes to `rest`.
    pub(crate) fn apply(&mut self, mut batch: Batch) -> Result<(), Fatal> {
        let applied = self.core.apply(&mut batch)?;
        let (heard, mut end) = (batch.applied_to(), batch.end);
        let control = |item: &Item| !matches!(item, Item::Events(_));
        let has_control = batch.items.iter().any(control);
        // Before verdicts are logged: they stand behind it.
        self.batching.applied(batch);
        if !applied.verdicts.is_empty() {
            end = self.log_verdicts(&applied.verdicts)?;
        }
        if !applied.verdicts.is_empty() || has_control {
            self.note_quarantine();
        }
        let all = !self.batching.has_rest();
        self.applied_to = if all { end } else { heard };
        let view = self.view();
        if is_planted(Bug::PublishHalfBatch) {
            self.shared.published.show_half(&view);
        }
        self.note_due()?;
        let failed = applied.verdicts.first().map(|verdict| verdict.message.clone());
        let sent = self.send(&applied.effects);
        let called = applied.effects.opened_calls().to_vec();
        let (answers, hits) = (applied.answers, self.core.take_hits());
        let say = |waiting: &mut [Waiting], command: Option<&mut PendingCommand>| {
            if let (Some(command), Some(message)) = (command, failed) {
                command.fail(format!("it failed again: {message}"));
            }
            self.enter_answers(waiting, answers);
        };
        let step = StepDone { heard, end, all, view, sent, called, hits };
        self.shared.applied(&self.core.plan, step, say);
        Ok(())
    }

    fn enter_answers(&self, waiting: &mut [Waiting], answers: Vec<ItemAnswers>) {
        for (waiting, answers) in waiting.iter_mut().zip(answers) {
            Counters::add(&self.shared.counters.rejected, answers.rejected() as u64);
            waiting.say(&self.core.plan, answers);
        }
    }

    /// Logs verdicts, which the live flow knows already; returns the position after them.
    pub(crate) fn log_verdicts(&mut self, verdicts: &[Verdict]) -> Result<Position, Fatal> {
        for verdict in verdicts {
            let skips = self.core.plan.skips(&verdict.topology, &verdict.depot);
            tracing::warn!(
                topology = %verdict.topology, position = %verdict.position, depot = %verdict.depot,
                message = %verdict.message, "a record {}",
                if skips { "is skipped" } else { "goes into quarantine" }
            );
        }
        if is_planted(Bug::ForgetVerdict) {
            return Ok(self.writer.end());
        }
        if let Err(error) = self.writer.write_verdicts(&self.core, verdicts) {
            let LogError::SyncFailed { .. } = error else { return Err(error.into()) };
            self.recover_log()?;
            self.writer.write_verdicts(&self.core, verdicts)?;
        }
        self.core.forget_logged(verdicts);
        self.make_durable();
        let end = self.writer.end();
        // Consumers come to it when they have the rest of the batch before it.
        if !self.batching.extend_rest(end) {
            let live = self.core.consumers.iter_mut().filter(|consumer| consumer.live);
            live.for_each(|consumer| consumer.next = end);
        }
        Ok(end)
    }
}
