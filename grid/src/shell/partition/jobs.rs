//! Flushes: one at a time, on another thread, at batch boundaries.

use std::sync::Arc;

use gridmill_persistence::LogError;

use crate::machine::flush::{FlowsAtFlush, FlushDone, FlushFault, FlushJob, install, rejoin};

use super::failing::JobKind;
use super::shared::Counters;
use super::{Fatal, Msg, Partition};
use crate::shell::host::{Work, once};

impl Partition {
    /// Starts what is due, where nothing runs.
    pub(crate) fn start_jobs(&mut self) {
        self.note_sizes();
        if self.shutdown.is_some() {
            return;
        }
        // First, so that flushes that follow each other do not starve them.
        self.start_merges();
        if self.flushing || self.waits(JobKind::Flush) {
            return;
        }
        let groups = 0..self.core.plan.groups.len();
        let due = groups.filter(|&group| self.flush_is_due(group) && !self.waits_for_merges(group));
        // The largest first: a small one that changes a lot is due again after each of its flushes.
        let piled =
            |&group: &usize| self.core.weight_of(group).saturating_add(self.tail_bytes(group));
        if let Some(group) = due.max_by_key(piled) {
            self.start_flush(group);
        }
    }

    /// Drops what was flushed, where no reader holds it any more; on another thread, because there may
    /// be millions of values.
    pub(crate) fn let_go(&mut self) {
        let spent: Vec<_> = self.spent.extract_if(.., |spent| spent.is_last()).collect();
        if spent.is_empty() {
            return;
        }
        let leaving = self.changes.leave(spent.iter().map(|spent| spent.weight()).sum());
        let (dropping, host) = (Arc::clone(&self.dropping), Arc::clone(&self.host));
        let drop_all = move || {
            drop((spent, leaving));
            drop(dropping);
            // It may wait for that.
            host.tell(Msg::Wake);
        };
        self.host.run(Work::Background, once(drop_all));
    }

    /// Whether what was flushed is being dropped.
    pub(crate) fn is_dropping(&self) -> bool {
        Arc::strong_count(&self.dropping) > 1
    }

    fn note_sizes(&mut self) {
        let (mut tail, mut overlay) = (0, 0);
        for group in 0..self.core.plan.groups.len() {
            tail = tail.max(self.tail_bytes(group));
            overlay += self.core.weight_of(group);
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

    /// Bytes of the log that a restart would replay for a group.
    fn tail_bytes(&self, group: usize) -> usize {
        let live = self.core.live_of(group);
        let bytes = live.map(|topology| self.log.bytes_after(self.flushed[topology])).max();
        usize::try_from(bytes.unwrap_or(0)).unwrap_or(usize::MAX)
    }

    fn flush_is_due(&self, group: usize) -> bool {
        let full = self.changes.is_over(self.core.weight_of(group))
            || self.tail.is_over(self.tail_bytes(group))
            || self.flush_asked.contains(&group);
        full && self.is_behind(group)
    }

    /// Whether the snapshots of a group do not have all that it has handled.
    pub(crate) fn is_behind(&self, group: usize) -> bool {
        let behind = |topology: usize| self.flushed[topology] < self.core.consumers[topology].next;
        self.core.live_of(group).any(behind)
    }

    fn start_flush(&mut self, group: usize) {
        self.flush_asked.remove(&group);
        let live: Vec<usize> = self.core.live_of(group).collect();
        let job = FlushJob::freeze(&mut self.core, &live, FlowsAtFlush::default());
        self.run_flush(group, job);
    }

    /// Has what was frozen of a group written out.
    pub(crate) fn run_flush(&mut self, group: usize, job: FlushJob) {
        self.flushing = true;
        let (context, host) = (self.flushes.clone(), Arc::clone(&self.host));
        let flush = once(move || {
            let span = tracing::info_span!("flush", group);
            let result = span.in_scope(|| job.run(&context));
            // The actor is to be the last who holds what was flushed.
            drop(job);
            host.tell(Msg::Flushed(group, result));
        });
        self.host.run(Work::Background, flush);
    }

    pub(crate) fn flushed(
        &mut self,
        group: usize,
        result: Result<FlushDone, FlushFault>,
    ) -> Result<(), Fatal> {
        self.flushing = false;
        match result {
            Ok(done) => {
                self.job_went_well(JobKind::Flush);
                Counters::add(&self.shared.counters.flushes, 1);
                Counters::add(&self.shared.counters.flushed_bytes, done.bytes);
                let joining = self.let_in_flushed()?;
                for &(topology, next) in &done.next {
                    self.flushed[topology] = next;
                    self.merges.came(&self.core.plan.topologies[topology].owned);
                }
                self.spent.extend(install(&mut self.core, done));
                self.note_runs();
                match joining {
                    Some(topology) => self.joined(topology),
                    None => self.show(),
                }
            }
            Err(error) => {
                let live: Vec<usize> = self.core.live_of(group).collect();
                rejoin(&mut self.core, &live);
                self.catching_up.put_off();
                self.job_failed(JobKind::Flush, error.to_string());
                if let FlushFault::Log(LogError::SyncFailed { .. }) = error {
                    self.recover_log()?;
                }
            }
        }
        self.quarantined_meanwhile()
    }
}
