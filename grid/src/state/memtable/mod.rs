//! The changes of a root since its last fold, which one writer adds to and many readers look into.
//!
//! An entry is never changed: each batch adds a block of new versions, and an index of atomic cells
//! leads from a key to its newest one, from there to the one before. A reader holds a [`Cut`]: the
//! memtable up to a block. It skips what is newer, so that it sees one batch's end however far the
//! writer has gone on, and neither of them ever waits for the other. (Multi-version concurrency
//! control, with the batch as the transaction.)
//!
//! What no cut can see any more is dropped by the writer, see [`retired`].

mod append;
mod blocks;
mod index;
mod order;
mod retired;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use gridmill_model::{KeyBytes, State};
use gridmill_persistence::run::hash_key;
use parking_lot::Mutex;

pub(crate) use append::Appender;
use blocks::Blocks;
pub(crate) use blocks::{Spot, Version};
use index::Index;
use order::Order;
use retired::Retired;

/// All versions that were written since the last fold.
#[derive(Debug)]
pub(crate) struct Memtable<V> {
    blocks: Blocks<V>,
    /// Whether everything older is gone: the root was cleared before these were written.
    clears: bool,
    /// About how many bytes of memory it takes.
    weight: AtomicUsize,
    writer: Mutex<Writer<V>>,
    /// The order of keys at the newest cut that was asked for it.
    order: Mutex<Option<(u32, Order)>>,
}

/// What only the writer uses.
#[derive(Debug)]
struct Writer<V> {
    index: Arc<Index>,
    /// How many keys it has.
    keys: usize,
    /// The number of the last block; there is no block 0.
    last: u32,
    retired: Retired<V>,
}

/// A memtable as of the end of a batch.
#[derive(Debug)]
pub(crate) struct Cut<V> {
    table: Arc<Memtable<V>>,
    index: Arc<Index>,
    /// The last block that it sees.
    last: u32,
    order: OnceLock<Order>,
}

impl<V: State> Memtable<V> {
    /// A cut without entries; `clears` says that older layers do not count any more.
    pub(crate) fn start(clears: bool) -> Arc<Cut<V>> {
        let index = Arc::new(Index::new());
        let writer =
            Writer { index: Arc::clone(&index), keys: 0, last: 0, retired: Retired::new() };
        let table = Arc::new(Self {
            blocks: Blocks::new(),
            clears,
            weight: AtomicUsize::new(0),
            writer: Mutex::new(writer),
            order: Mutex::new(None),
        });
        Arc::new(Cut { table, index, last: 0, order: OnceLock::new() })
    }
}

impl<V: State> Cut<V> {
    /// What it says of `key`, whose `hash_key` is `hash`: nothing, that it was removed, or its value.
    pub(crate) fn get(&self, key: &[u8], hash: u64) -> Option<Option<V>> {
        self.version(key, hash).map(Version::value)
    }

    /// Whether it says that there is a value under `key`; nothing where it does not know the key.
    pub(crate) fn contains(&self, key: &[u8], hash: u64) -> Option<bool> {
        self.version(key, hash).map(Version::is_value)
    }

    fn version(&self, key: &[u8], hash: u64) -> Option<&Version<V>> {
        let seen = self.index.with_hash(hash).filter_map(|newest| self.seen(newest));
        seen.map(|spot| self.at(spot)).find(|version| version.key() == key)
    }

    /// The newest that this cut sees of a version and those before it.
    fn seen(&self, newest: Spot) -> Option<Spot> {
        let mut spot = newest;
        while spot.block() > self.last {
            spot = self.at(spot).prior()?;
        }
        Some(spot)
    }

    /// The version at a spot.
    pub(crate) fn at(&self, spot: Spot) -> &Version<V> {
        self.table.blocks.get(spot)
    }

    /// Brings versions into the processor's cache, waiting for memory many times at once.
    pub(crate) fn warm(&self, spots: &[Spot]) {
        let lens = spots.iter().map(|spot| self.at(*spot).key().len());
        std::hint::black_box(lens.sum::<usize>());
    }

    /// The newest version of each key, in no order.
    fn live(&self) -> impl Iterator<Item = Spot> {
        self.index.iter().filter_map(|newest| self.seen(newest))
    }

    /// Whether everything older is gone.
    pub(crate) fn clears(&self) -> bool {
        self.table.clears
    }

    /// Whether it says nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.last == 0 && !self.clears()
    }

    /// Whether it and `other` are of one memtable.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }

    /// Whether it has no room for another batch of `count` versions.
    pub(crate) fn is_full(&self, count: usize) -> bool {
        count.div_ceil(blocks::ENTRIES_MAX) > (blocks::BLOCKS_MAX - self.last) as usize
    }

    /// About how many bytes of memory the memtable takes.
    pub(crate) fn weight(&self) -> usize {
        if self.last == 0 {
            return 0;
        }
        self.table.weight.load(Ordering::Relaxed) + self.index.bytes()
    }

    /// Whether no other cut holds the memtable, so that dropping this one drops all of it.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.table) == 1
    }

    /// Starts to add a batch of `count` versions. This has to be the newest cut of its memtable.
    pub(crate) fn append(&self, count: usize) -> Appender<'_, V> {
        Appender::new(&self.table, count)
    }

    /// A cut with all versions that `newer` sees on top of its own.
    pub(crate) fn with(&self, newer: &Self) -> Arc<Self> {
        let mut appender = self.append(0);
        for version in newer.live().map(|spot| newer.at(spot)) {
            let key = version.key();
            appender.add(hash_key(key), KeyBytes::from_slice(key), version.value(), None);
        }
        appender.finish()
    }
}
