//! What a map has in common with the maps of the standard library.

use std::fmt;

use super::{IntoIter, Map, Range, Repr};
use crate::collections::Ref;
use crate::{Key, State};

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// O(1), but for the root of a PState, of which a clone reads everything.
impl<K: Key, V: State> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        match &self.repr {
            Repr::Plain(map) => Self { repr: Repr::Plain(map.clone()) },
            Repr::Root(_) | Repr::View(_) => {
                self.iter().map(|(key, value)| (key, value.into_owned())).collect()
            }
        }
    }
}

impl<K: Key, V: State> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.repr, &other.repr) {
            // By what differs, so that nodes which both share are not looked at.
            (Repr::Plain(own), Repr::Plain(other)) if V::REFLEXIVE => own == other,
            // Also in the same memory: `NaN` does not equal itself.
            (Repr::Plain(own), Repr::Plain(other)) => plain_eq(own, other),
            _ => self.iter().eq(other.iter()),
        }
    }
}

fn plain_eq<K: Key, V: State>(own: &im::OrdMap<K, V>, other: &im::OrdMap<K, V>) -> bool {
    own.len() == other.len() && own.iter().eq(other.iter())
}

impl<K: Key, V: State + Eq> Eq for Map<K, V> {}

impl<K: Key, V: State> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Key, V: State> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Self { repr: Repr::Plain(iter.into_iter().collect()) }
    }
}

impl<K: Key, V: State> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, iter: I) {
        for (key, value) in iter {
            self.insert(key, value);
        }
    }
}

impl<K: Key, V: State, const N: usize> From<[(K, V); N]> for Map<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Key, V: State> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        match self.repr {
            Repr::Plain(map) => IntoIter(map.into_iter()),
            Repr::Root(_) | Repr::View(_) => self.clone().into_iter(),
        }
    }
}

impl<'a, K: Key, V: State> IntoIterator for &'a Map<K, V> {
    type Item = (K, Ref<'a, V>);
    type IntoIter = Range<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
