//! A persistent sorted set.

use std::fmt;
use std::ops::RangeBounds;

use super::set_iter::{SetIntoIter, SetIter, SetRange};
use crate::key::Probe;
use crate::{AsKey, Key};

/// A sorted set that clones in O(1) and shares what clones have in common.
///
/// Elements come in the order of `Ord`, which is that of their key bytes.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let mut tags = Set::new();
/// assert!(tags.insert(Str::new("urgent")));
/// assert!(tags.contains("urgent"));
/// assert!(!tags.remove("late"));
/// ```
#[derive(Clone)]
pub struct Set<T>(im::OrdSet<T>);

impl<T> Set<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self(im::OrdSet::new())
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn plain(&self) -> &im::OrdSet<T> {
        &self.0
    }
}

impl<T: Key> Set<T> {
    /// Whether both are clones between which nothing was changed; false also where that is not known.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }

    /// Whether the element is in the set.
    pub fn contains(&self, value: impl AsKey<T>) -> bool {
        self.0.contains(&Probe(value))
    }

    /// Adds an element; false if it was there.
    pub fn insert(&mut self, value: T) -> bool {
        self.0.insert(value).is_none()
    }

    /// Takes an element out; false if it was not there.
    pub fn remove(&mut self, value: impl AsKey<T>) -> bool {
        self.0.remove(&Probe(value)).is_some()
    }

    /// Takes out all elements.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The least element.
    pub fn first(&self) -> Option<&T> {
        self.0.get_min()
    }

    /// The greatest element.
    pub fn last(&self) -> Option<&T> {
        self.0.get_max()
    }

    /// The elements in order.
    pub fn iter(&self) -> SetIter<'_, T> {
        SetIter(self.0.iter())
    }

    /// The elements of a range, in order; nothing if it ends before it starts.
    pub fn range<R: RangeBounds<T>>(&self, range: R) -> SetRange<'_, T> {
        let bounds = super::map::ordered(&range);
        SetRange(bounds.map(|bounds| self.0.range::<_, T>(bounds)))
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Ord> PartialEq for Set<T> {
    fn eq(&self, other: &Self) -> bool {
        // Not by `OrdSet`, which compares by differences: up to imbl 7.0.1 it missed some.
        self.0.ptr_eq(&other.0) || (self.len() == other.len() && self.0.iter().eq(other.0.iter()))
    }
}

impl<T: Ord> Eq for Set<T> {}

impl<T: Ord + fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

impl<T: Key> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl<T: Key> Extend<T> for Set<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl<T: Key, const N: usize> From<[T; N]> for Set<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Key> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = SetIntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        SetIntoIter(self.0.into_iter())
    }
}

impl<'a, T: Key> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = SetIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
