//! Records in quarantine that are handled again by themselves.

use std::collections::HashSet;

use gridmill_persistence::Position;

use crate::machine::control::{Retry, Verdict};

use super::commands::QuarantineCommand;
use super::{Fatal, Partition};

/// What is to be handled again, and when.
#[derive(Default)]
pub(crate) struct Retries {
    /// When the first one is due.
    next: Option<i64>,
    /// Those that cannot be handled again: topology and position.
    hopeless: HashSet<(String, Position)>,
}

impl Retries {
    /// When the first one is due.
    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }
}

impl Partition {
    /// The quarantine is another one than before.
    pub(crate) fn note_retries(&mut self) {
        self.retries.next = self.first_retry().map(|(due, _)| due);
    }

    /// The first record that is handled again by itself, and when.
    fn first_retry(&self) -> Option<(i64, &Verdict)> {
        let (plan, at_once) = (&self.core.plan, self.core.limits().attempts);
        let live = self.core.consumers.iter().zip(&plan.topologies).filter(|(of, _)| of.live);
        let held = live.flat_map(|(consumer, topology)| {
            consumer.quarantine.values().map(move |verdict| (topology, verdict))
        });
        let is_hopeless = |verdict: &Verdict| {
            !self.retries.hopeless.is_empty()
                && self.retries.hopeless.contains(&(verdict.topology.clone(), verdict.position))
        };
        let due = held.filter(|(_, verdict)| !is_hopeless(verdict)).filter_map(|(of, verdict)| {
            let policy = of.policy(plan, &verdict.depot)?;
            let at_once = policy.attempts.unwrap_or(at_once);
            Some((policy.retries?.due(verdict.time, verdict.attempts, at_once)?, verdict))
        });
        due.min_by_key(|(due, verdict)| (*due, verdict.position))
    }

    /// Whether a record in quarantine is to be handled again now. None is once the grid stops.
    pub(crate) fn is_retry_due(&self) -> bool {
        let next = self.retries.next.filter(|_| !self.shared.gate.is_closed());
        next.is_some_and(|next| next <= self.writer.time())
    }

    /// Handles the first record in quarantine again that is due.
    pub(crate) fn retry_due(&mut self) -> Result<(), Fatal> {
        if !self.is_retry_due() || !self.flows.intake().events || !self.may_dequeue() {
            return Ok(());
        }
        // Behind a topology that joins, as other commands.
        if self.catch_ups.is_entering() {
            return Ok(());
        }
        let Some((_, verdict)) = self.first_retry() else { return Ok(()) };
        let retry = Retry::of(verdict);
        self.quarantined(QuarantineCommand { retry, discard: false, done: None })
    }

    /// What was to be handled again cannot be, and why.
    pub(crate) fn is_hopeless(&mut self, retry: Retry, why: &str) {
        let Retry { topology, position, .. } = retry;
        tracing::warn!(%topology, %position, why, "a record in quarantine cannot be handled again");
        self.retries.hopeless.insert((topology, position));
        self.note_retries();
    }
}
