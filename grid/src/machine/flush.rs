//! Flushes: how changes of topologies become runs and their snapshots move on.

use std::path::PathBuf;
use std::sync::Arc;

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, LogSyncer, Position, Run, Storage};
use parking_lot::Mutex;

use crate::identity::Root;
use crate::module::Plan;
use crate::state::{FlushError, Flushed, Frozen, Spent, Stamp};

use super::control::Verdict;
use super::core::Core;
use super::flow::outbox_file::{self, OutboxRecord, outbox_name};
use super::manifest::{Intake, ManifestFault, ManifestFile, RunMeta, runs_dir};
use super::registry::Registry;

/// Why a flush or merge did not happen. Nothing is lost: the changes stay in memory and in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlushFault {
    #[error("the runs cannot be written: {0}")]
    Runs(#[from] FlushError),
    #[error("the log cannot be synced: {0}")]
    Log(#[from] LogError),
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] ManifestFault),
}

/// What flushing needs beside the state.
#[derive(Clone, Debug)]
pub(crate) struct FlushContext {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) root: Root,
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Arc<Mutex<ManifestFile>>,
    pub(crate) syncer: LogSyncer,
}

/// What a flush is to say of records that topologies send. By default the manifest goes on saying what it says.
#[derive(Debug, Default)]
pub(crate) struct FlowsAtFlush {
    /// What has come, as of the boundary at which the flush freezes.
    pub(crate) intake: Option<Intake>,
    /// Of each topology of the flush that sends: what it sent before its position and was not confirmed. Nothing
    /// of a topology whose position moves on may be left out: no replay sends it again.
    pub(crate) outboxes: Vec<(usize, Vec<OutboxRecord>)>,
}

/// What topologies changed up to one position, set aside to be written together.
pub(crate) struct FlushJob {
    plan: Arc<Plan>,
    topologies: Vec<FrozenTopology>,
    pstates: Vec<FrozenPState>,
    flows: FlowsAtFlush,
}

/// What the manifest is to say of a topology.
struct FrozenTopology {
    topology: usize,
    name: &'static str,
    live: bool,
    next: Position,
    quarantine: Vec<Verdict>,
}

struct FrozenPState {
    pstate: usize,
    topology: &'static str,
    name: &'static str,
    len: u64,
    frozen: Box<dyn Frozen>,
}

/// The runs of a flush, before a manifest names them.
#[derive(Default)]
struct Written<'a> {
    pstates: Vec<(&'a FrozenPState, String, Flushed)>,
    /// By topology: the run of its outbox, where there is something in it.
    outboxes: Vec<(&'static str, Option<RunMeta>)>,
}

impl Written<'_> {
    fn files(self) -> Vec<String> {
        let outboxes = self.outboxes.into_iter().filter_map(|(_, run)| Some(run?.file));
        self.pstates.into_iter().map(|(_, name, _)| name).chain(outboxes).collect()
    }
}

/// What a flush wrote.
#[derive(Debug)]
pub(crate) struct FlushDone {
    /// By topology: the position that its runs cover now.
    pub(crate) next: Vec<(usize, Position)>,
    pub(crate) pstates: Vec<(usize, Flushed)>,
    pub(crate) bytes: u64,
}

impl FlushJob {
    /// Freezes what topologies have changed since their last flush. Those of one group that are live
    /// have to be in one job.
    pub(crate) fn freeze(core: &mut Core, topologies: &[usize], flows: FlowsAtFlush) -> Self {
        let (plan, frozen, pstates) = (Arc::clone(&core.plan), Vec::new(), Vec::new());
        let mut job = Self { plan, topologies: frozen, pstates, flows };
        topologies.iter().for_each(|&topology| job.add(core, topology));
        job
    }

    /// Freezes the changes of one topology more, which may have a machine of its own.
    pub(crate) fn add(&mut self, core: &mut Core, topology: usize) {
        let frozen = core.freeze(topology);
        let (consumer, plan) = (&core.consumers[topology], &core.plan);
        let name = plan.topologies[topology].name;
        self.topologies.push(FrozenTopology {
            topology,
            name,
            live: consumer.live,
            next: consumer.next,
            quarantine: consumer.quarantine.values().cloned().collect(),
        });
        self.pstates.extend(frozen.into_iter().map(|(pstate, frozen)| FrozenPState {
            pstate,
            topology: name,
            name: plan.pstates[pstate].name,
            len: core.cell(pstate).len(),
            frozen,
        }));
    }

    /// Writes runs and manifest. Runs on any thread.
    ///
    /// # Errors
    /// [`FlushFault`]: the snapshot is as it was; give the job's PStates to [`rejoin`].
    pub(crate) fn run(&self, context: &FlushContext) -> Result<FlushDone, FlushFault> {
        let mut done = Written::default();
        if let Err(fault) = self.write_runs(context, &mut done) {
            // No manifest ever named them, and a full disk needs their room.
            remove_files(context, &done.files());
            return Err(fault);
        }
        let runs = done.pstates.iter().filter_map(|(.., flushed)| flushed.run.as_ref());
        let bytes = runs.map(Run::bytes).sum();
        let void = self.enter(context, &done)?;
        // Before a start has settled, the folder may go back to them; then they are removed.
        if context.manifest.lock().is_settled() {
            remove_files(context, &void);
        }
        let pstates = done.pstates.into_iter().map(|(pstate, _, flushed)| (pstate.pstate, flushed));
        let next = self.topologies.iter().map(|topology| (topology.topology, topology.next));
        Ok(FlushDone { next: next.collect(), pstates: pstates.collect(), bytes })
    }

