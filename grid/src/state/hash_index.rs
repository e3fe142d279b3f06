//! From the hash of a key to a number, for the writer's cache.

use super::prefetch::{AHEAD, prefetch};

/// Fewer cells than this are not worth a table's growing pains.
const CELLS_MIN: usize = 64;

/// An open-addressing table, at most half full. A cell has the upper half of a hash above a number
/// plus one, so that growing reads nothing but the table, and looking for a key that is not there
/// hardly ever reads anything else.
#[derive(Debug)]
pub(super) struct HashIndex {
    cells: Vec<u64>,
    count: usize,
}

impl HashIndex {
    pub(super) fn new() -> Self {
        Self { cells: vec![0; CELLS_MIN], count: 0 }
    }

    /// Of hashes whose numbers are 0, 1, 2 and so on.
    pub(super) fn of(hashes: impl Iterator<Item = u64>) -> Self {
        let hashes: Vec<u64> = hashes.collect();
        let cells = (2 * hashes.len() + 1).next_power_of_two().max(CELLS_MIN);
        let mut index = Self { cells: vec![0; cells], count: 0 };
        for (number, hash) in hashes.iter().enumerate() {
            hashes.get(number + AHEAD).into_iter().for_each(|later| index.prefetch(*later));
            index.insert(*hash, number as u32);
        }
        index
    }

    /// The number with this hash that `is_it` knows.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (mask, tag) = (self.cells.len() - 1, tag(hash));
        let mut at = tag as usize & mask;
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                return None;
            }
            if tag == tag_of(cell) && is_it(number_of(cell)) {
                return Some(number_of(cell));
            }
            at = (at + 1) & mask;
        }
    }

    /// Brings the cell where a hash is looked for into the processor's cache.
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.cells[tag(hash) as usize & (self.cells.len() - 1)]);
    }

    /// A number that probably has this hash.
    pub(super) fn glance(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Adds a number that is not there.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if self.count * 2 >= self.cells.len() {
            self.grow();
        }
        self.count += 1;
        place(&mut self.cells, u64::from(tag(hash)) << 32 | (u64::from(number) + 1));
    }

    fn grow(&mut self) {
        let mut cells = vec![0; self.cells.len() * 2];
        for &cell in self.cells.iter().filter(|cell| **cell != 0) {
            place(&mut cells, cell);
        }
        self.cells = cells;
    }

    /// Whether the table is so large that looking into it waits for memory.
    pub(super) fn is_far(&self) -> bool {
        self.cells.len() * size_of::<u64>() > 256 << 10
    }
}

/// Puts a cell at the first free place from its home on.
fn place(cells: &mut [u64], cell: u64) {
    let mask = cells.len() - 1;
    let mut at = tag_of(cell) as usize & mask;
    while cells[at] != 0 {
        at = (at + 1) & mask;
    }
    cells[at] = cell;
}

/// The upper half of a hash. The lowest bits choose the partition, so that all keys of one have
/// some of them in common.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn tag_of(cell: u64) -> u32 {
    tag(cell)
}

fn number_of(cell: u64) -> u32 {
    (cell as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_number_and_nothing_else() {
        // Hashes that all begin at one cell, and are the same, differ by what the owner says.
        for stride in [1 << 32, 0, 0x9e37_79b9_7f4a_7c15] {
            let hash = |number: u32| u64::from(number).wrapping_mul(stride);
            let mut index = HashIndex::new();
            for number in 0..1000 {
                assert_eq!(index.find(hash(number), |found| found == number), None);
                index.insert(hash(number), number);
            }
            for number in 0..1000 {
                assert_eq!(index.find(hash(number), |found| found == number), Some(number));
                assert_eq!(index.find(hash(number), |_| false), None);
            }
        }
    }
}
