//! What the writer of a root works on: a cache of decoded entries over the sealed layers.
//!
//! A batch of records changes entries in the cache, in place. [`Overlay::seal`] adds what the batch
//! touched to the layers; [`Overlay::rollback_batch`] forgets it. While
//! records can be undone one by one, the value that an entry had before the record is kept.

use std::any::Any;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use gridmill_model::engine::{Damaged, ReadStore, RootStore, StoreRange};
use gridmill_model::{KeyBytes, Ref, State};
use gridmill_persistence::run::{KEY_BYTES_MAX, hash_key};

use super::cache::{Cache, Fetch};
use super::layers::Layers;
use super::marks::Marks;
use super::merge::Source;
use super::prefetch::{AHEAD, prefetch, prefetch_value};
use super::room::Room;

/// Tells one overlay from another, also after a handler moved it.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The state of a running batch that a `clear` in a record that can be undone put aside.
#[derive(Debug)]
struct Aside<V> {
    cache: Cache<V>,
    touched: Vec<u32>,
    made: Vec<u32>,
    earlier: Vec<Option<V>>,
    measured: usize,
    undo: Vec<(u32, Option<V>)>,
    cleared: bool,
    len: u64,
}

/// What of a batch does not fit where it is to be kept.
#[derive(Debug)]
pub(crate) enum Excess {
    /// The key of an entry.
    Key(KeyBytes),
    /// The value under a key, and how many bytes its archive takes at most.
    Value(KeyBytes, usize),
}

/// What does not fit of an entry whose value takes up to `bytes` bytes in an archive.
pub(crate) fn excess_of(key: &KeyBytes, bytes: usize, limit: usize) -> Option<Excess> {
    if key.len() > KEY_BYTES_MAX {
        return Some(Excess::Key(key.clone()));
    }
    (bytes > limit).then(|| Excess::Value(key.clone(), bytes))
}

#[derive(Debug)]
pub(crate) struct Overlay<V> {
    id: u64,
    layers: Layers<V>,
    /// Entries of the root as of the last seal.
    sealed_len: u64,
    len: u64,
    cache: Cache<V>,
    batch: u64,
    /// The first batch of the open memtable: spots of batches before it mean nothing any more.
    opened: u64,
    touched: Vec<u32>,
    /// Slots that got a value in this batch where they had none.
    made: Vec<u32>,
    /// What the first of the touched were before the batch, where their room follows from that: as many as
    /// are not measured yet, so that what they share is not looked at again.
    earlier: Vec<Option<V>>,
    /// How many of the touched are measured.
    measured: usize,
    /// The heap bytes of the largest value that was sealed lately.
    largest: usize,
    /// A key was touched that is too long to be kept.
    long_key: bool,
    cleared: bool,
    /// The slot whose presence may have changed since it was lent.
    lent: Option<u32>,
    undoable: bool,
    record: u64,
    undo: Vec<(u32, Option<V>)>,
    aside: Option<Box<Aside<V>>>,
}

impl<V: State> Overlay<V> {
    /// An overlay over `layers` whose cache takes about `cache_bytes`.
    pub(crate) fn new(layers: Layers<V>, len: u64, cache_bytes: usize) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            layers,
            sealed_len: len,
            len,
            cache: Cache::new(cache_bytes),
            batch: 1,
            opened: 1,
            touched: Vec::new(),
            made: Vec::new(),
            earlier: Vec::new(),
            measured: 0,
            largest: 0,
            long_key: false,
            cleared: false,
            lent: None,
            undoable: false,
            record: 0,
            undo: Vec::new(),
            aside: None,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn layers(&self) -> &Layers<V> {
        &self.layers
    }

    pub(crate) fn sealed_len(&self) -> u64 {
        self.sealed_len
    }

    /// Brings the length up to date with what was done to the slot that was lent last.
    fn settle(&mut self) {
        let Some(number) = self.lent.take() else { return };
        let slot = self.cache.get_mut(number);
        let present = slot.value.is_some();
        if present != slot.counted {
            slot.counted = present;
            if present {
                self.len += 1;
                self.made.push(number);
            } else {
                self.len -= 1;
            }
        }
    }

    /// The number of the slot of `key`, read from the layers where the cache has none.
    fn slot(&mut self, key: &[u8]) -> Result<u32, Damaged> {
        let hash = hash_key(key);
        if let Some(slot) = self.cache.find(hash, key) {
            return Ok(slot);
        }
        let (below, room) = match self.cleared {
            true => (None, Room::default()),
            false => self.layers.get_sized(key, hash)?,
        };
        self.long_key |= key.len() > KEY_BYTES_MAX;
        Ok(self.cache.insert(hash, key, below, room))
    }

    /// Starts a record that [`Overlay::rollback_record`] can undo.
    pub(crate) fn begin_record(&mut self) {
        self.settle();
        self.undoable = true;
        self.record += 1;
        self.undo.clear();
        self.aside = None;
    }

    /// Keeps what the record did.
    pub(crate) fn commit_record(&mut self) {
        self.settle();
        self.undoable = false;
        self.undo.clear();
        self.aside = None;
    }