    fn write_runs<'a>(
        &'a self,
        context: &FlushContext,
        done: &mut Written<'a>,
    ) -> Result<(), FlushFault> {
        for pstate in self.pstates.iter().filter(|pstate| !pstate.frozen.is_empty()) {
            let (name, path) = context.manifest.lock().next_run();
            let note = context.manifest.lock().run_note(pstate.name, &name).encode();
            let stamp = Stamp { covers: self.covered(pstate.topology).to_bits(), note };
            let flushed = pstate.frozen.write(&context.storage, &path, stamp)?;
            done.pstates.push((pstate, name, flushed));
        }
        for (topology, records) in &self.flows.outboxes {
            let topology = self.plan.topologies[*topology].name;
            let run = self.write_outbox(context, topology, records)?;
            done.outboxes.push((topology, run));
        }
        if is_planted(Bug::ManifestBeforeLog) {
            return Ok(());
        }
        // A snapshot must not know more than the log: sync before the manifest says so.
        let durable = context.syncer.sync()?;
        context.manifest.lock().durable_to(durable);
        Ok(())
    }

    /// Writes what a topology has sent and was not confirmed.
    fn write_outbox(
        &self,
        context: &FlushContext,
        topology: &str,
        records: &[OutboxRecord],
    ) -> Result<Option<RunMeta>, FlushFault> {
        if records.is_empty() {
            return Ok(None);
        }
        let mut manifest = context.manifest.lock();
        let registry = Registry::new(&self.plan, manifest.get());
        let (name, path) = manifest.next_run();
        let note = manifest.run_note(&outbox_name(topology), &name).encode();
        drop(manifest);
        let stamp = Stamp { covers: self.covered(topology).to_bits(), note };
        let run = outbox_file::write(&context.storage, &path, stamp, &registry, records);
        Ok(Some(RunMeta::of(&name, &run.map_err(FlushError::from)?)))
    }

    /// The position that the runs of a topology cover.
    fn covered(&self, topology: &str) -> Position {
        let owner = self.topologies.iter().find(|known| known.name == topology);
        owner.map_or(Position::START, |owner| owner.next)
    }

    /// Enters the flush into the manifest; returns the files that nothing names any more.
    fn enter(&self, context: &FlushContext, done: &Written<'_>) -> Result<Vec<String>, FlushFault> {
        let mut void = Vec::new();
        context.manifest.lock().update(|manifest| {
            for topology in &self.topologies {
                let Some(meta) = manifest.topology_mut(topology.name) else { continue };
                meta.next = topology.next;
                meta.live = topology.live;
                meta.quarantine.clone_from(&topology.quarantine);
            }
            for frozen in &self.pstates {
                let Some(meta) = manifest.topology_mut(frozen.topology) else { continue };
                let known = meta.pstate_mut(frozen.name);
                let Some(known) = known else { continue };
                known.len = frozen.len;
                let flush = done.pstates.iter().find(|(pstate, ..)| pstate.pstate == frozen.pstate);
                let Some((_, name, flushed)) = flush else { continue };
                if flushed.cleared {
                    void.extend(known.runs.drain(..).map(|run| run.file));
                }
                if let Some(run) = &flushed.run {
                    known.runs.insert(0, RunMeta::of(name, run));
                }
            }
            for (topology, run) in &done.outboxes {
                let Some(meta) = manifest.topology_mut(topology) else { continue };
                let old = std::mem::replace(&mut meta.outbox, run.clone());
                void.extend(old.map(|run| run.file));
            }
            if let Some(intake) = &self.flows.intake {
                manifest.intake.clone_from(intake);
            }
        })?;
        Ok(void)
    }
}

/// Removes runs that no manifest names any more.
pub(super) fn remove_files(context: &FlushContext, names: &[String]) {
    for name in names {
        // A file that stays is removed at the next start, as every run that no manifest names.
        if let Err(error) = context.storage.remove(&runs_dir(&context.dir).join(name)) {
            tracing::warn!(run = %name, %error, "an old run could not be removed");
        }
    }
}

/// Puts what a flush wrote under the live state; returns the changes that it wrote.
pub(crate) fn install(core: &mut Core, done: FlushDone) -> Vec<Spent> {
    let put = |(pstate, flushed): (usize, Flushed)| {
        core.cell_mut(pstate).install(flushed.run, flushed.cleared)
    };
    done.pstates.into_iter().filter_map(put).collect()
}

/// Lets the changes of a failed flush live on.
pub(crate) fn rejoin(core: &mut Core, topologies: &[usize]) {
    for &topology in topologies {
        for pstate in core.plan.topologies[topology].owned.clone() {
            core.cell_mut(pstate).rejoin();
        }
    }
}

/// Flushes topologies together while their owner waits.
pub(crate) fn flush_now(
    core: &mut Core,
    topologies: &[usize],
    context: &FlushContext,
    flows: FlowsAtFlush,
) -> Result<u64, FlushFault> {
    let job = FlushJob::freeze(core, topologies, flows);
    match job.run(context) {
        Ok(done) => {
            let bytes = done.bytes;
            install(core, done);
            Ok(bytes)
        }
        Err(fault) => {
            rejoin(core, topologies);
            Err(fault)
        }
    }
}
