//! Folds and merges: how a topology's changes become runs and its snapshot moves on.

use std::path::PathBuf;
use std::sync::Arc;

use gridmill_persistence::{LogError, LogSyncer, Position, Run, Storage};
use parking_lot::Mutex;

use crate::identity::Root;
use crate::state::{FoldError, Folded, Frozen, Spent, Stamp, merge_runs, pick_tier};

use super::batch::Verdict;
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

/// A topology's changes up to one position, set aside to be written.
pub(crate) struct FoldJob {
    name: String,
    live: bool,
    next: Position,
    quarantine: Vec<Verdict>,
    pstates: Vec<FrozenPState>,
}

struct FrozenPState {
    pstate: usize,
    name: String,
    len: u64,
    frozen: Box<dyn Frozen>,
}

/// What a fold wrote.
#[derive(Debug)]
pub(crate) struct FoldDone {
    pub(crate) next: Position,
    pub(crate) pstates: Vec<(usize, Folded)>,
    pub(crate) bytes: u64,
}

impl FoldJob {
    /// Freezes what a topology has changed since its last fold.
    pub(crate) fn freeze(core: &mut Core, topology: usize) -> Self {
        let frozen = core.freeze(topology);
        let (lane, plan) = (&core.lanes[topology], Arc::clone(&core.plan));
        let (live, next) = (lane.live, lane.next);
        let quarantine = lane.quarantine.values().cloned().collect();
        let pstates = frozen.into_iter().map(|(pstate, frozen)| FrozenPState {
            pstate,
            name: plan.pstates[pstate].name.to_owned(),
            len: core.cell(pstate).len(),
            frozen,
        });
        let name = plan.topologies[topology].name.to_owned();
        Self { name, live, next, quarantine, pstates: pstates.collect() }
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
        remove_files(context, &void);
        let pstates = done.into_iter().map(|(pstate, _, folded)| (pstate.pstate, folded));
        Ok(FoldDone { next: self.next, pstates: pstates.collect(), bytes })
    }

    fn write_runs<'a>(
        &'a self,
        context: &FoldContext,
        done: &mut Vec<(&'a FrozenPState, String, Folded)>,
    ) -> Result<(), FoldFault> {
        for pstate in self.pstates.iter().filter(|pstate| !pstate.frozen.is_empty()) {
            let (name, path) = context.manifest.lock().next_run();
            let note = context.manifest.lock().run_note(&pstate.name, &name);
            let stamp = Stamp { covers: self.next.to_bits(), note: note.encode() };
            let folded = pstate.frozen.write(&context.storage, &path, stamp)?;
            done.push((pstate, name, folded));
        }
        // A snapshot must not know more than the log: sync before the manifest says so.
        let durable = context.syncer.sync()?;
        context.manifest.lock().durable_to(durable);
        Ok(())
    }

    /// Enters the fold into the manifest; returns the files that nothing names any more.
    fn enter(
        &self,
        context: &FoldContext,
        done: &[(&FrozenPState, String, Folded)],
    ) -> Result<Vec<String>, FoldFault> {
        let mut void = Vec::new();
        context.manifest.lock().update(|manifest| {
            let Some(meta) = manifest.topology_mut(&self.name) else { return };
            meta.next = self.next;
            meta.live = self.live;
            meta.quarantine.clone_from(&self.quarantine);
            for frozen in &self.pstates {
                let known = meta.pstates.iter_mut().find(|known| known.name == frozen.name);
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

fn remove_files(context: &FoldContext, names: &[String]) {
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
pub(crate) fn thaw(core: &mut Core, topology: usize) {
    for pstate in core.plan.topologies[topology].owned.clone() {
        core.cell_mut(pstate).thaw();
    }
}

/// Folds a topology while its owner waits.
pub(crate) fn fold_now(
    core: &mut Core,
    topology: usize,
    context: &FoldContext,
) -> Result<u64, FoldFault> {
    let job = FoldJob::freeze(core, topology);
    match job.run(context) {
        Ok(done) => {
            let bytes = done.bytes;
            install(core, done);
            Ok(bytes)
        }
        Err(fault) => {
            thaw(core, topology);
            Err(fault)
        }
    }
}

/// Runs of one PState that are worth merging.
pub(crate) struct MergeJob {
    pstate: usize,
    topology: String,
    name: String,
    first: usize,
    oldest: bool,
    runs: Vec<Run>,
}

/// What a merge wrote.
#[derive(Debug)]
pub(crate) struct MergeDone {
    pub(crate) pstate: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) run: Option<Run>,
}

impl MergeJob {
    /// The next merge that a topology's PStates need, if any.
    pub(crate) fn pick(core: &Core, topology: usize) -> Option<Self> {
        let plan = &core.plan.topologies[topology];
        plan.owned.iter().find_map(|&pstate| {
            let runs = core.cell(pstate).runs();
            let sizes: Vec<u64> = runs.iter().map(Run::bytes).collect();
            let tier = pick_tier(&sizes)?;
            let last = tier.first + tier.count;
            Some(Self {
                pstate,
                topology: plan.name.to_owned(),
                name: core.plan.pstates[pstate].name.to_owned(),
                first: tier.first,
                oldest: last == runs.len(),
                runs: runs[tier.first..last].to_vec(),
            })
        })
    }

    /// Merges on any thread, while the state goes on. No fold of the partition may run meanwhile: it
    /// would move the runs.
    ///
    /// # Errors
    /// [`FoldFault`]: the runs stay as they are.
    pub(crate) fn run(&self, context: &FoldContext) -> Result<MergeDone, FoldFault> {
        let (name, path) = context.manifest.lock().next_run();
        let note = context.manifest.lock().run_note(&self.name, &name).encode();
        let run = merge_runs(&context.storage, path, &self.runs, self.oldest, note)?;
        let mut void = Vec::new();
        context.manifest.lock().update(|manifest| {
            let meta = manifest.topology_mut(&self.topology);
            let pstates = meta.into_iter().flat_map(|meta| &mut meta.pstates);
            for known in pstates.filter(|known| known.name == self.name) {
                let merged = run.as_ref().map(|run| RunMeta::of(&name, run));
                let gone = known.runs.splice(self.first..self.first + self.runs.len(), merged);
                void.extend(gone.map(|run| run.file));
            }
        })?;
        remove_files(context, &void);
        Ok(MergeDone { pstate: self.pstate, first: self.first, count: self.runs.len(), run })
    }
}
