//! An immutable set of changes: what one batch, or several merged ones, did to a root.
//!
//! Entries stay where their batch put them, in a block that nobody changes. A delta is an index over
//! blocks, in the order of the keys' hashes: merging two deltas merges two indexes and touches no
//! entry. Who reads in key order pays for that order once a delta.

use std::sync::{Arc, OnceLock};

use gridmill_model::{KeyBytes, State};

use super::order;
use super::spots::{Spot, Spots};

/// A key, and its value; `None` says that the key was removed.
pub(crate) type Entry<V> = (KeyBytes, Option<V>);

/// Entries of one batch.
#[derive(Debug)]
struct Block<V> {
    entries: Vec<Entry<V>>,
    /// About how many bytes of memory they take.
    weight: usize,
}

/// Blocks with fewer entries than this, on average, are copied into one.
const BLOCK_ENTRIES_MIN: usize = 16;

/// Changes by key. A clone copies the index and shares the entries.
#[derive(Debug)]
pub(crate) struct Delta<V> {
    spots: Spots,
    blocks: Vec<Arc<Block<V>>>,
    /// Whether everything older is gone: the root was cleared before these entries were written.
    clears: bool,
    /// About how many bytes of memory its own entries and the index take. What blocks keep beside
    /// those counts nothing: it is never more than they.
    weight: usize,
    /// The numbers of the spots in key order, once somebody asked for it.
    order: OnceLock<Box<[u32]>>,
}

impl<V> Clone for Delta<V> {
    fn clone(&self) -> Self {
        let Self { spots, blocks, clears, weight, order } = self;
        let (spots, blocks, order) = (spots.clone(), blocks.clone(), order.clone());
        Self { spots, blocks, clears: *clears, weight: *weight, order }
    }
}

impl<V: State> Delta<V> {
    /// A delta of `entries`, free of duplicates, and the [`hash_key`]s of their keys.
    ///
    /// [`hash_key`]: gridmill_persistence::run::hash_key
    pub(crate) fn new(entries: Vec<Entry<V>>, hashes: &[u64], clears: bool) -> Self {
        let weight = entries.iter().map(entry_weight).sum();
        let block = Arc::new(Block { entries, weight });
        Self::of_blocks(Spots::of_block(hashes), vec![block], clears)
    }

    fn of_blocks(spots: Spots, blocks: Vec<Arc<Block<V>>>, clears: bool) -> Self {
        let held = held(&blocks).max(1) as u128;
        let weights: usize = blocks.iter().map(|block| block.weight).sum();
        let own = weights as u128 * spots.len() as u128 / held;
        let weight = own as usize + spots.bytes();
        Self { spots, blocks, clears, weight, order: OnceLock::new() }
    }

    /// What the delta says of `key`, whose `hash_key` is `hash`.
    pub(crate) fn get(&self, key: &[u8], hash: u64) -> Option<&Option<V>> {
        let mut entries = self.spots.with_hash(hash).map(|spot| self.entry(spot));
        entries.find(|entry| entry.0.as_slice() == key).map(|entry| &entry.1)
    }

    /// How many keys it speaks of.
    pub(crate) fn len(&self) -> usize {
        self.spots.len()
    }

    pub(crate) fn clears(&self) -> bool {
        self.clears
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// All entries in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<V>> {
        self.order().iter().map(|number| self.numbered(*number))
    }

    /// The numbers of the entries in the order of their keys; see [`Delta::numbered`].
    pub(crate) fn order(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let keys = self.spots.iter().map(|spot| self.entry(spot).0.as_slice());
            order::sorted(&keys.collect::<Vec<_>>())
        })
    }

    /// An entry by its number.
    pub(crate) fn numbered(&self, number: u32) -> &Entry<V> {
        self.entry(self.spots.get(number))
    }

    fn entry(&self, spot: &Spot) -> &Entry<V> {
        &self.blocks[spot.block as usize].entries[spot.entry as usize]
    }

    /// Both deltas as one; where both have a key, `newer` wins.
    pub(crate) fn merge(newer: &Self, older: &Self) -> Self {
        if newer.clears {
            return newer.clone();
        }
        let same = |new: &Spot, old: &Spot| newer.entry(new).0 == older.entry(old).0;
        let spots = Spots::merge(&newer.spots, &older.spots, newer.blocks.len() as u32, same);
        let blocks = newer.blocks.iter().chain(&older.blocks).cloned().collect();
        let merged = Self::of_blocks(spots, blocks, older.clears);
        if merged.is_sparse() { merged.compact() } else { merged }
    }

    /// Whether half of what the blocks hold is out of date, or there are many small ones.
    fn is_sparse(&self) -> bool {
        let held = held(&self.blocks);
        held > 2 * self.len() || self.blocks.len() * BLOCK_ENTRIES_MIN > held
    }

    /// The same changes in one block.
    fn compact(&self) -> Self {
        let copy = |spot| {
            let (key, value) = self.entry(spot);
            (KeyBytes::from_slice(key), value.clone())
        };
        let entries = self.spots.iter().map(copy).collect();
        let hashes: Vec<u64> = self.spots.iter().map(|spot| spot.hash).collect();
        Self::new(entries, &hashes, self.clears)
    }
}

/// How many entries blocks hold, overwritten ones too.
fn held<V>(blocks: &[Arc<Block<V>>]) -> usize {
    blocks.iter().map(|block| block.entries.len()).sum()
}

fn entry_weight<V: State>(entry: &Entry<V>) -> usize {
    let spilled = if entry.0.spilled() { entry.0.len() } else { 0 };
    let value = entry.1.as_ref().map_or(0, State::weight);
    size_of::<Entry<V>>() + spilled + value
}
