//! The writer's cache: decoded entries by key, changed in place.

use gridmill_model::{KeyBytes, State};

use super::hash_index::HashIndex;
use super::memtable::Spot;
use super::prefetch::{prefetch_held, prefetch_value};
use super::room::Room;
use super::slab::Slab;

/// What to bring into the processor's cache, each found by what the one before it brought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fetch {
    /// The cell of the index that leads to the slot.
    Index,
    /// The slot.
    Slot,
    /// What the slot's value holds elsewhere.
    Value,
}

/// One entry: its value now, and what is known of it.
#[derive(Debug)]
pub(crate) struct CacheSlot<V> {
    pub(crate) key: KeyBytes,
    pub(crate) value: Option<V>,
    pub(crate) hash: u64,
    /// The last batch that touched it.
    pub(crate) batch: u64,
    /// The last record that touched it, where records can be undone.
    pub(crate) record: u64,
    /// The room of the value, as of the last time that it was measured.
    pub(crate) room: Room,
    /// Where its entry of the memtable lies, if that is known.
    pub(crate) spot: Option<Spot>,
    /// Whether the root's length counts it.
    pub(crate) counted: bool,
    /// Whether the layers have it, as of the last seal.
    pub(crate) sealed: bool,
}

/// Slots, addressed by number, and where each key has its own.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    index: HashIndex,
    slots: Slab<CacheSlot<V>>,
    bytes: usize,
    bytes_max: usize,
    /// The batch of the last sweep: what was not touched since goes with the next one.
    swept: u64,
}

impl<V: State> Cache<V> {
    /// An empty cache for about `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { index: HashIndex::new(), slots: Slab::new(), bytes: 0, bytes_max, swept: 0 }
    }

    /// An empty cache with the same limits.
    pub(crate) fn fresh(&self) -> Self {
        Self { swept: self.swept, ..Self::new(self.bytes_max) }
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |number| self.slots.get(number).key.as_slice() == key)
    }

    pub(crate) fn get(&self, slot: u32) -> &CacheSlot<V> {
        self.slots.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut CacheSlot<V> {
        self.slots.get_mut(slot)
    }

    /// Adds an entry; `room` is that of its value.
    pub(crate) fn insert(&mut self, hash: u64, key: &[u8], value: Option<V>, room: Room) -> u32 {
        let is_there = value.is_some();
        self.insert_of(hash, key, (value, room), is_there)
    }

    /// Adds an entry of which is only known whether the layers have it: it gets another value at once.
    pub(crate) fn insert_unread(&mut self, hash: u64, key: &[u8], is_there: bool) -> u32 {
        self.insert_of(hash, key, (None, Room::default()), is_there)
    }

    fn insert_of(
        &mut self,
        hash: u64,
        key: &[u8],
        (value, room): (Option<V>, Room),
        is_there: bool,
    ) -> u32 {
        self.bytes += weight::<V>(key.len(), room);
        let number = self.slots.push(CacheSlot {
            key: KeyBytes::from_slice(key),
            counted: is_there,
            sealed: is_there,
            value,
            hash,
            batch: 0,
            record: 0,
            room,
            spot: None,
        });
        self.index.insert(hash, number);
        number
    }

    /// Notes the room of a value that was measured again.
    pub(crate) fn set_room(&mut self, slot: u32, room: Room) {
        let slot = self.slots.get_mut(slot);
        self.bytes = self.bytes + room.heap() - slot.room.heap();
        slot.room = room;
    }

    /// Brings something of what [`Cache::find`] will look at for `hashes` into the processor's cache.
    /// Adds the hashes that are not here to `absent` when it comes to the slots.
    pub(crate) fn fetch(&self, hashes: &[u64], fetch: Fetch, absent: &mut Vec<u64>) {
        if !self.index.is_far() {
            return;
        }
        for &hash in hashes {
            match fetch {
                Fetch::Index => self.index.prefetch(hash),
                Fetch::Slot => match self.index.glance(hash) {
                    Some(number) => prefetch_value(self.slots.get(number)),
                    None => absent.push(hash),
                },
                Fetch::Value => self.fetch_value(hash),
            }
        }
    }

    fn fetch_value(&self, hash: u64) {
        let slot = self.index.glance(hash).map(|number| self.slots.get(number));
        if let Some(value) = slot.and_then(|slot| slot.value.as_ref()) {
            prefetch_held(value);
        }
    }

    /// Forgets entries where there are too many; to be called between batches, of which the next is
    /// number `batch`. Those that were touched since the last time stay, unless they are too many
    /// themselves. Whatever goes can be read again from the layers.
    pub(crate) fn shrink(&mut self, batch: u64) {
        if self.bytes < self.bytes_max {
            return;
        }
        let swept = std::mem::replace(&mut self.swept, batch);
        let mut kept = self.fresh();
        for slot in std::mem::replace(&mut self.slots, Slab::new()).into_iter() {
            if slot.batch >= swept {
                kept.bytes += weight::<V>(slot.key.len(), slot.room);
                kept.slots.push(slot);
            }
        }
        let too_many = kept.bytes > self.bytes_max / 2;
        *self = if too_many { kept.fresh() } else { kept };
        self.index = HashIndex::of(self.slots.iter().map(|slot| slot.hash));
    }
}

/// About how many bytes a slot takes, with its place in the table.
fn weight<V>(key: usize, room: Room) -> usize {
    let key = if key > KeyBytes::new().inline_size() { key } else { 0 };
    size_of::<CacheSlot<V>>() + 24 + key + room.heap()
}

#[cfg(test)]
mod tests {
    use gridmill_persistence::run::hash_key;

    use super::*;

    #[test]
    fn what_was_touched_lately_stays() {
        let mut cache: Cache<u64> = Cache::new(100 * weight::<u64>(8, Room::default()));
        for number in 0..100_u64 {
            let key = number.to_be_bytes();
            let slot = cache.insert(hash_key(&key), &key, Some(number), Room::default());
            cache.get_mut(slot).batch = number / 10;
        }
        cache.swept = 8;
        cache.shrink(10);
        for number in 0..100_u64 {
            let key = number.to_be_bytes();
            let found = cache.find(hash_key(&key), &key).map(|slot| cache.get(slot).value);
            assert_eq!(found, (number >= 80).then_some(Some(number)));
        }
        assert!(cache.bytes < cache.bytes_max);
    }
}
