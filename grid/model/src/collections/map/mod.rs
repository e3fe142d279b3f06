//! A persistent sorted map, or the map that a partition stores.

mod entry;
mod iter;
mod root;
mod traits;

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::collections::Ref;
use crate::engine::{ReadStore, RootStore, unwind};
use crate::key::{Probe, bytes_of};
use crate::{AsKey, Key, State};

pub use entry::Entry;
pub use iter::{IntoIter, Iter, Keys, Range, Values};

/// A sorted map that clones in O(1) and shares what clones have in common.
///
/// Entries come in the order of `Ord` on the keys, which is that of their key bytes. Look-ups take
/// anything that stands for the key ([`AsKey`]): a `&str` for a `Str`.
///
/// At the root of a PState the same type is a window onto the partition's store, entry by entry:
/// values are read into memory when they are asked for, which is why look-ups return a [`Ref`].
/// A clone of such a window is an ordinary map that holds everything.
///
/// # Panics
///
/// Methods on the root of a PState unwind when a stored entry is damaged. Only the engine runs
/// code on such a root, and it stops the partition; an ordinary map never panics.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let mut counts: Map<Str, u64> = Map::new();
/// *counts.entry("alice".into()).or_default() += 1;
/// assert_eq!(counts.get("alice").as_deref(), Some(&1));
/// assert_eq!(counts.remove("alice"), Some(1));
/// assert!(counts.is_empty());
/// ```
///
/// A key of another type does not compile, and neither does a float as key:
///
/// ```compile_fail,E0277
/// use gridmill_model::prelude::*;
///
/// let counts: Map<Str, u64> = Map::new();
/// counts.get(5_u32);
/// ```
///
/// ```compile_fail,E0277
/// use gridmill_model::prelude::*;
///
/// const BY_WEIGHT: PState<Map<f64, Str>> = PState::new("by-weight");
/// ```
pub struct Map<K, V> {
    repr: Repr<K, V>,
}

enum Repr<K, V> {
    Plain(im::OrdMap<K, V>),
    Root(Box<dyn RootStore<V>>),
    View(Arc<dyn ReadStore<V>>),
}

/// What a change is made to.
enum Stock<'m, K, V> {
    Plain(&'m mut im::OrdMap<K, V>),
    Root(&'m mut (dyn RootStore<V> + 'static)),
}

impl<K, V> Map<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self { repr: Repr::Plain(im::OrdMap::new()) }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Plain(map) => map.len(),
            Repr::Root(store) => usize::try_from(store.len()).unwrap_or(usize::MAX),
            Repr::View(view) => usize::try_from(view.len()).unwrap_or(usize::MAX),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        match &self.repr {
            Repr::Plain(map) => map.is_empty(),
            Repr::Root(store) => store.is_empty(),
            Repr::View(view) => view.is_empty(),
        }
    }
}

