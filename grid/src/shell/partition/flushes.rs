//! Flushes: one at a time, on another thread, at batch boundaries.

use std::collections::HashSet;
use std::sync::Arc;

use gridmill_persistence::{LogError, Position};

use crate::machine::budget::Account;
use crate::machine::core::Core;
use crate::machine::flush::{FlushContext, FlushDone, FlushFault, FlushJob, install, rejoin};
use crate::shell::host::{Work, once};

use super::counters::Counters;
use super::failing::JobKind;
use super::log_writer::LogWriter;
use super::{Fatal, Msg, Partition};

/// What flushes have covered, and what they are to cover.
pub(crate) struct Flushes {
    context: FlushContext,
    /// A flush runs on another thread.
    running: bool,
    /// By topology: the position that its runs cover.
    covered: Vec<Position>,
    /// Groups of topologies to flush although they are small.
    asked: HashSet<usize>,
    /// What the unflushed changes of live topologies take.
    changes: Account,
    /// What a restart would replay.
    tail: Account,
}

impl Flushes {
    pub(crate) fn new(core: &Core, context: FlushContext, changes: Account, tail: Account) -> Self {
        let covered = covered(core, &context);
        Self { context, running: false, covered, asked: HashSet::new(), changes, tail }
    }

    pub(crate) fn context(&self) -> &FlushContext {
        &self.context
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running
    }

    /// What the unflushed changes of live topologies take.
    pub(crate) fn changes(&self) -> &Account {
        &self.changes
    }

    /// Asks for a flush of a group, however small it is.
    pub(crate) fn ask(&mut self, group: usize) {
        self.asked.insert(group);
    }

    /// Whether the snapshots of a group do not have all that it has handled.
    pub(crate) fn is_behind(&self, core: &Core, group: usize) -> bool {
        let behind = |topology: usize| self.covered[topology] < core.consumers[topology].next;
        core.live_of(group).any(behind)
    }

    /// Whether a group has more to be flushed than it may.
    pub(crate) fn is_due(&self, core: &Core, writer: &LogWriter, group: usize) -> bool {
        let full = self.changes.is_over(core.weight_of(group))
            || self.tail.is_over(self.tail_bytes(core, writer, group))
            || self.asked.contains(&group);
        full && self.is_behind(core, group)
    }

    /// Bytes of the log that a restart would replay for a group.
    pub(crate) fn tail_bytes(&self, core: &Core, writer: &LogWriter, group: usize) -> usize {
        let live = core.live_of(group);
        let bytes = live.map(|topology| writer.bytes_after(self.covered[topology])).max();
        usize::try_from(bytes.unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// Brings both accounts up to date; returns what they have: the tail, and changes.
    pub(crate) fn note_sizes(&mut self, core: &Core, writer: &LogWriter) -> (usize, usize) {
        let groups = 0..core.plan.groups.len();
        let tail = groups.clone().map(|group| self.tail_bytes(core, writer, group)).max();
        let (tail, changes) = (tail.unwrap_or(0), groups.map(|group| core.weight_of(group)).sum());
        self.changes.set(changes);
        self.tail.set(tail);
        (tail, changes)
    }
}

fn covered(core: &Core, context: &FlushContext) -> Vec<Position> {
    let manifest = context.manifest.lock();
    let topologies = core.plan.topologies.iter();
    let next = |name| manifest.get().topology(name).map_or(Position::START, |meta| meta.next);
    topologies.map(|topology| next(topology.name)).collect()
}

impl Partition {
    pub(crate) fn start_flush(&mut self, group: usize) {
        self.maintenance.flushes.asked.remove(&group);
        let live: Vec<usize> = self.core.live_of(group).collect();
        let flows = self.flows_at_flush(&live);
        let job = FlushJob::freeze(&mut self.core, &live, flows);
        self.run_flush(group, job);
    }

    /// Has what was frozen of a group written out.
    pub(crate) fn run_flush(&mut self, group: usize, job: FlushJob) {
        let flushes = &mut self.maintenance.flushes;
        flushes.running = true;
        let (context, host) = (flushes.context.clone(), Arc::clone(&self.host));
        let flush = once(move || {
            let span = tracing::info_span!("flush", group);
            let result = span.in_scope(|| job.run(&context));
            // The actor is to be the last who holds what was flushed.
            drop(job);
            host.tell(Msg::Flushed(group, result));
        });
        self.host.run(Work::Background, flush);
    }

    /// The flush of a group has ended.
    pub(crate) fn flush_ended(
        &mut self,
        group: usize,
        result: Result<FlushDone, FlushFault>,
    ) -> Result<(), Fatal> {
        self.maintenance.flushes.running = false;
        match result {
            Ok(done) => self.flushed(done)?,
            Err(error) => self.flush_failed(group, &error)?,
        }
        self.quarantined_meanwhile()
    }

    fn flushed(&mut self, done: FlushDone) -> Result<(), Fatal> {
        self.job_went_well(JobKind::Flush);
        Counters::add(&self.shared.counters.flushes, 1);
        Counters::add(&self.shared.counters.flushed_bytes, done.bytes);
        let joining = self.let_in_flushed()?;
        for &(topology, next) in &done.next {
            self.maintenance.flushes.covered[topology] = next;
            self.maintenance.merges.came(&self.core.plan.topologies[topology].owned);
        }
        self.maintenance.spent.add(install(&mut self.core, done));
        self.note_runs();
        match joining {
            Some(topology) => self.joined(topology),
            None => self.show(),
        }
        Ok(())
    }

    fn flush_failed(&mut self, group: usize, error: &FlushFault) -> Result<(), Fatal> {
        let live: Vec<usize> = self.core.live_of(group).collect();
        rejoin(&mut self.core, &live);
        self.catch_ups.put_off_entering();
        self.job_failed(JobKind::Flush, error.to_string());
        match error {
            FlushFault::Log(LogError::SyncFailed { .. }) => self.recover_log(),
            _ => Ok(()),
        }
    }

    /// Lets the figures see the runs that are read now.
    pub(crate) fn note_runs(&self) {
        let cells = (0..self.core.plan.pstates.len()).map(|pstate| self.core.cell(pstate));
        self.shared.published.show_runs(cells.flat_map(|cell| cell.runs().to_vec()).collect());
    }
}
