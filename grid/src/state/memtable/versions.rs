//! The versions of values, in blocks of a batch, until nobody can see them any more.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use gridmill_model::State;

use super::super::prefetch::{AHEAD, prefetch, prefetch_held, prefetch_value};
use super::super::room::Room;
use super::blocks::{Numbered, Spot};
use crate::sync::Mutex;

/// What one batch made of an entry.
#[derive(Debug)]
pub(super) struct Version<V> {
    /// `None` says that the entry was removed, and is what is left of a version that nobody can see.
    value: Mutex<Option<V>>,
    /// The version before it.
    prior: Option<Spot>,
}

impl<V: State> Version<V> {
    pub(super) fn new(value: Option<V>, prior: Option<Spot>) -> Self {
        Self { value: Mutex::new(value), prior }
    }
}

/// All versions that somebody may see, and some others.
#[derive(Debug)]
pub(super) struct Versions<V>(Numbered<ArcSwapOption<Block<V>>>);

/// The versions of one batch.
#[derive(Debug)]
pub(super) struct Block<V> {
    versions: Box<[Version<V>]>,
    /// The room of each, where values differ in that.
    rooms: Box<[Room]>,
}

impl<V: State> Block<V> {
    /// A block of these, with the room of each where `V` is not [`State::FIXED`].
    pub(super) fn new(versions: Vec<Version<V>>, rooms: Vec<Room>) -> Self {
        debug_assert_eq!(rooms.len(), if V::FIXED { 0 } else { versions.len() });
        Self { versions: versions.into(), rooms: rooms.into() }
    }

    fn room(&self, place: usize) -> Room {
        self.rooms.get(place).copied().unwrap_or_default()
    }

    /// The bytes of its versions, beside what their values hold elsewhere.
    fn bytes(&self) -> usize {
        size_of_val(&*self.versions) + size_of_val(&*self.rooms)
    }
}

/// The bytes of one version in its block.
pub(super) const fn version_bytes<V: State>() -> usize {
    size_of::<Version<V>>() + if V::FIXED { 0 } else { size_of::<Room>() }
}

/// The same blocks by number, for the writer: it need not ask whether one is still there.
#[derive(Debug)]
pub(super) struct Held<V>(Vec<Option<HeldBlock<V>>>);

#[derive(Debug)]
struct HeldBlock<V> {
    versions: Arc<Block<V>>,
    /// How many of them somebody may see.
    left: u32,
}

impl<V: State> Versions<V> {
    pub(super) fn new() -> Self {
        Self(Numbered::new())
    }

    /// Enters the block after the last.
    pub(super) fn put(&self, number: u32, block: Block<V>, held: &mut Held<V>) {
        // A block has fewer than 2^32.
        let left = block.versions.len() as u32;
        let versions = Arc::new(block);
        self.0.get_or_make(number, ArcSwapOption::empty).store(Some(Arc::clone(&versions)));
        held.0.resize_with(number as usize, || None);
        held.0.push(Some(HeldBlock { versions, left }));
    }

    /// Shows `read` the newest version from `newest` on backwards that lies in blocks up to `last`.
    pub(super) fn read<T>(
        &self,
        newest: Spot,
        last: u32,
        read: impl FnOnce(Option<&V>, Room) -> T,
    ) -> Option<T> {
        let mut spot = newest;
        loop {
            let block = self.0.get(spot.block())?.load();
            let block = block.as_ref()?;
            let version = &block.versions[spot.place()];
            if spot.block() <= last {
                return Some(read(version.value.lock().as_ref(), block.room(spot.place())));
            }
            spot = version.prior?;
        }
    }

    /// Fetches a version into the processor's cache.
    pub(super) fn prefetch(&self, spot: Spot) {
        let block = self.0.get(spot.block()).map(ArcSwapOption::load);
        if let Some(Some(block)) = block.as_deref() {
            prefetch_value(&block.versions[spot.place()]);
        }
    }

    /// Drops versions that nobody can see, and blocks of which none is left; returns about how many
    /// bytes that gave back.
    pub(super) fn drop_unseen(&self, spots: &[Spot], held: &mut Held<V>) -> usize {
        let values: usize = if std::mem::needs_drop::<V>() { held.drop_values(spots) } else { 0 };
        let mut blocks = 0;
        for spot in spots {
            let Some(bytes) = held.drop_place(*spot) else { continue };
            blocks += bytes;
            if let Some(block) = self.0.get(spot.block()) {
                block.store(None);
            }
        }
        values + blocks
    }
}

impl<V> Default for Held<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: State> Held<V> {
    fn block(&self, spot: Spot) -> Option<&Block<V>> {
        self.0.get(spot.block() as usize)?.as_ref().map(|block| &*block.versions)
    }

    fn fetch(&self, spot: Spot) {
        if let Some(block) = self.block(spot) {
            prefetch_value(&block.versions[spot.place()]);
            block.rooms.get(spot.place()).into_iter().for_each(|room| prefetch(room));
        }
    }

    /// Where a value lies is fetched first, then what it holds, while values before it are dropped.
    fn drop_values(&self, spots: &[Spot]) -> usize {
        let (mut taken, mut weight) = (VecDeque::with_capacity(AHEAD + 1), 0);
        spots.iter().take(AHEAD).for_each(|spot| self.fetch(*spot));
        for (at, spot) in spots.iter().enumerate() {
            spots.get(at + AHEAD).into_iter().for_each(|spot| self.fetch(*spot));
            let Some(block) = self.block(*spot) else { continue };
            let Some(value) = block.versions[spot.place()].value.lock().take() else { continue };
            prefetch_held(&value);
            weight += block.room(spot.place()).heap();
            taken.push_back(value);
            if taken.len() > AHEAD {
                taken.pop_front();
            }
        }
        weight
    }

    /// Counts a version down; returns the bytes of its block if it was the last of it.
    fn drop_place(&mut self, spot: Spot) -> Option<usize> {
        let place = self.0.get_mut(spot.block() as usize)?;
        let block = place.as_mut()?;
        debug_assert!(block.left > 0, "a version is dropped once");
        block.left = block.left.saturating_sub(1);
        if block.left > 0 {
            return None;
        }
        place.take().map(|block| block.versions.bytes())
    }
}
