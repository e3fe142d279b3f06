//! Merges: how several runs of a PState become one, while flushes add others.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gridmill_persistence::Run;

use crate::state::{Pile, Tier, merge_runs};

use super::core::Core;
use super::flush::{FlushContext, FlushFault, remove_files};
use super::manifest::RunMeta;

/// Neighbouring runs of one PState, to become one.
pub(crate) struct MergeJob {
    pub(crate) pstate: usize,
    topology: &'static str,
    name: &'static str,
    pub(crate) runs: Vec<Run>,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Whether the oldest run is among them, so that deletions vanish.
    oldest: bool,
    /// All runs of the PState, where they are all merged.
    pile: Option<Pile>,
}

/// What a merge wrote.
#[derive(Debug)]
pub(crate) struct MergeDone {
    /// `None` where a flush made the merged runs void meanwhile.
    pub(crate) run: Option<Run>,
    /// See [`Pile::bias`]; where all runs of the PState were merged.
    pub(crate) bias: Option<f64>,
}

/// By PState: by how much counting its entries mistakes what lives of its runs. Where large values stay
/// and small ones change, it is much more than it seems, and merging all at every flush would be in vain.
#[derive(Debug, Default)]
pub(crate) struct Biases(HashMap<usize, f64>);

impl Biases {
    pub(crate) fn pile(&self, core: &Core, pstate: usize) -> Pile {
        let (cell, bias) = (core.cell(pstate), self.0.get(&pstate).copied().unwrap_or(1.0));
        Pile::new(cell.runs(), cell.len(), bias)
    }

    pub(crate) fn learn(&mut self, pstate: usize, done: &MergeDone) {
        if let Some(bias) = done.bias {
            self.0.insert(pstate, bias);
        }
    }

    /// A flush came: what a merge has shown holds a little less from now on.
    pub(crate) fn fade(&mut self, pstate: usize) {
        if let Some(bias) = self.0.get_mut(&pstate) {
            *bias = (*bias * 0.9).max(1.0);
        }
    }
}

impl MergeJob {
    /// The next merge that a PState needs, if any. `merging` are its runs of which a merge is under way.
    pub(crate) fn pick(
        core: &Core,
        pstate: usize,
        biases: &Biases,
        merging: &[&Run],
    ) -> Option<Self> {
        let runs = core.cell(pstate).runs();
        let busy = |run: &Run| merging.iter().any(|busy| busy.file() == run.file());
        let free = runs.iter().position(busy).unwrap_or(runs.len());
        let pile = biases.pile(core, pstate);
        let tier = pile.pick(free)?;
        let Tier { first, count } = tier;
        let topology = core.plan.pstates[pstate].topology;
        Some(Self {
            pstate,
            topology: core.plan.topologies[topology].name,
            name: core.plan.pstates[pstate].name,
            runs: runs[first..first + count].to_vec(),
            bytes: pile.bytes(tier),
            oldest: first + count == runs.len(),
            pile: (count == runs.len()).then_some(pile),
        })
    }

    /// Merges on any thread, while the state goes on, until `cancel` says otherwise.
    ///
    /// # Errors
    /// [`FlushFault`]: the runs stay as they are.
    pub(crate) fn run(
        &self,
        context: &FlushContext,
        cancel: &AtomicBool,
    ) -> Result<MergeDone, FlushFault> {
        let (name, path) = context.manifest.lock().next_run();
        let note = context.manifest.lock().run_note(self.name, &name).encode();
        let run = merge_runs(&context.storage, path, &self.runs, self.oldest, cancel, note)?;
        let merged = run.as_ref().map(|run| RunMeta::of(&name, run));
        let entered = self.enter(context, merged);
        let unused = match &entered {
            Ok(Some(void)) => void.clone(),
            Ok(None) | Err(_) => vec![name],
        };
        remove_files(context, &unused);
        let run = entered?.and(run);
        let bias = self.pile.as_ref().zip(run.as_ref()).map(|(pile, run)| pile.bias(run.bytes()));
        Ok(MergeDone { run, bias })
    }

    /// Enters the run `merged` into the manifest, in the places of those that it was made of; returns
    /// the files that nothing names any more. `None` where these are void already.
    fn enter(
        &self,
        context: &FlushContext,
        merged: Option<RunMeta>,
    ) -> Result<Option<Vec<String>>, FlushFault> {
        let inputs: Vec<&str> = self.runs.iter().filter_map(|run| file_name(run.file())).collect();
        let mut void = None;
        context.manifest.lock().update(|manifest| {
            let pstates = manifest.topology_mut(self.topology).map(|meta| &mut meta.pstates);
            let known = pstates.into_iter().flatten().find(|known| known.name == self.name);
            let Some(known) = known else { return };
            // A flush may have put others before them, or have made all void.
            let are_inputs = |window: &[RunMeta]| {
                window.iter().map(|run| run.file.as_str()).eq(inputs.iter().copied())
            };
            let first = known.runs.windows(inputs.len()).position(are_inputs);
            let Some(first) = first else { return };
            let gone = known.runs.splice(first..first + inputs.len(), merged);
            void = Some(gone.map(|run| run.file).collect());
        })?;
        Ok(void)
    }
}

/// The name by which a manifest knows a run.
fn file_name(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()
}

/// Merges what the PStates of a topology need while their owner waits.
pub(crate) fn merge_now(
    core: &mut Core,
    topology: usize,
    biases: &mut Biases,
    context: &FlushContext,
    cancel: &AtomicBool,
) -> Result<(), FlushFault> {
    for pstate in core.plan.topologies[topology].owned.clone() {
        biases.fade(pstate);
        while let Some(job) = MergeJob::pick(core, pstate, biases, &[]) {
            let done = job.run(context, cancel)?;
            biases.learn(pstate, &done);
            core.cell_mut(pstate).replace_runs(&job.runs, done.run);
        }
    }
    Ok(())
}
