//! The place of one key in a map.

use std::fmt;

use crate::State;

/// A key's place in a [`Map`](crate::Map), filled or not.
pub struct Entry<'a, K, V> {
    key: K,
    place: Place<'a, K, V>,
}

enum Place<'a, K, V> {
    Plain(&'a mut im::OrdMap<K, V>),
    Stored(&'a mut Option<V>),
}

impl<'a, K, V> Entry<'a, K, V> {
    pub(super) fn plain(key: K, map: &'a mut im::OrdMap<K, V>) -> Self {
        Self { key, place: Place::Plain(map) }
    }

    pub(super) fn stored(slot: &'a mut Option<V>, key: K) -> Self {
        Self { key, place: Place::Stored(slot) }
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<'a, K: Ord + Clone, V: State> Entry<'a, K, V> {
    /// The value, after filling an empty place with this one.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value, after filling an empty place with what the function returns.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        match self.place {
            Place::Plain(map) => map.entry(self.key).or_insert_with(make),
            Place::Stored(slot) => slot.get_or_insert_with(make),
        }
    }

    /// The value, after filling an empty place with the default.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Changes the value if there is one.
    #[must_use = "the entry may still be filled; use `get_mut` where it shall not"]
    pub fn and_modify(mut self, change: impl FnOnce(&mut V)) -> Self {
        let value = match &mut self.place {
            Place::Plain(map) => map.get_mut(&self.key),
            Place::Stored(slot) => slot.as_mut(),
        };
        if let Some(value) = value {
            change(value);
        }
        self
    }
}

impl<K: fmt::Debug, V> fmt::Debug for Entry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}
