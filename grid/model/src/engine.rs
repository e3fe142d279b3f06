//! What the engine lends to the types of this crate; not for users of Gridmill.
//!
//! A `Map` at the root of a PState is a window onto a partition's store. The store is written
//! against these traits, so that this crate need not know of layers, runs and files.

use std::any::Any;
use std::ops::Bound;

use crate::{KeyBytes, Ref, State};

mod cold;

pub use cold::{Archive, Cold};

/// The iterator of a store's entries, in the order of their key bytes.
pub type StoreRange<'a, V> =
    Box<dyn DoubleEndedIterator<Item = Result<(KeyBytes, Ref<'a, V>), Damaged>> + 'a>;

/// A value where it lies.
#[derive(Debug)]
pub enum Found<'a, V> {
    /// In memory.
    Live(&'a V),
    /// Made or decoded for this look-up.
    Made(V),
    /// In a file: its parts are decoded as they are asked for.
    Cold(Cold<'a>),
}

impl<'a, V: State> Found<'a, V> {
    /// The value itself: cloned where it lives, decoded where it is cold.
    ///
    /// # Errors
    /// [`Damaged`] when the bytes of a cold value cannot be read.
    pub fn into_owned(self) -> Result<V, Damaged> {
        match self {
            Self::Live(value) => Ok(value.clone()),
            Self::Made(value) => Ok(value),
            Self::Cold(cold) => cold.decode(),
        }
    }

    /// The value lent or owned.
    ///
    /// # Errors
    /// As [`Found::into_owned`].
    pub fn into_ref(self) -> Result<Ref<'a, V>, Damaged> {
        match self {
            Self::Live(value) => Ok(Ref::Borrowed(value)),
            Self::Made(value) => Ok(Ref::Owned(value)),
            Self::Cold(cold) => cold.decode().map(Ref::Owned),
        }
    }
}

impl<'a, V> From<Ref<'a, V>> for Found<'a, V> {
    fn from(value: Ref<'a, V>) -> Self {
        match value {
            Ref::Borrowed(value) => Self::Live(value),
            Ref::Owned(value) => Self::Made(value),
        }
    }
}

/// The iterator of a store's entries whose values are not decoded yet.
pub type StoreScan<'a, V> =
    Box<dyn DoubleEndedIterator<Item = Result<(KeyBytes, Found<'a, V>), Damaged>> + 'a>;

/// Changes of a root in memory, for the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Tells them from others, as long as they are held.
    pub id: usize,
    /// About how many bytes of memory they take.
    pub bytes: usize,
    /// How many of these only views of the past show.
    pub past: usize,
}

/// What can be read of a stored root.
pub trait ReadStore<V>: Send + Sync {
    /// Looks up one entry, and leaves its value where it lies.
    ///
    /// # Errors
    /// [`Damaged`] when what was read of the entry is damaged.
    fn look(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Damaged> {
        Ok(self.get(key)?.map(Found::from))
    }

    /// The entries between two key bounds, as [`range`](ReadStore::range) has them, with values left where
    /// they lie.
    fn scan<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreScan<'a, V>
    where
        V: 'a,
    {
        Box::new(self.range(from, to).map(|entry| entry.map(|(key, value)| (key, value.into()))))
    }

    /// Looks up one entry.
    ///
    /// # Errors
    /// [`Damaged`] when the entry's bytes cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged>;

    /// Whether there is such an entry.
    ///
    /// # Errors
    /// [`Damaged`] when the entry's bytes cannot be read.
    fn contains(&self, key: &[u8]) -> Result<bool, Damaged> {
        Ok(self.get(key)?.is_some())
    }

    /// The number of entries.
    fn len(&self) -> u64;

    /// Whether there is no entry at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries between two key bounds, forwards or backwards.
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V>;

    /// The changes in memory that it shows.
    fn changes(&self) -> Vec<Changes> {
        Vec::new()
    }
}

/// What a partition's working store offers to the one topology that may write it.
pub trait RootStore<V>: ReadStore<V> {
    /// The entry's place, `None` when it is absent; the key counts as written.
    ///
    /// # Errors
    /// [`Damaged`] when the entry's bytes cannot be read.
    fn slot_mut(&mut self, key: &[u8]) -> Result<&mut Option<V>, Damaged>;

    /// The entry's value if there is one; a missing entry does not count as written.
    ///
    /// # Errors
    /// [`Damaged`] when the entry's bytes cannot be read.
    fn get_mut(&mut self, key: &[u8]) -> Result<Option<&mut V>, Damaged> {
        if self.contains(key)? { Ok(self.slot_mut(key)?.as_mut()) } else { Ok(None) }
    }

    /// Puts a value, or nothing, in an entry's place without a look at the value that is there.
    ///
    /// # Errors
    /// [`Damaged`] when it cannot be found out whether there is one.
    fn put(&mut self, key: &[u8], value: Option<V>) -> Result<(), Damaged> {
        *self.slot_mut(key)? = value;
        Ok(())
    }

    /// Removes every entry.
    fn clear(&mut self);

    /// The store itself, for the engine that knows its type.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// A part of a file that cannot be trusted: where it is and what is wrong with it.
///
/// The first read that touches the damaged part gets it. A handler that touches it stops its
/// partition, because going on would write down what was computed from wrong data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged data in {file} at byte {offset}: {message}")]
pub struct Damaged {
    /// The file, by its path inside the data folder.
    pub file: String,
    /// The byte at which the damaged part begins.
    pub offset: u64,
    /// What was expected there, what was found, and what can be done.
    pub message: String,
}

impl Damaged {
    /// Names damage at a place in a file.
    pub fn new(file: impl Into<String>, offset: u64, message: impl Into<String>) -> Self {
        Self { file: file.into(), offset, message: message.into() }
    }
}

/// Unwinds with the damage itself, for the engine to catch and to stop the partition.
///
/// The methods of a root map look infallible, as those of any map do. A handler has no sensible
/// answer to a broken file, so damage takes the one way out that passes through user code.
pub(crate) fn unwind(damaged: Damaged) -> ! {
    // No panic of anybody's: hooks need not hear of it.
    std::panic::resume_unwind(Box::new(damaged))
}
