//! The versions of values, in blocks of a batch, until nobody can see them any more.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use gridmill_model::State;
use parking_lot::Mutex;

use super::super::cache::WARM_MAX;
use super::blocks::{Numbered, Spot};

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
pub(super) struct Versions<V>(Numbered<ArcSwapOption<Box<[Version<V>]>>>);

/// How many versions of each block are left; for the writer.
#[derive(Debug, Default)]
pub(super) struct Left(Vec<u32>);

impl<V: State> Versions<V> {
    pub(super) fn new() -> Self {
        Self(Numbered::new())
    }

    /// Enters the block after the last.
    pub(super) fn put(&self, number: u32, block: Box<[Version<V>]>, left: &mut Left) {
        left.0.resize(number as usize + 1, 0);
        // A block has fewer than 2^32.
        left.0[number as usize] = block.len() as u32;
        self.0.get_or_make(number, ArcSwapOption::empty).store(Some(Arc::new(block)));
    }

    /// Shows `read` the newest version from `newest` on backwards that lies in blocks up to `last`.
    pub(super) fn read<T>(
        &self,
        newest: Spot,
        last: u32,
        read: impl FnOnce(Option<&V>) -> T,
    ) -> Option<T> {
        let mut spot = newest;
        loop {
            let block = self.0.get(spot.block())?.load();
            let version = &block.as_ref()?[spot.place()];
            if spot.block() <= last {
                return Some(read(version.value.lock().as_ref()));
            }
            spot = version.prior?;
        }
    }

    /// Brings versions into the processor's cache, waiting for memory many times at once.
    pub(super) fn warm(&self, spots: impl Iterator<Item = Spot>) {
        let is_locked = |spot: &Spot| {
            let block = self.0.get(spot.block()).map(ArcSwapOption::load);
            block.is_some_and(|block| {
                block.as_ref().is_some_and(|block| block[spot.place()].value.is_locked())
            })
        };
        std::hint::black_box(spots.filter(is_locked).count());
    }

    /// Drops versions that nobody can see, and blocks of which none is left; returns about how many
    /// bytes that gave back.
    pub(super) fn drop_unseen(&self, spots: &[Spot], left: &mut Left) -> usize {
        let values: usize = if std::mem::needs_drop::<V>() {
            spots.chunks(WARM_MAX).map(|some| self.drop_values(some)).sum()
        } else {
            0
        };
        let blocks: usize = spots.iter().map(|spot| self.drop_place(*spot, left)).sum();
        values + blocks
    }

    fn drop_values(&self, spots: &[Spot]) -> usize {
        self.warm(spots.iter().copied());
        let values: Vec<V> = spots.iter().filter_map(|spot| self.take(*spot)).collect();
        values.iter().map(State::weight).sum()
    }

    fn take(&self, spot: Spot) -> Option<V> {
        let block = self.0.get(spot.block())?.load();
        block.as_ref()?[spot.place()].value.lock().take()
    }

    fn drop_place(&self, spot: Spot, left: &mut Left) -> usize {
        let left = &mut left.0[spot.block() as usize];
        debug_assert!(*left > 0, "a version is dropped once");
        *left = left.saturating_sub(1);
        if *left > 0 {
            return 0;
        }
        let block = self.0.get(spot.block()).and_then(|block| block.swap(None));
        block.map_or(0, |block| size_of_val(&**block))
    }
}