impl<K: Key, V: State> Map<K, V> {
    /// Looks a value up.
    pub fn get(&self, key: impl AsKey<K>) -> Option<Ref<'_, V>> {
        self.try_get(key).unwrap_or_else(|damaged| unwind(damaged))
    }

    /// Looks a value up, to be changed.
    pub fn get_mut(&mut self, key: impl AsKey<K>) -> Option<&mut V> {
        match self.changeable() {
            Stock::Plain(map) => map.get_mut(&Probe(key)),
            Stock::Root(store) => {
                store.get_mut(&bytes_of(&key)).unwrap_or_else(|damaged| unwind(damaged))
            }
        }
    }

    /// Whether there is an entry under the key.
    pub fn contains_key(&self, key: impl AsKey<K>) -> bool {
        match &self.repr {
            Repr::Plain(map) => map.contains_key(&Probe(key)),
            Repr::Root(store) => {
                store.contains(&bytes_of(&key)).unwrap_or_else(|damaged| unwind(damaged))
            }
            Repr::View(view) => {
                view.contains(&bytes_of(&key)).unwrap_or_else(|damaged| unwind(damaged))
            }
        }
    }

    /// Puts a value under a key, whatever is there. At the root of a PState the old value is not read from disk for
    /// that, unless the handler can refuse its record and the entry would have to be put back.
    ///
    /// ```
    /// use gridmill_model::prelude::*;
    ///
    /// let mut prices: Map<Str, u64> = [("pear".into(), 3)].into();
    /// prices.put("pear".into(), 4);
    /// prices.put("plum".into(), 2);
    /// assert_eq!(prices, [("pear".into(), 4), ("plum".into(), 2)].into());
    /// ```
    pub fn put(&mut self, key: K, value: V) {
        match self.changeable() {
            Stock::Plain(map) => drop(map.insert(key, value)),
            Stock::Root(store) => put(store, &bytes_of(&key), Some(value)),
        }
    }

    /// Takes an entry out, whatever is in it; tells whether there was one. At the root of a PState its value is not
    /// read from disk, as with [`put`](Self::put).
    ///
    /// ```
    /// use gridmill_model::prelude::*;
    ///
    /// let mut prices: Map<Str, u64> = [("pear".into(), 3)].into();
    /// assert!(prices.delete("pear"));
    /// assert!(!prices.delete("plum"));
    /// assert!(prices.is_empty());
    /// ```
    pub fn delete(&mut self, key: impl AsKey<K>) -> bool {
        match self.changeable() {
            Stock::Plain(map) => map.remove(&Probe(key)).is_some(),
            Stock::Root(store) => {
                let bytes = bytes_of(&key);
                let is_there = store.contains(&bytes).unwrap_or_else(|damaged| unwind(damaged));
                if is_there {
                    put(store, &bytes, None);
                }
                is_there
            }
        }
    }

    /// Puts a value under a key and returns the one that was there. Where that is not wanted, [`put`](Self::put)
    /// spares reading it.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.changeable() {
            Stock::Plain(map) => map.insert(key, value),
            Stock::Root(store) => slot(store, &key).replace(value),
        }
    }

    /// Takes an entry out and returns its value.
    pub fn remove(&mut self, key: impl AsKey<K>) -> Option<V> {
        match self.changeable() {
            Stock::Plain(map) => map.remove(&Probe(key)),
            Stock::Root(store) => {
                let bytes = bytes_of(&key);
                if !store.contains(&bytes).unwrap_or_else(|damaged| unwind(damaged)) {
                    return None;
                }
                store.slot_mut(&bytes).unwrap_or_else(|damaged| unwind(damaged)).take()
            }
        }
    }

    /// The place of a key, for a value that may be there or not.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        match self.changeable() {
            Stock::Plain(map) => Entry::plain(key, map),
            Stock::Root(store) => Entry::stored(slot(store, &key), key),
        }
    }

    /// Changes every value, in the order of the keys: what `values_mut` is for a `BTreeMap`. (Values that lie
    /// in a store are there one at a time, so there is no iterator over all.)
    ///
    /// At the root of a PState every entry then counts as changed, and is written.
    ///
    /// ```
    /// use gridmill_model::prelude::*;
    ///
    /// let mut prices: Map<Str, u64> = [("pear".into(), 3), ("plum".into(), 2)].into();
    /// prices.for_each_mut(|name, price| *price += u64::from(*name == "pear"));
    /// assert_eq!(prices, [("pear".into(), 4), ("plum".into(), 2)].into());
    /// ```
    #[doc(alias = "values_mut")]
    #[doc(alias = "iter_mut")]
    pub fn for_each_mut(&mut self, mut change: impl FnMut(&K, &mut V)) {
        let keys: Vec<K> = self.keys().collect();
        for key in keys {
            if let Some(value) = self.get_mut(&key) {
                change(&key, value);
            }
        }
    }

    /// Takes out all entries.
    pub fn clear(&mut self) {
        match self.changeable() {
            Stock::Plain(map) => map.clear(),
            Stock::Root(store) => store.clear(),
        }
    }

    /// What a change is made to: where this is a view, that becomes an ordinary map first.
    fn changeable(&mut self) -> Stock<'_, K, V> {
        if let Repr::View(_) = self.repr {
            *self = self.clone();
        }
        match &mut self.repr {
            Repr::Plain(map) => Stock::Plain(map),
            Repr::Root(store) => Stock::Root(store.as_mut()),
            Repr::View(_) => unreachable!("a clone is an ordinary map"),
        }
    }

    /// The entry with the least key.
    pub fn first(&self) -> Option<(K, Ref<'_, V>)> {
        self.iter().next()
    }

    /// The entry with the greatest key.
    pub fn last(&self) -> Option<(K, Ref<'_, V>)> {
        self.iter().next_back()
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.range(..)
    }

    /// The keys in order.
    pub fn keys(&self) -> Keys<'_, K, V> {
        Keys(self.iter())
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> Values<'_, K, V> {
        Values(self.iter())
    }

    /// The entries of a range of keys, in order; nothing if it ends before it starts.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> Range<'_, K, V> {
        match &self.repr {
            Repr::Plain(map) => match ordered(&range) {
                Some(bounds) => Range::plain(map.range::<_, K>(bounds)),
                None => Range::empty(),
            },
            Repr::Root(store) => Range::stored(stored_range(store.as_ref(), &range)),
            Repr::View(view) => Range::stored(stored_range(view.as_ref(), &range)),
        }
    }
}

fn slot<'s, K: Key, V>(store: &'s mut dyn RootStore<V>, key: &K) -> &'s mut Option<V> {
    store.slot_mut(&bytes_of(key)).unwrap_or_else(|damaged| unwind(damaged))
}

fn put<V>(store: &mut dyn RootStore<V>, key: &[u8], value: Option<V>) {
    store.put(key, value).unwrap_or_else(|damaged| unwind(damaged));
}

fn stored_range<'s, K: Key, V>(
    store: &'s (impl ReadStore<V> + ?Sized),
    range: &impl RangeBounds<K>,
) -> crate::engine::StoreRange<'s, V> {
    let from = range.start_bound().map(bytes_of);
    let to = range.end_bound().map(bytes_of);
    ReadStore::range(store, from.as_ref().map(|b| b.as_slice()), to.as_ref().map(|b| b.as_slice()))
}

/// The bounds, unless the range ends before it starts (which sorted maps answer with a panic).
pub(super) fn ordered<K: Ord>(range: &impl RangeBounds<K>) -> Option<(Bound<&K>, Bound<&K>)> {
    let bounds = (range.start_bound(), range.end_bound());
    let fits = match bounds {
        (Bound::Excluded(from), Bound::Excluded(to)) => from < to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to))
        | (Bound::Included(from), Bound::Excluded(to)) => from <= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
    };
    fits.then_some(bounds)
}
