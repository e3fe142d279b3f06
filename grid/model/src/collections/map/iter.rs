//! The entries of a map, whichever form it has.

use std::fmt;
use std::iter::FusedIterator;

use crate::collections::Ref;
use crate::engine::{Damaged, StoreRange, unwind};
use crate::{Key, KeyBytes};

type Shared = im::shared_ptr::DefaultSharedPtr;
type PlainRange<'a, K, V> = im::ordmap::RangedIter<'a, K, V, Shared>;

/// Some entries of a [`Map`](crate::Map), in the order of their keys.
pub struct Range<'a, K, V>(Source<'a, K, V>);

enum Source<'a, K, V> {
    Empty,
    Plain(PlainRange<'a, K, V>),
    Stored(StoreRange<'a, V>),
}

impl<'a, K: Key, V> Range<'a, K, V> {
    pub(super) fn empty() -> Self {
        Self(Source::Empty)
    }

    pub(super) fn plain(range: PlainRange<'a, K, V>) -> Self {
        Self(Source::Plain(range))
    }

    pub(super) fn stored(range: StoreRange<'a, V>) -> Self {
        Self(Source::Stored(range))
    }

    /// The next entry, or the damage that it was met by.
    #[doc(hidden)]
    pub fn try_next(&mut self) -> Option<Result<(K, Ref<'a, V>), Damaged>> {
        match &mut self.0 {
            Source::Empty => None,
            Source::Plain(range) => range.next().map(|entry| Ok(lend(entry))),
            Source::Stored(range) => range.next().map(decode),
        }
    }

    /// The next entry from the end, or the damage that it was met by.
    #[doc(hidden)]
    pub fn try_next_back(&mut self) -> Option<Result<(K, Ref<'a, V>), Damaged>> {
        match &mut self.0 {
            Source::Empty => None,
            Source::Plain(range) => range.next_back().map(|entry| Ok(lend(entry))),
            Source::Stored(range) => range.next_back().map(decode),
        }
    }
}

fn lend<'a, K: Clone, V>((key, value): (&K, &'a V)) -> (K, Ref<'a, V>) {
    (key.clone(), Ref::Borrowed(value))
}

/// Key bytes in a store were written by this crate: others mean that the store is damaged.
fn decode<K: Key, V>(
    entry: Result<(KeyBytes, Ref<'_, V>), Damaged>,
) -> Result<(K, Ref<'_, V>), Damaged> {
    let (bytes, value) = entry?;
    match K::decode_key(&bytes) {
        Ok(key) => Ok((key, value)),
        Err(error) => Err(Damaged::new("the store of a PState", 0, error.to_string())),
    }
}

impl<'a, K: Key, V> Iterator for Range<'a, K, V> {
    type Item = (K, Ref<'a, V>);

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().map(|entry| entry.unwrap_or_else(|damaged| unwind(damaged)))
    }
}

impl<K: Key, V> DoubleEndedIterator for Range<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.try_next_back().map(|entry| entry.unwrap_or_else(|damaged| unwind(damaged)))
    }
}

impl<K: Key, V> FusedIterator for Range<'_, K, V> {}

/// All entries of a [`Map`](crate::Map), in the order of their keys.
pub type Iter<'a, K, V> = Range<'a, K, V>;

/// The keys of a [`Map`](crate::Map), in order.
pub struct Keys<'a, K, V>(pub(super) Range<'a, K, V>);

/// The values of a [`Map`](crate::Map), in the order of their keys.
pub struct Values<'a, K, V>(pub(super) Range<'a, K, V>);

impl<K: Key, V> Iterator for Keys<'_, K, V> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        self.0.next().map(|(key, _)| key)
    }
}

impl<K: Key, V> DoubleEndedIterator for Keys<'_, K, V> {
    fn next_back(&mut self) -> Option<K> {
        self.0.next_back().map(|(key, _)| key)
    }
}

impl<K: Key, V> FusedIterator for Keys<'_, K, V> {}

impl<'a, K: Key, V> Iterator for Values<'a, K, V> {
    type Item = Ref<'a, V>;

    fn next(&mut self) -> Option<Ref<'a, V>> {
        self.0.next().map(|(_, value)| value)
    }
}

impl<K: Key, V> DoubleEndedIterator for Values<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(_, value)| value)
    }
}

impl<K: Key, V> FusedIterator for Values<'_, K, V> {}

/// The entries that a [`Map`](crate::Map) had, in the order of their keys.
pub struct IntoIter<K, V>(pub(super) im::ordmap::ConsumingIter<K, V, Shared>);

impl<K, V> Clone for IntoIter<K, V> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone, V: Clone> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    #[inline]
    fn next(&mut self) -> Option<(K, V)> {
        self.0.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<K: Clone, V: Clone> DoubleEndedIterator for IntoIter<K, V> {
    #[inline]
    fn next_back(&mut self) -> Option<(K, V)> {
        self.0.next_back()
    }
}

impl<K: Clone, V: Clone> ExactSizeIterator for IntoIter<K, V> {}

impl<K: Clone, V: Clone> FusedIterator for IntoIter<K, V> {}

impl<K, V> fmt::Debug for IntoIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").finish_non_exhaustive()
    }
}

/// The contents are not shown: looking would use the iterator up.
macro_rules! opaque_debug {
    ($($name:ident)*) => { $(
        impl<K, V> fmt::Debug for $name<'_, K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )* };
}

opaque_debug!(Range Keys Values);
