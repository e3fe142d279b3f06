//! Folds and merges: one at a time, on another thread, at batch boundaries.

use std::sync::Arc;

use crate::partition::fold::{FoldDone, FoldFault, FoldJob, MergeDone, MergeJob, install, thaw};

use super::actor::{Msg, Partition};
use super::host::{Work, once};
use super::shared::Counters;

impl Partition {
    /// Starts what is due, where nothing runs.
    pub(crate) fn start_jobs(&mut self) {
        self.note_sizes();
        // What failed is tried again when something was logged since: without more to keep there is
        // no hurry, and a full disk would be asked again and again.
        let just_failed = self.failed_at == Some(self.log.next_position());
        if self.job || just_failed || self.shutdown.is_some() {
            return;
        }
        let due = self.live().filter(|&topology| self.fold_is_due(topology));
        // The largest first: a small one that changes a lot is due again after each of its folds.
        let piled = |&topology: &usize| {
            self.core.weight(topology).saturating_add(self.tail_bytes(topology))
        };
        let due = due.max_by_key(piled);
        if let Some(topology) = due {
            return self.start_fold(topology);
        }
        let merge = self.live().find_map(|topology| MergeJob::pick(&self.core, topology));
        if let Some(merge) = merge {
            self.start_merge(merge);
        }
    }

    /// Drops what was folded, where no reader holds it any more; on another thread, because there may
    /// be millions of values.
    pub(crate) fn let_go(&mut self) {
        let spent: Vec<_> = self.spent.extract_if(.., |spent| spent.is_last()).collect();
        if !spent.is_empty() {
            self.host.run(Work::Background, once(move || drop(spent)));
        }
    }

    fn note_sizes(&mut self) {
        let (mut tail, mut overlay) = (0, 0);
        for topology in self.live() {
            tail = tail.max(self.tail_bytes(topology));
            overlay += self.core.weight(topology);
        }
        self.changes.set(overlay);
        self.tail.set(tail);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        self.shared.counters.tail_bytes.store(tail as u64, relaxed);
        self.shared.counters.overlay_bytes.store(overlay as u64, relaxed);
    }

    /// Lets the figures see the runs that are read now.
    pub(crate) fn note_runs(&self) {
        let cells = (0..self.core.plan.pstates.len()).map(|pstate| self.core.cell(pstate));
        let runs = cells.flat_map(|cell| cell.runs().to_vec()).collect();
        self.shared.runs.store(Arc::new(runs));
    }

    /// Bytes of the log that a restart would replay for a topology.
    fn tail_bytes(&self, topology: usize) -> usize {
        usize::try_from(self.log.bytes_after(self.folded[topology])).unwrap_or(usize::MAX)
    }

    fn fold_is_due(&self, topology: usize) -> bool {
        let full = self.changes.is_over(1, self.core.weight(topology))
            || self.tail.is_over(1, self.tail_bytes(topology))
            || self.fold_asked.contains(&topology);
        full && self.folded[topology] < self.core.lanes[topology].next
    }

    fn start_fold(&mut self, topology: usize) {
        self.job = true;
        self.fold_asked.remove(&topology);
        let job = FoldJob::freeze(&mut self.core, topology);
        let (context, host) = (self.folds.clone(), Arc::clone(&self.host));
        let fold = once(move || {
            let span = tracing::info_span!("fold", topology);
            let result = span.in_scope(|| job.run(&context));
            // The actor is to be the last who holds what was folded.
            drop(job);
            host.tell(Msg::Folded(topology, result));
        });
        self.host.run(Work::Background, fold);
    }

    pub(crate) fn folded(&mut self, topology: usize, result: Result<FoldDone, FoldFault>) {
        self.job = false;
        match result {
            Ok(done) => {
                self.fold_failed = false;
                self.failed_at = None;
                self.folded[topology] = done.next;
                Counters::add(&self.shared.counters.folds, 1);
                Counters::add(&self.shared.counters.folded_bytes, done.bytes);
                self.spent.extend(install(&mut self.core, done));
                self.note_runs();
                self.show();
            }
            Err(error) => {
                self.fold_failed = true;
                self.failed_at = Some(self.log.next_position());
                thaw(&mut self.core, topology);
                let partition = self.shared.partition;
                tracing::error!(partition, %error, "a fold failed; it is tried again later");
            }
        }
    }

    fn start_merge(&mut self, job: MergeJob) {
        self.job = true;
        let (context, host) = (self.folds.clone(), Arc::clone(&self.host));
        let merge = once(move || {
            let span = tracing::info_span!("merge");
            host.tell(Msg::Merged(span.in_scope(|| job.run(&context))));
        });
        self.host.run(Work::Background, merge);
    }

    pub(crate) fn merged(&mut self, result: Result<MergeDone, FoldFault>) {
        self.job = false;
        match result {
            Ok(MergeDone { pstate, first, count, run }) => {
                self.failed_at = None;
                Counters::add(&self.shared.counters.merges, 1);
                self.core.cell_mut(pstate).replace_runs(first, count, run);
                self.note_runs();
                self.show();
            }
            Err(error) => {
                self.failed_at = Some(self.log.next_position());
                let partition = self.shared.partition;
                tracing::error!(partition, %error, "a merge failed; it is tried again later");
            }
        }
    }
}
