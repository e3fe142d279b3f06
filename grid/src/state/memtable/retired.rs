//! Versions that were overwritten, until nobody can see them any more.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::MemtableView;
use super::blocks::Spot;

/// A version that the batch of block `n` overwrote is seen by cuts before `n` only. Once they are gone
/// it can go, soon after it was written and in the thread that made it, which is when memory is
/// cheapest to give back.
#[derive(Debug)]
pub(super) struct Retired<V> {
    /// By the first block that does not need them; with about how many bytes they take.
    versions: VecDeque<(u32, Vec<Spot>, usize)>,
    bytes: usize,
    /// The cuts that may be alive, by the last block of versions that they see.
    cuts: VecDeque<(u32, Weak<MemtableView<V>>)>,
}

impl<V> Retired<V> {
    pub(super) fn new() -> Self {
        Self { versions: VecDeque::new(), bytes: 0, cuts: VecDeque::new() }
    }

    /// The batch of block `last`, which `cut` sees, overwrote `versions`.
    pub(super) fn add(
        &mut self,
        last: u32,
        versions: Vec<Spot>,
        bytes: usize,
        cut: &Arc<MemtableView<V>>,
    ) {
        self.versions.push_back((last, versions, bytes));
        self.bytes += bytes;
        // One that sees no version holds none up: the views of a topology that reads the past are of
        // before its first batch as long as it reads.
        if last > 0 {
            self.cuts.push_back((last, Arc::downgrade(cut)));
        }
    }

    /// The next versions that no cut can see.
    pub(super) fn next_unseen(&mut self) -> Option<Vec<Spot>> {
        while self.cuts.front().is_some_and(|(_, cut)| cut.strong_count() == 0) {
            self.cuts.pop_front();
        }
        let oldest = self.cuts.front().map_or(u32::MAX, |(last, _)| *last);
        let (first, ..) = self.versions.front()?;
        if *first > oldest {
            return None;
        }
        let (_, versions, bytes) = self.versions.pop_front()?;
        self.bytes -= bytes;
        Some(versions)
    }

    /// About how many bytes those take that somebody may see.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
