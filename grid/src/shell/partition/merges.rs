//! Merges: on other threads, beside flushes.

use std::sync::Arc;

use gridmill_persistence::Run;

use crate::machine::flush::FlushFault;
use crate::machine::merge::{Biases, MergeDone, MergeJob};
use crate::state::FlushError;

use super::counters::Counters;
use super::failing::JobKind;
use super::{Msg, Partition};
use crate::shell::host::{Work, once};

/// Merges of a partition that may run beside each other.
const MERGES_MAX: usize = 2;

/// Of two merges, one reads at least so many times what the other does.
const APART: u64 = 4;

/// The merges of a partition.
#[derive(Debug)]
pub(crate) struct Merges {
    running: Vec<Merging>,
    biases: Biases,
    /// How many have been started.
    started: u64,
    /// It is to be looked what is to be merged.
    changed: bool,
    /// The last one failed; what it was to do is tried again after the next flush, or after some time.
    failed: bool,
}

impl Default for Merges {
    fn default() -> Self {
        // What the folder holds may need some.
        let (running, biases) = (Vec::new(), Biases::default());
        Self { running, biases, started: 0, changed: true, failed: false }
    }
}

/// A merge under way.
#[derive(Debug)]
struct Merging {
    number: u64,
    pstate: usize,
    runs: Vec<Run>,
    bytes: u64,
}

impl Merges {
    /// Whether none is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// PStates have runs that they did not have.
    pub(crate) fn came(&mut self, pstates: &[usize]) {
        pstates.iter().for_each(|&pstate| self.biases.fade(pstate));
        self.changed = true;
    }

    /// Whether one of so many bytes may start: a small one does not wait for a large one, which takes
    /// long.
    fn have_room(&self, bytes: u64) -> bool {
        let far = |running: &Merging| bytes.saturating_mul(APART) <= running.bytes;
        self.running.len() < MERGES_MAX && self.running.iter().all(far)
    }
}

impl Partition {
    /// Starts the merges that are due.
    pub(crate) fn start_merges(&mut self) {
        let failed = self.maintenance.failing.has(JobKind::Merge) && !self.waits(JobKind::Merge);
        let again = failed && self.maintenance.merges.is_empty();
        self.maintenance.merges.changed |= again;
        while self.maintenance.merges.changed {
            match self.next_merge() {
                Some(job) => self.start_merge(job),
                None => self.maintenance.merges.changed = false,
            }
        }
        if again && self.maintenance.merges.is_empty() {
            // What could not be merged is not there any more.
            self.maintenance.merges.failed = false;
            self.job_went_well(JobKind::Merge);
        }
    }

    /// The merge of the PState with the most runs, of those that may start.
    fn next_merge(&self) -> Option<MergeJob> {
        let owned = self.live().flat_map(|topology| &self.core.plan.topologies[topology].owned);
        let due = owned.filter_map(|&pstate| {
            let same =
                self.maintenance.merges.running.iter().filter(|merging| merging.pstate == pstate);
            let merging: Vec<&Run> = same.flat_map(|merging| &merging.runs).collect();
            MergeJob::pick(&self.core, pstate, &self.maintenance.merges.biases, &merging)
        });
        due.filter(|job| self.maintenance.merges.have_room(job.bytes))
            .max_by_key(|job| self.core.cell(job.pstate).runs().len())
    }

    /// Whether a flush of a group has to wait, because its runs pile up faster than they are merged.
    pub(crate) fn waits_for_merges(&self, group: usize) -> bool {
        let Merges { running, biases, failed, .. } = &self.maintenance.merges;
        if running.is_empty() || *failed {
            return false;
        }
        let waits = |pstate: usize| {
            let is_merged = || running.iter().any(|merging| merging.pstate == pstate);
            let is_due = || MergeJob::pick(&self.core, pstate, biases, &[]).is_some();
            biases.pile(&self.core, pstate).is_high() && (is_merged() || is_due())
        };
        let mut live = self.core.live_of(group);
        live.any(|topology| {
            self.core.plan.topologies[topology].owned.iter().any(|&pstate| waits(pstate))
        })
    }

    fn start_merge(&mut self, job: MergeJob) {
        let merges = &mut self.maintenance.merges;
        merges.started += 1;
        let number = merges.started;
        let (pstate, runs, bytes) = (job.pstate, job.runs.clone(), job.bytes);
        merges.running.push(Merging { number, pstate, runs, bytes });
        let (context, host) = (self.maintenance.flushes.context().clone(), Arc::clone(&self.host));
        let cancel = self.catch_ups.cancel_flag();
        let merge = once(move || {
            let span = tracing::info_span!("merge");
            let result = span.in_scope(|| job.run(&context, &cancel));
            // Before the message: the partition is to be the last who holds what was merged.
            drop(job);
            host.tell(Msg::Merged(number, result));
        });
        self.host.run(Work::Background, merge);
    }

    pub(crate) fn merged(&mut self, number: u64, result: Result<MergeDone, FlushFault>) {
        let merges = &mut self.maintenance.merges.running;
        let ended = merges.iter().position(|merging| merging.number == number);
        let Some(Merging { pstate, runs, .. }) = ended.map(|at| merges.swap_remove(at)) else {
            return;
        };
        match result {
            Ok(done) => {
                (self.maintenance.merges.changed, self.maintenance.merges.failed) = (true, false);
                self.job_went_well(JobKind::Merge);
                Counters::add(&self.shared.counters.merges, 1);
                self.maintenance.merges.biases.learn(pstate, &done);
                if let Some(run) = done.run {
                    Counters::add(&self.shared.counters.merged_bytes, run.bytes());
                    self.core.cell_mut(pstate).replace_runs(&runs, Some(run));
                    self.note_runs();
                    self.show();
                }
            }
            Err(FlushFault::Runs(FlushError::Cancelled)) => {}
            Err(error) => {
                self.maintenance.merges.failed = true;
                self.job_failed(JobKind::Merge, error.to_string());
            }
        }
    }
}
