//! The writer's cache: decoded entries by key, changed in place.

use gridmill_model::{KeyBytes, State};
use hashbrown::HashTable;

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
    bytes: usize,
    bytes_max: usize,
    /// The batch of the last sweep: what was not touched since goes with the next one.
    swept: u64,
}

impl<V: State> Cache<V> {
    /// An empty cache for about `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { table: HashTable::new(), slots: Vec::new(), bytes: 0, bytes_max, swept: 0 }
    }

    /// An empty cache with the same limits.
    pub(crate) fn fresh(&self) -> Self {
        Self { swept: self.swept, ..Self::new(self.bytes_max) }
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |&slot: &u32| self.slots[slot as usize].key.as_slice() == key;
        self.table.find(spread(hash), same).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> &CacheSlot<V> {
        &self.slots[slot as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut CacheSlot<V> {
        &mut self.slots[slot as usize]
    }

    pub(crate) fn insert(&mut self, hash: u64, key: &[u8], value: Option<V>) -> u32 {
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.bytes += weight(&value);
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
        self.table.insert_unique(spread(hash), number, |&slot| spread(slots[slot as usize].hash));
        number
    }

    /// Forgets entries where there are too many; to be called between batches, of which the next is
    /// number `batch`. Those that were touched since the last time stay, unless they are too many
    /// themselves. Whatever goes can be read again from the layers.
    pub(crate) fn shrink(&mut self, batch: u64) {
        if self.bytes < self.bytes_max {
            return;
        }
        let swept = std::mem::replace(&mut self.swept, batch);
        self.slots.retain(|slot| slot.batch >= swept);
        // An entry may have grown since it was read: the sum is made anew.
        self.bytes = self.slots.iter().map(|slot| weight(&slot.value)).sum();
        if self.bytes > self.bytes_max / 2 {
            self.slots.clear();
            self.bytes = 0;
        }
        self.table.clear();
        let slots = &self.slots;
        for (number, slot) in slots.iter().enumerate() {
            let hash_of = |&slot: &u32| spread(slots[slot as usize].hash);
            self.table.insert_unique(spread(slot.hash), number as u32, hash_of);
        }
    }
}

/// The lowest bits of a hash choose the partition, so that all keys of one have some of them in
/// common; a table goes by its lowest bits too.
fn spread(hash: u64) -> u64 {
    hash.rotate_right(24)
}

/// About how many bytes a slot with this value takes, with its place in the table.
fn weight<V: State>(value: &Option<V>) -> usize {
    size_of::<CacheSlot<V>>() + 8 + value.as_ref().map_or(0, State::weight)
}

#[cfg(test)]
mod tests {
    use gridmill_persistence::run::hash_key;

    use super::*;

    #[test]
    fn what_was_touched_lately_stays() {
        let mut cache: Cache<u64> = Cache::new(100 * weight(&Some(0_u64)));
        for number in 0..100_u64 {
            let key = number.to_be_bytes();
            let slot = cache.insert(hash_key(&key), &key, Some(number));
            cache.get_mut(slot).batch = number / 10;
        }
        cache.swept = 8;
        cache.shrink(10);
        for number in 0..100_u64 {
            let key = number.to_be_bytes();
            let found = cache.find(hash_key(&key), &key).map(|slot| cache.get(slot).value);
            assert_eq!(found, (number >= 80).then_some(Some(number)));
        }
        assert!(cache.slots.len() == 20 && cache.bytes < cache.bytes_max);
    }
}
