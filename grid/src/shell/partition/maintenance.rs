//! Flushes and merges, seen together: what is due, what appends have to wait for, and what is given up.

use super::Partition;
use super::counters::Counters;
use super::failing::{Failing, JobKind};
use super::flushes::Flushes;
use super::merges::Merges;
use super::spent::SpentMemtables;
use crate::machine::core::Core;

/// Work that keeps memory, restarts and runs within their bounds, beside the live flow.
pub(crate) struct Maintenance {
    pub(super) flushes: Flushes,
    pub(super) merges: Merges,
    /// Flushes and merges that failed since the last good one.
    pub(super) failing: Failing,
    /// What was flushed and may still be read.
    pub(super) spent: SpentMemtables,
}

impl Maintenance {
    pub(crate) fn new(flushes: Flushes) -> Self {
        let (merges, failing) = (Merges::default(), Failing::default());
        Self { flushes, merges, failing, spent: SpentMemtables::default() }
    }

    /// Whether a flush or a merge runs.
    pub(crate) fn is_at_work(&self) -> bool {
        self.flushes.is_running() || !self.merges.is_empty()
    }

    /// Whether changes pile up faster than they are written out and dropped, and are, so that it helps to
    /// wait: the partition is told when one of the jobs ends.
    fn holds_back(&self, core: &Core) -> bool {
        let is_double = |group| self.flushes.changes().is_double(core.weight_of(group));
        // Flushes may wait for merges.
        let works = self.is_at_work() || self.spent.is_dropping();
        works && !self.failing.has(JobKind::Flush) && (0..core.plan.groups.len()).any(is_double)
    }

    /// Whether events have to be refused: changes cannot be written out, and the memory for them is
    /// nearly used up. One batch takes it further; what is left has room for one.
    fn is_full(&self, core: &Core) -> bool {
        let full = |group| self.flushes.changes().is_nearly_double(core.weight_of(group));
        self.failing.has(JobKind::Flush) && (0..core.plan.groups.len()).any(full)
    }
}

impl Partition {
    /// Whether no batch, and no step of one, may start before changes are written out.
    pub(crate) fn is_held_back(&self) -> bool {
        self.maintenance.holds_back(&self.core)
    }

    /// Whether events have to be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.maintenance.is_full(&self.core)
    }

    /// Starts what is due, where nothing runs.
    pub(crate) fn start_jobs(&mut self) {
        self.note_sizes();
        if self.commands.is_stopping() {
            return;
        }
        // First, so that flushes that follow each other do not starve them.
        self.start_merges();
        if self.maintenance.flushes.is_running() || self.waits(JobKind::Flush) {
            return;
        }
        if let Some(group) = self.flush_due() {
            self.start_flush(group);
        }
    }

    /// The largest group that is to be flushed: a small one that changes a lot is due again after each of its
    /// flushes.
    fn flush_due(&self) -> Option<usize> {
        let (core, flushes) = (&self.core, &self.maintenance.flushes);
        let groups = 0..core.plan.groups.len();
        let is_due = |&group: &usize| {
            flushes.is_due(core, &self.writer, group) && !self.waits_for_merges(group)
        };
        let piled = |&group: &usize| {
            core.weight_of(group).saturating_add(flushes.tail_bytes(core, &self.writer, group))
        };
        groups.filter(is_due).max_by_key(piled)
    }

    fn note_sizes(&mut self) {
        let (tail, changes) = self.maintenance.flushes.note_sizes(&self.core, &self.writer);
        Counters::set(&self.shared.counters.tail_bytes, tail);
        Counters::set(&self.shared.counters.overlay_bytes, changes);
    }

    /// Drops what was flushed, where no reader holds it any more.
    pub(crate) fn let_go(&mut self) {
        let Self { maintenance, host, .. } = self;
        maintenance.spent.let_go(maintenance.flushes.changes(), host);
    }
}
