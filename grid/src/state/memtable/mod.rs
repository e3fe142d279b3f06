//! The changes of a root since its last flush, which one writer adds to and many readers look into.
//!
//! Nothing is moved or changed: each batch adds a block of new versions, and a block of entries for keys
//! that were not there. An index of atomic cells leads from a key to its entry, that to the newest
//! version, and each version to the one before. A reader holds a [`MemtableView`]: the memtable up to a block.
//! It skips what is newer, so that it sees one batch's end however far the writer has gone on, and
//! neither of them waits for the other, save for the moment in which a value is cloned. (Multi-version
//! concurrency control, with the batch as the transaction.)
//!
//! What no cut can see any more is dropped by the writer, see [`retired`].

mod append;
mod blocks;
mod entry;
mod index;
mod order;
#[cfg(all(test, feature = "races"))]
mod races;
mod retired;
mod sort;
#[cfg(test)]
mod tests;
mod versions;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use gridmill_model::State;
use gridmill_model::engine::Changes;
use gridmill_persistence::run::hash_key;

use super::prefetch::{AHEAD, prefetch_held, prefetch_value};
use super::room::Room;
use crate::sync::Mutex;

pub(crate) use append::Appender;
use blocks::Blocks;
pub(crate) use blocks::Spot;
pub(crate) use entry::Entry;
use index::Index;
use order::Order;
use retired::Retired;
use versions::{Held, Versions};

/// All versions that were written since the last flush.
#[derive(Debug)]
pub(crate) struct Memtable<V> {
    entries: Blocks<Entry>,
    versions: Versions<V>,
    /// Whether everything older is gone: the root was cleared before these were written.
    clears: bool,
    /// About how many bytes of memory they take.
    weight: AtomicUsize,
    /// How many of these only cuts of the past see.
    past: AtomicUsize,
    writer: Mutex<Writer<V>>,
    /// The order of keys, as far as somebody asked for it.
    order: Mutex<Order>,
}

/// What only the writer uses.
#[derive(Debug)]
struct Writer<V> {
    index: Arc<Index>,
    /// How many keys there are.
    keys: usize,
    /// The numbers of the last blocks.
    entries: u32,
    versions: u32,
    /// The blocks of versions that somebody may see.
    held: Held<V>,
    retired: Retired<V>,
}

/// A memtable as of the end of a batch.
#[derive(Debug)]
pub(crate) struct MemtableView<V> {
    table: Arc<Memtable<V>>,
    index: Arc<Index>,
    /// The last block of versions that it sees, 0 for none.
    last: u32,
    /// The last block of entries.
    entries: u32,
    order: OnceLock<Order>,
}

impl<V: State> Memtable<V> {
    /// A cut without entries; `clears` says that older layers do not count any more.
    pub(crate) fn start(clears: bool) -> Arc<MemtableView<V>> {
        let index = Arc::new(Index::new());
        let writer = Writer {
            index: Arc::clone(&index),
            keys: 0,
            entries: 0,
            versions: 0,
            held: Held::default(),
            retired: Retired::new(),
        };
        let table = Arc::new(Self {
            entries: Blocks::new(),
            versions: Versions::new(),
            clears,
            weight: AtomicUsize::new(0),
            past: AtomicUsize::new(0),
            writer: Mutex::new(writer),
            order: Mutex::default(),
        });
        Arc::new(MemtableView { table, index, last: 0, entries: 0, order: OnceLock::new() })
    }
}

impl<V: State> MemtableView<V> {
    /// What it says of `key`, whose `hash_key` is `hash`: nothing, that it was removed, or its value.
    pub(crate) fn get(&self, key: &[u8], hash: u64) -> Option<Option<V>> {
        self.read(self.find(key, hash)?, |value| value.cloned())
    }

    /// [`MemtableView::get`] with the value's room.
    pub(crate) fn get_sized(&self, key: &[u8], hash: u64) -> Option<Option<(V, Room)>> {
        self.read_sized(self.find(key, hash)?, |value, room| Some((value.cloned()?, room)))
    }

