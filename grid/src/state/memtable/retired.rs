//! Versions that were overwritten, until nobody can see them any more.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use gridmill_model::State;

use super::super::cache::WARM_MAX;
use super::Cut;
use super::blocks::{Blocks, Spot};
use super::entry::Version;

/// A version that the batch of block `n` overwrote is seen by cuts before `n` only. Once they are gone
/// its value can go, soon after it was written and in the thread that made it, which is when memory
/// is cheapest to give back.
#[derive(Debug)]
pub(super) struct Retired<V> {
    /// By the first block that does not need them.
    versions: VecDeque<(u32, Vec<Spot>)>,
    /// The cuts that may be alive, by the last block of versions that they see.
    cuts: VecDeque<(u32, Weak<Cut<V>>)>,
}

/// Drops the values of some versions; returns about how many bytes that gave back. Waits for memory
/// many times at once, and not once for each.
fn drop_values<V: State>(spots: &[Spot], all: &Blocks<Version<V>>) -> usize {
    let priors = spots.iter().filter(|spot| all.get(**spot).prior().is_some());
    std::hint::black_box(priors.count());
    let values: Vec<V> = spots.iter().filter_map(|spot| all.get(*spot).take()).collect();
    values.iter().map(State::weight).sum()
}

impl<V: State> Retired<V> {
    pub(super) fn new() -> Self {
        Self { versions: VecDeque::new(), cuts: VecDeque::new() }
    }

    /// Whether there is anything to gain from dropping values early.
    pub(super) const fn is_worth_it() -> bool {
        std::mem::needs_drop::<V>()
    }

    /// Batch `last` overwrote `versions` and is seen by `cut`.
    pub(super) fn add(&mut self, last: u32, versions: Vec<Spot>, cut: &Arc<Cut<V>>) {
        if Self::is_worth_it() {
            self.versions.push_back((last, versions));
            self.cuts.push_back((last, Arc::downgrade(cut)));
        }
    }

    /// Drops what no cut can see; returns about how many bytes that gave back.
    pub(super) fn drop_unseen(&mut self, all: &Blocks<Version<V>>) -> usize {
        while self.cuts.front().is_some_and(|(_, cut)| cut.strong_count() == 0) {
            self.cuts.pop_front();
        }
        let oldest = self.cuts.front().map_or(u32::MAX, |(last, _)| *last);
        let mut bytes = 0;
        while self.versions.front().is_some_and(|(first, _)| *first <= oldest)
            && let Some((_, versions)) = self.versions.pop_front()
        {
            bytes += versions.chunks(WARM_MAX).map(|some| drop_values(some, all)).sum::<usize>();
        }
        bytes
    }
}
