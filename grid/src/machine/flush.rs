//! Flushes: how changes of topologies become runs and their snapshots move on.

use std::path::PathBuf;
use std::sync::Arc;

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, LogSyncer, Position, Run, Storage};
use parking_lot::Mutex;

use crate::identity::Root;
use crate::state::{FlushError, Flushed, Frozen, Spent, Stamp};

use super::control::Verdict;
use super::core::Core;
use super::manifest::{ManifestFault, ManifestFile, RunMeta, runs_dir};

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

/// What topologies changed up to one position, set aside to be written together.
#[derive(Default)]
pub(crate) struct FlushJob {
    topologies: Vec<FrozenTopology>,
    pstates: Vec<FrozenPState>,
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
    pub(crate) fn freeze(core: &mut Core, topologies: &[usize]) -> Self {
        let mut job = Self::default();
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
        let mut done = Vec::new();
        if let Err(fault) = self.write_runs(context, &mut done) {
            // No manifest ever named them, and a full disk needs their room.
            let unused: Vec<String> = done.into_iter().map(|(_, name, _)| name).collect();
            remove_files(context, &unused);
            return Err(fault);
        }
        let bytes =
            done.iter().filter_map(|(.., flushed)| flushed.run.as_ref()).map(Run::bytes).sum();
        let void = self.enter(context, &done)?;
        // Before a start has settled, the folder may go back to them; then they are removed.
        if context.manifest.lock().is_settled() {
            remove_files(context, &void);
        }
        let pstates = done.into_iter().map(|(pstate, _, flushed)| (pstate.pstate, flushed));
        let next = self.topologies.iter().map(|topology| (topology.topology, topology.next));
        Ok(FlushDone { next: next.collect(), pstates: pstates.collect(), bytes })
    }

    fn write_runs<'a>(
        &'a self,
        context: &FlushContext,
        done: &mut Vec<(&'a FrozenPState, String, Flushed)>,
    ) -> Result<(), FlushFault> {
        for pstate in self.pstates.iter().filter(|pstate| !pstate.frozen.is_empty()) {
            let (name, path) = context.manifest.lock().next_run();
            let note = context.manifest.lock().run_note(pstate.name, &name).encode();
            let stamp = Stamp { covers: self.covered(pstate).to_bits(), note };
            let flushed = pstate.frozen.write(&context.storage, &path, stamp)?;
            done.push((pstate, name, flushed));
        }
        if is_planted(Bug::ManifestBeforeLog) {
            return Ok(());
        }
        // A snapshot must not know more than the log: sync before the manifest says so.
        let durable = context.syncer.sync()?;
        context.manifest.lock().durable_to(durable);
        Ok(())
    }

    /// The position that a PState's run covers: that of its topology.
    fn covered(&self, pstate: &FrozenPState) -> Position {
        let mut topologies = self.topologies.iter();
        let owner = topologies.find(|topology| topology.name == pstate.topology);
        owner.map_or(Position::START, |owner| owner.next)
    }

    /// Enters the flush into the manifest; returns the files that nothing names any more.
    fn enter(
        &self,
        context: &FlushContext,
        done: &[(&FrozenPState, String, Flushed)],
    ) -> Result<Vec<String>, FlushFault> {
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
                let flush = done.iter().find(|(pstate, ..)| pstate.pstate == frozen.pstate);
                let Some((_, name, flushed)) = flush else { continue };
                if flushed.cleared {
                    void.extend(known.runs.drain(..).map(|run| run.file));
                }
                if let Some(run) = &flushed.run {
                    known.runs.insert(0, RunMeta::of(name, run));
                }
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
) -> Result<u64, FlushFault> {
    let job = FlushJob::freeze(core, topologies);
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
