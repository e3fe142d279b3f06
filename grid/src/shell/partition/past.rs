//! What is known of the topologies of a partition that read the past.

use std::sync::Arc;

use dashmap::DashMap;

use crate::state::AnyView;

/// How far a topology has read the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records of the log that are read.
    pub done: u64,
    /// Records of the log when it was last looked at.
    pub total: u64,
}

/// The topologies that read the past, seen from outside of their threads.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// By topology.
    progress: DashMap<usize, Progress>,
    /// By topology: why one has stopped.
    problems: DashMap<usize, String>,
    /// By PState.
    roots: DashMap<usize, AnyView>,
}

impl Past {
    /// Shows what a topology has so far: the roots of its PStates, by their numbers.
    pub(crate) fn show(
        &self,
        topology: usize,
        progress: Progress,
        roots: impl Iterator<Item = (usize, AnyView)>,
    ) {
        roots.for_each(|(pstate, root)| drop(self.roots.insert(pstate, root)));
        // Last, so that what it says is done can be read.
        self.progress.insert(topology, progress);
    }

    /// A topology that owns these PStates takes part in the live flow now.
    pub(crate) fn joined(&self, topology: usize, owned: &[usize]) {
        owned.iter().for_each(|pstate| drop(self.roots.remove(pstate)));
        self.progress.remove(&topology);
    }

    /// A topology reads no further.
    pub(crate) fn stopped(&self, topology: usize, problem: String) {
        self.problems.insert(topology, problem);
    }

    pub(crate) fn progress_of(&self, topology: usize) -> Option<Progress> {
        self.progress.get(&topology).map(|progress| *progress)
    }

    /// Why a topology reads no further.
    pub(crate) fn problem_of(&self, topology: usize) -> Option<String> {
        self.problems.get(&topology).map(|problem| problem.clone())
    }

    /// The root of a PState, as far as its topology has come.
    pub(crate) fn root_of(&self, pstate: usize) -> Option<AnyView> {
        self.roots.get(&pstate).map(|root| Arc::clone(root.value()))
    }
}
