//! The order of a memtable's keys, made when somebody asks for it.
//!
//! It is a few sorted lists of entries that share none. A batch that adds keys adds a list, and lists
//! of similar length become one: a reader of ranges pays for each key O(log n) times, however often
//! batches come, and nothing for new versions of keys that are there.

use std::sync::Arc;

use gridmill_model::State;

use super::MemtableView;
use super::blocks::{Blocks, Spot};
use super::entry::Entry;
use super::sort::sorted;

/// Sorted lists of the entries of the first blocks, the newest ones first.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    blocks: u32,
    lists: Vec<Arc<[Spot]>>,
}

/// Lists are merged while the older one is less than this many times longer.
const MERGE_RATIO: usize = 3;

impl<V: State> MemtableView<V> {
    /// All entries that it sees, and maybe some that it does not, in a few sorted lists without common
    /// keys.
    pub(crate) fn sorted(&self) -> &[Arc<[Spot]>] {
        let order = self.order.get_or_init(|| {
            let mut latest = self.table.order.lock();
            latest.extend(&self.table.entries, self.entries);
            latest.clone()
        });
        &order.lists
    }

    /// The same in one list that is not kept.
    pub(crate) fn sorted_at_once(&self) -> Vec<Spot> {
        sort(&self.table.entries, 1..=self.entries)
    }
}

impl Order {
    /// Takes in the entries up to a block.
    fn extend(&mut self, entries: &Blocks<Entry>, last: u32) {
        if last <= self.blocks {
            return;
        }
        let mut top = sort(entries, self.blocks + 1..=last);
        while let Some(next) = self.lists.first()
            && next.len() < MERGE_RATIO * top.len()
        {
            top = merge(entries, &top, next);
            self.lists.remove(0);
        }
        self.lists.insert(0, top.into());
        self.blocks = last;
    }
}

fn sort(entries: &Blocks<Entry>, blocks: impl Iterator<Item = u32>) -> Vec<Spot> {
    let keyed = entries.iter(blocks).map(|(spot, entry)| (spot, entry.key()));
    let (spots, keys): (Vec<Spot>, Vec<&[u8]>) = keyed.unzip();
    sorted(&keys).iter().map(|number| spots[*number as usize]).collect()
}

fn merge(entries: &Blocks<Entry>, one: &[Spot], other: &[Spot]) -> Vec<Spot> {
    let key = |spot: &Spot| entries.get(*spot).key();
    let mut merged = Vec::with_capacity(one.len() + other.len());
    let (mut ones, mut others) = (one, other);
    while let ([first, rest @ ..], [second, rests @ ..]) = (ones, others) {
        if key(first) < key(second) {
            merged.push(*first);
            ones = rest;
        } else {
            merged.push(*second);
            others = rests;
        }
    }
    merged.extend_from_slice(ones);
    merged.extend_from_slice(others);
    merged
}
