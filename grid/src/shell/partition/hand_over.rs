//! A topology that has read the past joins the live flow.

use std::sync::Arc;

use crate::machine::control::Verdict;
use crate::machine::core::Stop;
use crate::machine::flush::FlushJob;
use crate::machine::replay::Replay;

use super::catch_ups::CaughtUp;

use super::failing::JobKind;
use super::reading::flush_past;
use super::{Fatal, Msg, Partition};

/// Records that the actor itself reads at the hand-over; with more, the thread goes on reading.
const HAND_OVER_RECORDS: u64 = 20_000;

impl Partition {
    /// A topology has read all that was durable. It joins once nothing is under way; where the live
    /// flow has run far ahead meanwhile, it goes on reading.
    pub(crate) fn caught_up(&mut self, caught_up: CaughtUp) -> Result<(), Fatal> {
        self.catch_ups.end(caught_up.topology);
        self.job_went_well(JobKind::Flush);
        let next = caught_up.core.consumers[caught_up.topology].next;
        let behind = self.writer.end().number().saturating_sub(next.number());
        let busy = self.catch_ups.has_arrived();
        if self.commands.is_stopping() || behind > HAND_OVER_RECORDS || busy {
            self.read_on(caught_up.topology, caught_up.core, caught_up.changes);
            return Ok(());
        }
        self.catch_ups.arrive(caught_up);
        Ok(())
    }

    /// Lets the topology at the door in, where every batch is completed.
    ///
    /// One that others read, or that reads others, joins when the manifest says so, with the snapshots
    /// of all of them as of this position; no batch starts before. Otherwise a replay after a crash
    /// would handle the records after the hand-over as if it had not joined.
    pub(crate) fn hand_over(&mut self) -> Result<(), Fatal> {
        let Some(topology) = self.catch_ups.at_door() else { return Ok(()) };
        if self.batching.has_rest() || self.shared.commits.len() > 0 {
            return Ok(());
        }
        let alone = self.core.plan.group_of(topology).len() == 1;
        if !alone && self.maintenance.flushes.is_running() {
            return Ok(());
        }
        let Some(mut caught_up) = self.catch_ups.take_arrived() else { return Ok(()) };
        self.read_rest(&mut caught_up)?;
        // They were logged when they were met.
        caught_up.core.forget_skipped(topology);
        let group = self.core.plan.topologies[topology].group;
        if alone {
            self.let_in(caught_up)?;
            self.maintenance.flushes.ask(group);
            self.note_runs();
            self.joined(topology);
            return Ok(());
        }
        let live: Vec<usize> = self.core.live_of(group).collect();
        let flows = self.flows_at_flush(&live);
        let mut job = FlushJob::freeze(&mut self.core, &live, flows);
        job.add(&mut caught_up.core, topology);
        self.catch_ups.enter(caught_up);
        self.run_flush(group, job);
        Ok(())
    }

    /// Lets a topology read what is left of the log, to the last record.
    fn read_rest(&mut self, caught_up: &mut CaughtUp) -> Result<(), Fatal> {
        let found = self.read_to_end(caught_up)?;
        let CaughtUp { topology, core, .. } = caught_up;
        if !found.is_empty() {
            self.log_verdicts(&found)?;
        }
        let consumer = &mut core.consumers[*topology];
        consumer.next = self.writer.end();
        consumer.skip.clear();
        Ok(())
    }

    /// Applies what is left of the log, on the actor; nobody writes meanwhile.
    fn read_to_end(&self, caught_up: &mut CaughtUp) -> Result<Vec<Verdict>, Fatal> {
        let CaughtUp { topology, core, changes, .. } = caught_up;
        let (plan, topology) = (Arc::clone(&core.plan), *topology);
        let from = core.consumers[topology].next;
        let (mut found, mut flushes) = (Vec::new(), true);
        let reader = self.writer.reader();
        let only = std::iter::once(topology);
        let mut replay = Replay::new(&plan, self.writer.registry(), reader, from, only)?;
        while let Some(mut batch) = replay.next_batch()? {
            loop {
                found.extend(core.apply(&mut batch)?.verdicts);
                let bytes = core.weight(topology);
                changes.set(bytes);
                if flushes
                    && changes.is_over(bytes)
                    && let Err(error) =
                        flush_past(core, topology, self.maintenance.flushes.context())
                {
                    // It joins with what it has, which is written out with all others.
                    tracing::error!(%error, "a flush failed; it is tried again later");
                    flushes = false;
                }
                if batch.is_applied() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Makes a topology that has read everything part of the live flow.
    fn let_in(&mut self, caught_up: CaughtUp) -> Result<(), Fatal> {
        let CaughtUp { topology, mut core, .. } = caught_up;
        for &pstate in &self.core.plan.topologies[topology].owned.clone() {
            let empty = core.empty_cell(pstate).map_err(Stop::from)?;
            let cell = core.swap_cell(pstate, empty);
            self.core.swap_cell(pstate, cell);
        }
        self.core.consumers[topology] = core.consumers[topology].clone();
        Ok(())
    }

    /// Lets in the topology whose snapshot was written to join; returns which.
    pub(crate) fn let_in_flushed(&mut self) -> Result<Option<usize>, Fatal> {
        let Some(caught_up) = self.catch_ups.take_entering() else { return Ok(None) };
        let topology = caught_up.topology;
        self.let_in(caught_up)?;
        Ok(Some(topology))
    }

    /// Shows a topology that has been let in.
    pub(crate) fn joined(&mut self, topology: usize) {
        self.note_quarantine();
        let view = self.view();
        self.shared.published.show(view);
        let owned = &self.core.plan.topologies[topology].owned.clone();
        self.watch_joined(owned);
        self.maintenance.merges.came(owned);
        self.shared.past.joined(topology, owned);
        self.shared.published.touch();
        self.shared.send(Msg::Wake);
    }
}
