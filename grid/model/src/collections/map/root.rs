//! The map as the root of a PState: what the engine and the walking of paths use.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use super::{Map, Repr, Stock};
use crate::collections::Ref;
use crate::engine::{Damaged, ReadStore, RootStore};
use crate::key::{Probe, bytes_of};
use crate::path::{PathError, Step, Visit};
use crate::{AsKey, Key, KeyBytes, Root, State};

impl<K: Key, V: State> Map<K, V> {
    /// A window onto a store.
    #[doc(hidden)]
    pub fn from_root(store: Box<dyn RootStore<V>>) -> Self {
        Self { repr: Repr::Root(store) }
    }

    /// A window onto what is published; a change makes an ordinary map of it.
    #[doc(hidden)]
    pub fn from_view(view: Arc<dyn ReadStore<V>>) -> Self {
        Self { repr: Repr::View(view) }
    }

    /// The store behind the window; `None` for an ordinary map.
    #[doc(hidden)]
    pub fn root_mut(&mut self) -> Option<&mut (dyn RootStore<V> + 'static)> {
        match &mut self.repr {
            Repr::Plain(_) | Repr::View(_) => None,
            Repr::Root(store) => Some(store.as_mut()),
        }
    }

    /// The entries as an ordinary map.
    #[doc(hidden)]
    pub fn into_plain(self) -> Self {
        match self.repr {
            Repr::Plain(_) => self,
            Repr::Root(_) | Repr::View(_) => self.clone(),
        }
    }

    /// The entries as an ordinary map, without a copy where they are one.
    pub(crate) fn as_plain(&self) -> Cow<'_, im::OrdMap<K, V>> {
        match &self.repr {
            Repr::Plain(map) => Cow::Borrowed(map),
            Repr::Root(_) | Repr::View(_) => {
                let entries = self.iter().map(|(key, value)| (key, value.into_owned()));
                Cow::Owned(entries.collect())
            }
        }
    }

    /// Whether both are clones between which nothing was changed; false also where that is not known.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.repr, &other.repr) {
            (Repr::Plain(own), Repr::Plain(other)) => own.ptr_eq(other),
            _ => false,
        }
    }

    /// Looks a value up.
    ///
    /// # Errors
    /// [`Damaged`] when this is the root of a PState and the entry cannot be read.
    #[doc(hidden)]
    pub fn try_get(&self, key: impl AsKey<K>) -> Result<Option<Ref<'_, V>>, Damaged> {
        match &self.repr {
            Repr::Plain(map) => Ok(map.get(&Probe(key)).map(Ref::Borrowed)),
            Repr::Root(store) => store.get(&bytes_of(&key)),
            Repr::View(view) => view.get(&bytes_of(&key)),
        }
    }

    /// The place of a key in a store, `None` for an ordinary map.
    ///
    /// # Errors
    /// [`Damaged`] when the entry cannot be read.
    #[doc(hidden)]
    pub fn try_get_mut(&mut self, key: impl AsKey<K>) -> Result<Option<&mut V>, Damaged> {
        match self.changeable() {
            Stock::Plain(map) => Ok(map.get_mut(&Probe(key))),
            Stock::Root(store) => store.get_mut(&bytes_of(&key)),
        }
    }
}

impl<K: Key, V: State> Root for Map<K, V> {
    type Key = K;
    type Value = V;
    const KEYED: bool = true;

    fn from_store(store: Box<dyn RootStore<V>>) -> Option<Self> {
        Some(Self::from_root(store))
    }

    fn from_view(view: Arc<dyn ReadStore<V>>, _: fn() -> Self) -> Result<Self, Damaged> {
        Ok(Map::from_view(view))
    }

    fn store_mut(&mut self) -> Option<&mut (dyn RootStore<V> + 'static)> {
        self.root_mut()
    }

    fn into_entries(self) -> Vec<(KeyBytes, V)> {
        match self.repr {
            Repr::Plain(map) => {
                map.into_iter().map(|(key, value)| (bytes_of(&key), value)).collect()
            }
            Repr::Root(store) => stored_entries(store.as_ref()),
            Repr::View(view) => stored_entries(view.as_ref()),
        }
    }

    fn walk_view(
        store: &dyn ReadStore<V>,
        steps: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        crate::path::walk_store::<K, V>(store, steps, visit)
    }
}

fn stored_entries<V: State>(store: &dyn ReadStore<V>) -> Vec<(KeyBytes, V)> {
    let entries = store.range(Bound::Unbounded, Bound::Unbounded);
    entries
        .map(|entry| match entry {
            Ok((key, value)) => (key, value.into_owned()),
            Err(damaged) => crate::engine::unwind(damaged),
        })
        .collect()
}
