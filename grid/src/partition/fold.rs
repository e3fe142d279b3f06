//! Folds: how changes of topologies become runs and their snapshots move on.

use std::path::PathBuf;
use std::sync::Arc;

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, LogSyncer, Position, Run, Storage};
use parking_lot::Mutex;

use crate::identity::Root;
use crate::state::{FoldError, Folded, Frozen, Spent, Stamp};

use super::control::Verdict;
use super::core::Core;
use super::manifest::{ManifestFault, ManifestFile, RunMeta, runs_dir};

/// Why a fold or merge did not happen. Nothing is lost: the changes stay in memory and in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoldFault {
    #[error("the runs cannot be written: {0}")]
    Runs(#[from] FoldError),
    #[error("the log cannot be synced: {0}")]
    Log(#[from] LogError),
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] ManifestFault),
}

/// What folding needs beside the state.
#[derive(Clone, Debug)]
pub(crate) struct FoldContext {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) root: Root,
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Arc<Mutex<ManifestFile>>,
    pub(crate) syncer: LogSyncer,
}

/// What topologies changed up to one position, set aside to be written together.
#[derive(Default)]
pub(crate) struct FoldJob {
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

/// What a fold wrote.
#[derive(Debug)]
pub(crate) struct FoldDone {
    /// By topology: the position that its runs cover now.
    pub(crate) next: Vec<(usize, Position)>,
    pub(crate) pstates: Vec<(usize, Folded)>,
    pub(crate) bytes: u64,
}

impl FoldJob {
    /// Freezes what topologies have changed since their last fold. Those of one group that are live
    /// have to be in one job.
    pub(crate) fn freeze(core: &mut Core, topologies: &[usize]) -> Self {
        let mut job = Self::default();
        topologies.iter().for_each(|&topology| job.add(core, topology));
        job
    }

    /// Freezes the changes of one topology more, which may have a machine of its own.
    pub(crate) fn add(&mut self, core: &mut Core, topology: usize) {
        let frozen = core.freeze(topology);
        let (lane, plan) = (&core.lanes[topology], &core.plan);
        let name = plan.topologies[topology].name;
        self.topologies.push(FrozenTopology {
            topology,
            name,
            live: lane.live,
            next: lane.next,
            quarantine: lane.quarantine.values().cloned().collect(),
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
    /// [`FoldFault`]: the snapshot is as it was; give the job's PStates to [`thaw`].
    pub(crate) fn run(&self, context: &FoldContext) -> Result<FoldDone, FoldFault> {
        let mut done = Vec::new();
        if let Err(fault) = self.write_runs(context, &mut done) {
            // No manifest ever named them, and a full disk needs their room.
            let unused: Vec<String> = done.into_iter().map(|(_, name, _)| name).collect();
            remove_files(context, &unused);
            return Err(fault);
        }
        let bytes =
            done.iter().filter_map(|(.., folded)| folded.run.as_ref()).map(Run::bytes).sum();
        let void = self.enter(context, &done)?;
        // Before a start has settled, the folder may go back to them; then they are removed.
        if context.manifest.lock().is_settled() {
            remove_files(context, &void);
        }
        let pstates = done.into_iter().map(|(pstate, _, folded)| (pstate.pstate, folded));
        let next = self.topologies.iter().map(|topology| (topology.topology, topology.next));
        Ok(FoldDone { next: next.collect(), pstates: pstates.collect(), bytes })
    }

    fn write_runs<'a>(
        &'a self,
        context: &FoldContext,
        done: &mut Vec<(&'a FrozenPState, String, Folded)>,
    ) -> Result<(), FoldFault> {
        for pstate in self.pstates.iter().filter(|pstate| !pstate.frozen.is_empty()) {
            let (name, path) = context.manifest.lock().next_run();
            let note = context.manifest.lock().run_note(pstate.name, &name).encode();
            let stamp = Stamp { covers: self.covered(pstate).to_bits(), note };
            let folded = pstate.frozen.write(&context.storage, &path, stamp)?;
            done.push((pstate, name, folded));
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

    /// Enters the fold into the manifest; returns the files that nothing names any more.
    fn enter(
        &self,
        context: &FoldContext,
        done: &[(&FrozenPState, String, Folded)],
    ) -> Result<Vec<String>, FoldFault> {
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
                let fold = done.iter().find(|(pstate, ..)| pstate.pstate == frozen.pstate);
                let Some((_, name, folded)) = fold else { continue };
                if folded.cleared {
                    void.extend(known.runs.drain(..).map(|run| run.file));
                }
                if let Some(run) = &folded.run {
                    known.runs.insert(0, RunMeta::of(name, run));
                }
            }
        })?;
        Ok(void)
    }
}

/// Removes runs that no manifest names any more.
pub(super) fn remove_files(context: &FoldContext, names: &[String]) {
    for name in names {
        // A file that stays is removed at the next start, as every run that no manifest names.
        if let Err(error) = context.storage.remove(&runs_dir(&context.dir).join(name)) {
            tracing::warn!(run = %name, %error, "an old run could not be removed");
        }
    }
}

/// Puts what a fold wrote under the live state; returns the changes that it wrote.
pub(crate) fn install(core: &mut Core, done: FoldDone) -> Vec<Spent> {
    let put = |(pstate, folded): (usize, Folded)| {
        core.cell_mut(pstate).unfreeze(folded.run, folded.cleared)
    };
    done.pstates.into_iter().filter_map(put).collect()
}

/// Lets the changes of a failed fold live on.
pub(crate) fn thaw(core: &mut Core, topologies: &[usize]) {
    for &topology in topologies {
        for pstate in core.plan.topologies[topology].owned.clone() {
            core.cell_mut(pstate).thaw();
        }
    }
}

/// Folds topologies together while their owner waits.
pub(crate) fn fold_now(
    core: &mut Core,
    topologies: &[usize],
    context: &FoldContext,
) -> Result<u64, FoldFault> {
    let job = FoldJob::freeze(core, topologies);
    match job.run(context) {
        Ok(done) => {
            let bytes = done.bytes;
            install(core, done);
            Ok(bytes)
        }
        Err(fault) => {
            thaw(core, topologies);
            Err(fault)
        }
    }
}