    /// Undoes what was done since [`Overlay::begin_record`].
    pub(crate) fn rollback_record(&mut self) {
        self.settle();
        if let Some(aside) = self.aside.take() {
            self.cache = aside.cache;
            self.touched = aside.touched;
            self.made = aside.made;
            self.earlier = aside.earlier;
            self.measured = aside.measured;
            self.undo = aside.undo;
            self.cleared = aside.cleared;
            self.len = aside.len;
        }
        for (slot, value) in std::mem::take(&mut self.undo).into_iter().rev() {
            self.lent = Some(slot);
            self.cache.get_mut(slot).value = value;
            self.settle();
        }
        self.undoable = false;
    }

    /// Whether the batch changed nothing so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.touched.is_empty() && !self.cleared
    }

    /// Turns what the batch did into the topmost layer, and tells `marks` of each entry that it touched.
    pub(crate) fn seal(&mut self, marks: Option<&mut Marks>) {
        self.settle();
        self.commit_record();
        self.batch += 1;
        if self.is_clean() {
            return;
        }
        self.measure();
        self.layers = self.appended(marks);
        self.touched.clear();
        self.made.clear();
        self.measured = 0;
        self.cleared = false;
        self.sealed_len = self.len;
        self.cache.shrink(self.batch);
    }

    /// The heap bytes of the largest value that was sealed since this was asked last.
    pub(crate) fn take_largest(&mut self) -> usize {
        std::mem::take(&mut self.largest)
    }

    /// The layers with what the batch touched. A key that neither was there nor is there says
    /// nothing.
    fn appended(&mut self, mut marks: Option<&mut Marks>) -> Layers<V> {
        if self.cleared {
            marks.iter_mut().for_each(|marks| marks.touch_all());
        }
        let layers = self.layers.opened(self.touched.len(), self.cleared);
        let same = layers.open().is_of(self.layers.open());
        if !same {
            // Those that this batch touched get new spots, or none.
            self.opened = self.batch - 1;
        }
        let mut appender = layers.open().append(self.touched.len());
        for (at, &number) in self.touched.iter().enumerate() {
            if let Some(&later) = self.touched.get(at + 2 * AHEAD) {
                prefetch_value(self.cache.get(later));
            }
            if let Some(&soon) = self.touched.get(at + AHEAD) {
                let soon = self.cache.get(soon);
                match soon.spot.filter(|_| same) {
                    Some(spot) => layers.open().entry(spot).fetch_newest(),
                    None => layers.open().warm(&[soon.hash]),
                }
                // Where a value counts its clones.
                soon.value.iter().for_each(|value| prefetch(value.spans()[0].start));
            }
            let slot = self.cache.get_mut(number);
            let below = slot.sealed && !self.cleared;
            slot.sealed = slot.value.is_some();
            slot.spot = slot.spot.filter(|_| same);
            if below || slot.sealed {
                let value = slot.value.clone();
                self.largest = self.largest.max(slot.room.heap());
                if let Some(marks) = &mut marks {
                    marks.touch(slot.hash, &slot.key);
                }
                slot.spot = appender.add(slot.hash, &slot.key, value, slot.room, slot.spot);
            }
        }
        let open = appender.finish();
        layers.with_open(open)
    }

    /// Brings something of what the records to come will look at into the processor's cache, where the
    /// hashes of their keys can be guessed. Changes nothing else.
    pub(crate) fn fetch(&self, hashes: &[u64], fetch: Fetch) {
        let mut absent = Vec::new();
        self.cache.fetch(hashes, fetch, &mut absent);
        if !absent.is_empty() && !self.cleared {
            self.layers.warm(&absent);
        }
    }

    /// Brings the room of what was touched up to date, from what changed of it. Nothing may be touched
    /// between this and the end of the batch.
    fn measure(&mut self) {
        if V::FIXED {
            return;
        }
        let mut earlier = self.earlier.drain(..);
        for &number in &self.touched[self.measured..] {
            let slot = self.cache.get(number);
            let room = match earlier.next() {
                Some(earlier) => slot.room.resized(slot.value.as_ref(), earlier.as_ref()),
                None => Room::of(slot.value.as_ref()),
            };
            self.cache.set_room(number, room);
        }
        self.measured = self.touched.len();
    }

    /// The first that was touched and does not fit: a value whose archive may take more than `limit` bytes,
    /// or a key that runs do not hold.
    pub(crate) fn excess(&mut self, limit: usize) -> Option<Excess> {
        self.settle();
        self.measure();
        if V::FIXED && !self.long_key && Room::default().archive_len::<V>() <= limit {
            return None;
        }
        let present = |number: &u32| {
            let slot = self.cache.get(*number);
            slot.value.is_some().then_some(slot)
        };
        let mut present = self.touched.iter().filter_map(present);
        present.find_map(|slot| excess_of(&slot.key, slot.room.archive_len::<V>(), limit))
    }

    /// The keys of entries that the running batch made. Those that it only changed, or that it found and
    /// put back, are not among them.
    pub(crate) fn made(&mut self) -> impl Iterator<Item = &[u8]> {
        self.settle();
        let this = &*self;
        let slots = this.made.iter().map(move |&slot| this.cache.get(slot));
        let made = slots.filter(|slot| slot.value.is_some() && !slot.sealed);
        made.map(|slot| slot.key.as_slice())
    }

    /// Puts other layers with the same content under the cache; not while a batch runs.
    pub(crate) fn set_layers(&mut self, layers: Layers<V>) {
        if !layers.open().is_of(self.layers.open()) {
            self.opened = self.batch;
        }
        self.layers = layers;
    }

    /// Entries that the running batch touched, with their keys.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (&[u8], &Option<V>)> {
        self.touched.iter().map(|&slot| {
            let slot = self.cache.get(slot);
            (slot.key.as_slice(), &slot.value)
        })
    }
}

