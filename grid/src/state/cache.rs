//! The writer's cache: decoded entries by key, changed in place.

use gridmill_model::{KeyBytes, State};
use hashbrown::HashTable;

/// Entries that are kept decoded for the writer. More are dropped between batches: every one of them
/// can be read again from the layers.
const ENTRIES_MAX: usize = 1 << 17;

/// Bytes of keys and values that are kept, about.
const BYTES_MAX: usize = 32 << 20;

/// One entry: its value now, and what is known of it.
#[derive(Debug)]
pub(crate) struct CacheSlot<V> {
    pub(crate) key: KeyBytes,
    pub(crate) value: Option<V>,
    /// Whether the root's length counts it.
    pub(crate) counted: bool,
    /// Whether the layers have it, as of the last seal.
    pub(crate) sealed: bool,
    /// How many batches touched it since it was read; sparse size checks go by it.
    pub(crate) touches: u32,
    /// The last batch that touched it.
    pub(crate) batch: u64,
    /// The last record that touched it, where records can be undone.
    pub(crate) record: u64,
    hash: u64,
}

/// A hash table over a slab of slots, addressed by number.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    table: HashTable<u32>,
    slots: Vec<CacheSlot<V>>,
    hasher: foldhash::fast::FixedState,
    bytes: usize,
}

impl<V: State> Default for Cache<V> {
    fn default() -> Self {
        Self { table: HashTable::new(), slots: Vec::new(), hasher: Default::default(), bytes: 0 }
    }
}

impl<V: State> Cache<V> {
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::BuildHasher;
        self.hasher.hash_one(key)
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |&slot: &u32| self.slots[slot as usize].key.as_slice() == key;
        self.table.find(hash, same).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> &CacheSlot<V> {
        &self.slots[slot as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut CacheSlot<V> {
        &mut self.slots[slot as usize]
    }

    pub(crate) fn insert(&mut self, hash: u64, key: &[u8], value: Option<V>) -> u32 {
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.bytes += size_of::<CacheSlot<V>>() + value.as_ref().map_or(0, State::weight);
        self.slots.push(CacheSlot {
            key: KeyBytes::from_slice(key),
            counted: value.is_some(),
            sealed: value.is_some(),
            touches: 0,
            value,
            batch: 0,
            record: 0,
            hash,
        });
        let slots = &self.slots;
        self.table.insert_unique(hash, number, |&slot| slots[slot as usize].hash);
        number
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.slots.clear();
        self.bytes = 0;
    }

    /// Whether it holds more than it should; the owner clears it between batches.
    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= ENTRIES_MAX || self.bytes >= BYTES_MAX
    }
}
