//! How far the topologies of a partition are, each for itself.

use std::collections::{BTreeMap, HashSet};

use gridmill_persistence::Position;

use crate::machine::control::Verdict;

use super::Core;

/// How far one topology is on this partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consumer {
    /// Whether it takes part in the live flow; a topology that catches up does not.
    pub(crate) live: bool,
    /// Its state has every record before this position.
    pub(crate) next: Position,
    /// For each of its sources, the depot offset at which it started.
    pub(crate) starts: Vec<u64>,
    /// Records that it does not handle.
    pub(crate) quarantine: BTreeMap<Position, Verdict>,
    /// Positions of a replay that have a verdict further on in the log.
    pub(crate) skip: HashSet<Position>,
}

impl Core {
    /// About how many bytes of memory the unflushed changes of a topology take.
    pub(crate) fn weight(&self, topology: usize) -> usize {
        let owned = &self.plan.topologies[topology].owned;
        owned.iter().map(|&cell| self.cells.0[cell].0.weight()).sum()
    }

    /// About how many bytes of memory all unflushed changes take.
    pub(super) fn weight_of_all(&self) -> usize {
        self.cells.0.iter().map(|cell| cell.0.weight()).sum()
    }

    /// The topologies of a group that take part in the live flow.
    pub(crate) fn live_of(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let members = self.plan.groups[group].iter().copied();
        members.filter(move |&topology| self.consumers[topology].live)
    }

    /// About how many bytes of memory the unflushed changes of a group's live topologies take.
    pub(crate) fn weight_of(&self, group: usize) -> usize {
        self.live_of(group).map(|topology| self.weight(topology)).sum()
    }
}