    /// Whether it says that there is a value under `key`; nothing where it does not know the key.
    pub(crate) fn contains(&self, key: &[u8], hash: u64) -> Option<bool> {
        self.read(self.find(key, hash)?, |value| value.is_some())
    }

    /// Brings what [`MemtableView::get`] will look at first for `hashes` into the processor's cache.
    pub(crate) fn warm(&self, hashes: &[u64]) {
        hashes.iter().for_each(|hash| self.index.prefetch(*hash));
    }

    fn find(&self, key: &[u8], hash: u64) -> Option<&Entry> {
        if self.last == 0 {
            return None;
        }
        let mut entries = self.index.with_hash(hash).map(|spot| self.entry(spot));
        entries.find(|entry| entry.key() == key)
    }

    /// The entry at a spot.
    pub(crate) fn entry(&self, spot: Spot) -> &Entry {
        self.table.entries.get(spot)
    }

    /// Shows `read` the value of an entry, `None` where it was removed; does nothing where this cut
    /// does not see the entry.
    pub(crate) fn read<T>(&self, entry: &Entry, read: impl FnOnce(Option<&V>) -> T) -> Option<T> {
        self.read_sized(entry, |value, _| read(value))
    }

    /// [`MemtableView::read`] with the value's room.
    fn read_sized<T>(&self, entry: &Entry, read: impl FnOnce(Option<&V>, Room) -> T) -> Option<T> {
        self.table.versions.read(entry.newest()?, self.last, read)
    }

    /// Fetches entries, their versions and their values into the processor's cache, where those of `spots`
    /// are read one after the other, the one at `next` first: so many ahead that each is there in time.
    pub(crate) fn fetch_ahead(&self, spots: &[Spot], next: usize) {
        let ahead = |steps: usize| spots.get(next + steps * AHEAD).map(|spot| self.entry(*spot));
        if let Some(entry) = ahead(3) {
            prefetch_value(entry);
        }
        if let Some(newest) = ahead(2).and_then(Entry::newest) {
            self.table.versions.prefetch(newest);
        }
        if let Some(entry) = ahead(1) {
            self.read(entry, |value| value.map(prefetch_held));
        }
    }

    /// The entries that it sees and their values, with the room of each, in the order in which they were
    /// added.
    fn seen(&self) -> impl Iterator<Item = (&Entry, Option<V>, Room)> {
        let entries = self.table.entries.iter(1..=self.entries);
        entries.filter_map(|(_, entry)| {
            let (value, room) = self.read_sized(entry, |value, room| (value.cloned(), room))?;
            Some((entry, value, room))
        })
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

    /// How many keys the memtable has.
    pub(crate) fn keys(&self) -> usize {
        self.table.writer.lock().keys
    }

    /// This cut, if its memtable has room for another batch of `count` versions; otherwise the same in a
    /// new one.
    pub(crate) fn with_room(self: &Arc<Self>, count: usize) -> Arc<Self> {
        let full = count.div_ceil(blocks::BLOCK_MAX) > (blocks::BLOCKS_MAX - self.last) as usize;
        if full { Memtable::start(self.clears()).with(self) } else { Arc::clone(self) }
    }

    /// About how many bytes of memory the memtable takes.
    pub(crate) fn weight(&self) -> usize {
        if self.last == 0 {
            return 0;
        }
        self.table.weight.load(Ordering::Relaxed) + self.index.bytes()
    }

    /// What it takes, and what of that is kept for cuts of the past.
    pub(crate) fn changes(&self) -> Changes {
        let id = Arc::as_ptr(&self.table).addr();
        Changes { id, bytes: self.weight(), past: self.table.past.load(Ordering::Relaxed) }
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
        for (entry, value, room) in newer.seen() {
            appender.add(hash_key(entry.key()), entry.key(), value, room, None);
        }
        appender.finish()
    }
}
