//! An entry: a key, and the way to the versions of its value.

use std::sync::atomic::Ordering;

use gridmill_model::KeyBytes;

use super::super::prefetch::prefetch;
use super::blocks::Spot;
use crate::sync::AtomicU64;

/// A key, and where its newest version lies.
#[derive(Debug)]
pub(crate) struct Entry {
    key: KeyBytes,
    newest: AtomicU64,
}

impl Entry {
    pub(super) fn new(key: KeyBytes, newest: Spot) -> Self {
        Self { key, newest: AtomicU64::new(newest.bits()) }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Fetches what a new version changes.
    pub(crate) fn fetch_newest(&self) {
        prefetch(&raw const self.newest);
    }

    pub(super) fn newest(&self) -> Option<Spot> {
        Spot::from_bits(self.newest.load(Ordering::Acquire))
    }

    /// Leads readers to a version, which has to lie where it says.
    pub(super) fn set_newest(&self, newest: Spot) {
        self.newest.store(newest.bits(), Ordering::Release);
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + if self.key.spilled() { self.key.len() } else { 0 }
    }
}
