//! An entry: a key, and the versions of its value.

use std::sync::atomic::{AtomicU64, Ordering};

use gridmill_model::{KeyBytes, State};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::blocks::Spot;

/// A key, and where its newest version lies.
#[derive(Debug)]
pub(crate) struct Entry {
    key: KeyBytes,
    newest: AtomicU64,
}

impl Entry {
    pub(super) fn new(key: KeyBytes, newest: Option<Spot>) -> Self {
        Self { key, newest: AtomicU64::new(newest.map_or(0, Spot::bits)) }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
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

/// What one batch made of an entry.
#[derive(Debug)]
pub(crate) struct Version<V> {
    /// `None` says that the entry was removed, and is what is left of a version that nobody can see.
    value: Mutex<Option<V>>,
    prior: Option<Spot>,
}

impl<V: State> Version<V> {
    pub(super) fn new(value: Option<V>, prior: Option<Spot>) -> Self {
        Self { value: Mutex::new(value), prior }
    }

    pub(crate) fn value(&self) -> Option<V> {
        self.value.lock().clone()
    }

    pub(crate) fn is_value(&self) -> bool {
        self.value.lock().is_some()
    }

    /// The value, for as long as it is looked at.
    pub(crate) fn lock(&self) -> Option<MappedMutexGuard<'_, V>> {
        MutexGuard::try_map(self.value.lock(), Option::as_mut).ok()
    }

    /// The version before it.
    pub(super) fn prior(&self) -> Option<Spot> {
        self.prior
    }

    /// Takes the value out.
    pub(super) fn take(&self) -> Option<V> {
        self.value.lock().take()
    }
}
