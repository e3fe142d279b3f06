//! The other partitions of a module, as one of them sees them.

use std::sync::{Arc, OnceLock, Weak};

use crate::machine::flow::confirmed::Confirmed;

use super::Msg;
use super::shared::Shared;

/// All partitions of a module, this one included.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    // Each of them knows all: only the grid holds them.
    partitions: OnceLock<Vec<Weak<Shared>>>,
    confirmed: OnceLock<Arc<Confirmed>>,
}

impl Peers {
    /// Introduces the partitions of a module to each other, before any of them runs.
    pub(crate) fn introduce(partitions: &[Arc<Shared>], confirmed: &Arc<Confirmed>) {
        for shared in partitions {
            let peers = partitions.iter().map(Arc::downgrade).collect();
            // A module is introduced once.
            let _ = shared.peers.partitions.set(peers);
            let _ = shared.peers.confirmed.set(Arc::clone(confirmed));
        }
    }

    /// The partition with this number, unless the grid is gone.
    pub(crate) fn get(&self, partition: u32) -> Option<Arc<Shared>> {
        self.partitions.get()?.get(partition as usize)?.upgrade()
    }

    /// Those that will not run again.
    pub(crate) fn given_up(&self) -> impl Iterator<Item = Arc<Shared>> {
        let all = self.partitions.get().into_iter().flatten().filter_map(Weak::upgrade);
        all.filter(|peer| peer.life.is_given_up())
    }

    /// Has all of them look whether there is something to do.
    pub(crate) fn wake(&self) {
        let all = self.partitions.get().into_iter().flatten().filter_map(Weak::upgrade);
        all.for_each(|peer| peer.send(Msg::Wake));
    }

    /// What the partitions have told each other of what they have made durable.
    pub(crate) fn confirmed(&self) -> Option<&Arc<Confirmed>> {
        self.confirmed.get()
    }
}
