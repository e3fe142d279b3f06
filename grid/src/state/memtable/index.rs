//! From the hash of a key to its entry, for one writer and many readers.

use std::sync::atomic::Ordering;

use super::super::prefetch::prefetch;
use super::blocks::{SPOT_BITS, Spot};
use crate::sync::AtomicU64;

/// Fewer cells than this are not worth a table's growing pains.
const CELLS_MIN: usize = 64;

/// How many bits of a hash a cell has.
const TAG_BITS: u32 = u64::BITS - SPOT_BITS;

/// An open-addressing table, at most two thirds full. A cell has the top bits of a hash, its tag,
/// above a [`Spot`]; 0 is free. A key's search begins where its tag says, so that growing reads
/// nothing but the table, from one end to the other.
///
/// Readers look while the writer stores: a cell that was taken stays as it is, and what it leads to
/// is there before the cell says so.
#[derive(Debug)]
pub(super) struct Index {
    cells: Box<[AtomicU64]>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self::with_cells(CELLS_MIN)
    }

    fn with_cells(count: usize) -> Self {
        Self { cells: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The entry of each key whose hash has the same tag.
    pub(super) fn with_hash(&self, hash: u64) -> impl Iterator<Item = Spot> {
        let tag = tag(hash);
        let cells = self.cells_from(tag).map(|cell| cell.load(Ordering::Acquire));
        let taken = cells.take_while(|cell| *cell != 0);
        taken.filter(move |cell| tag_of(*cell) == tag).filter_map(spot_of)
    }

    /// Brings the cell where a hash is looked for into the processor's cache.
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&raw const self.cells[self.home(tag(hash))]);
    }

    /// Leads from the key with this hash, which is not there yet, to `spot`.
    pub(super) fn insert(&self, hash: u64, spot: Spot) {
        self.place(cell(tag(hash), spot));
    }

    fn place(&self, cell: u64) {
        let free = |place: &&AtomicU64| place.load(Ordering::Relaxed) == 0;
        // There is one: the table is never full.
        if let Some(place) = self.cells_from(tag_of(cell)).find(free) {
            place.store(cell, Ordering::Release);
        }
    }

    /// The same in a larger table, if `count` keys are too many for this one.
    pub(super) fn grown(&self, count: usize) -> Option<Self> {
        let mut cells = self.cells.len();
        while count * 3 > cells * 2 {
            cells *= 2;
        }
        if cells == self.cells.len() {
            return None;
        }
        let larger = Self::with_cells(cells);
        let cells = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed));
        cells.filter(|cell| *cell != 0).for_each(|cell| larger.place(cell));
        Some(larger)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.cells)
    }

    /// All cells once, from the home of a tag on.
    fn cells_from(&self, tag: u64) -> impl Iterator<Item = &AtomicU64> {
        let (before, from) = self.cells.split_at(self.home(tag));
        from.iter().chain(before)
    }

    fn home(&self, tag: u64) -> usize {
        let bits = self.cells.len().trailing_zeros();
        let home =
            if bits < TAG_BITS { tag >> (TAG_BITS - bits) } else { tag << (bits - TAG_BITS) };
        home as usize
    }
}

fn tag(hash: u64) -> u64 {
    hash >> SPOT_BITS
}

fn cell(tag: u64, spot: Spot) -> u64 {
    tag << SPOT_BITS | spot.bits()
}

fn tag_of(cell: u64) -> u64 {
    cell >> SPOT_BITS
}

fn spot_of(cell: u64) -> Option<Spot> {
    Spot::from_bits(cell << TAG_BITS >> TAG_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_to_every_entry() {
        // Hashes that all begin at one cell, or are the same, differ by what they lead to.
        for stride in [0, 1, 1 << 40, 0x9e37_79b9_7f4a_7c15] {
            let hash = |number: u32| u64::from(number).wrapping_mul(stride);
            let mut index = Index::new();
            for number in 1..1000 {
                if let Some(larger) = index.grown(number as usize) {
                    index = larger;
                }
                index.insert(hash(number), Spot::new(number, 7).unwrap());
            }
            for number in 1..1000 {
                let mut found = index.with_hash(hash(number));
                assert!(found.any(|found| Some(found) == Spot::new(number, 7)));
            }
            assert_eq!(index.with_hash(u64::MAX).count(), 0);
        }
    }
}