impl<V: State> ReadStore<V> for Overlay<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        let hash = hash_key(key);
        if let Some(slot) = self.cache.find(hash, key) {
            return Ok(self.cache.get(slot).value.as_ref().map(Ref::Borrowed));
        }
        if self.cleared {
            return Ok(None);
        }
        Ok(self.layers.get_hashed(key, hash)?.map(Ref::Owned))
    }

    fn contains(&self, key: &[u8]) -> Result<bool, Damaged> {
        let hash = hash_key(key);
        if let Some(slot) = self.cache.find(hash, key) {
            return Ok(self.cache.get(slot).value.is_some());
        }
        if self.cleared { Ok(false) } else { self.layers.contains(key) }
    }

    fn len(&self) -> u64 {
        let Some(slot) = self.lent else { return self.len };
        let slot = self.cache.get(slot);
        match (slot.counted, slot.value.is_some()) {
            (false, true) => self.len + 1,
            (true, false) => self.len - 1,
            _ => self.len,
        }
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V> {
        let top = Source::touched(self.touched(), from, to);
        if self.cleared {
            return Box::new(super::merge::MergedRange::new(vec![top]));
        }
        Box::new(self.layers.range(Some(top), from, to))
    }
}

impl<V: State> RootStore<V> for Overlay<V> {
    fn slot_mut(&mut self, key: &[u8]) -> Result<&mut Option<V>, Damaged> {
        self.settle();
        let number = self.slot(key)?;
        let slot = self.cache.get_mut(number);
        if slot.batch != self.batch {
            if slot.batch < self.opened {
                slot.spot = None;
            }
            slot.batch = self.batch;
            self.touched.push(number);
            if !V::QUICK {
                self.earlier.push(slot.value.clone());
            }
        }
        if self.undoable && slot.record != self.record {
            slot.record = self.record;
            self.undo.push((number, slot.value.clone()));
        }
        self.lent = Some(number);
        Ok(&mut slot.value)
    }

    fn get_mut(&mut self, key: &[u8]) -> Result<Option<&mut V>, Damaged> {
        Ok(self.slot_mut(key)?.as_mut())
    }

    fn clear(&mut self) {
        self.settle();
        let fresh = self.cache.fresh();
        let cache = std::mem::replace(&mut self.cache, fresh);
        let touched = std::mem::take(&mut self.touched);
        let made = std::mem::take(&mut self.made);
        let earlier = std::mem::take(&mut self.earlier);
        let measured = std::mem::take(&mut self.measured);
        let undo = std::mem::take(&mut self.undo);
        if self.undoable && self.aside.is_none() {
            let (cleared, len) = (self.cleared, self.len);
            let aside = Aside { cache, touched, made, earlier, measured, undo, cleared, len };
            self.aside = Some(Box::new(aside));
        }
        self.cleared = true;
        self.len = 0;
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_go_on_where_a_memtable_is_full() {
        let mut overlay: Overlay<u64> = Overlay::new(Layers::new(Vec::new()), 0, 1 << 20);
        let mut model = std::collections::BTreeMap::new();
        let mut state = 1_u64;
        for batch in 0..5_000_u64 {
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Most keys are touched rarely: their entries lie in a memtable that was left.
                let key = (state >> 33) % 4_000;
                let value = (batch % 7 > 0).then_some(batch);
                *overlay.slot_mut(&key.to_be_bytes()).expect("nothing is read") = value;
                model.insert(key, value);
            }
            // One comes late and goes, and is touched where it is not.
            let (restless, value) = (u64::MAX.to_be_bytes(), (batch % 50 == 7).then_some(batch));
            if batch > 500 {
                *overlay.slot_mut(&restless).expect("nothing is read") = value;
                model.insert(u64::MAX, value);
            }
            overlay.seal(None);
            assert_eq!(
                overlay.layers().get(&restless).expect("nothing is read"),
                model.get(&u64::MAX).copied().flatten()
            );
        }
        for (key, value) in &model {
            let (key, sealed) = (key.to_be_bytes(), overlay.layers().clone());
            assert_eq!(overlay.get(&key).expect("nothing is read").as_deref(), value.as_ref());
            assert_eq!(sealed.get(&key).expect("nothing is read"), *value);
        }
        assert_eq!(overlay.sealed_len(), model.values().flatten().count() as u64);
    }
}
