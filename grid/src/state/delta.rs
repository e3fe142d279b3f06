//! An immutable, sorted set of changes: what one batch, or several merged ones, did to a root.

use std::cmp::Ordering;

use gridmill_model::{KeyBytes, State};
use gridmill_persistence::run::hash_key;

use super::lookup::Lookup;
use super::order::compare;

/// Changes by key, in key order. `None` says that the key was removed.
#[derive(Debug)]
pub(crate) struct Delta<V> {
    entries: Vec<(KeyBytes, Option<V>)>,
    /// Whether everything older is gone: the root was cleared before these entries were written.
    clears: bool,
    /// About how many bytes of memory this takes.
    weight: usize,
    /// Where keys stand, for a delta that is looked into.
    lookup: Option<Lookup>,
}

impl<V: State> Delta<V> {
    /// A delta of `entries`, which must be sorted by key and free of duplicates.
    pub(crate) fn new(entries: Vec<(KeyBytes, Option<V>)>, clears: bool) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "a delta is sorted");
        let weight = entries.iter().map(entry_weight).sum();
        Self { entries, clears, weight, lookup: None }
    }

    /// The same delta, ready to be looked into. One that is merged away at once needs no lookup.
    pub(crate) fn with_lookup(mut self) -> Self {
        self.lookup = Lookup::new(self.entries.iter().map(|(key, _)| hash_key(key)));
        self.weight += self.lookup.as_ref().map_or(0, Lookup::bytes);
        self
    }

    /// What the delta says of `key`, whose [`hash_key`] is `hash`.
    pub(crate) fn get(&self, key: &[u8], hash: u64) -> Option<&Option<V>> {
        let at = match &self.lookup {
            Some(lookup) => lookup.find(hash, |entry| self.entries[entry].0.as_slice() == key)?,
            None => self.entries.binary_search_by(|(probe, _)| compare(probe, key)).ok()?,
        };
        Some(&self.entries[at].1)
    }

    pub(crate) fn entries(&self) -> &[(KeyBytes, Option<V>)] {
        &self.entries
    }

    pub(crate) fn clears(&self) -> bool {
        self.clears
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Both deltas as one; where both have a key, `newer` wins.
    pub(crate) fn merge(newer: &Self, older: &Self) -> Self {
        if newer.clears {
            return Self::new(newer.entries.clone(), true);
        }
        let mut entries = Vec::with_capacity(newer.entries.len() + older.entries.len());
        let (mut new, mut old) = (newer.entries.as_slice(), older.entries.as_slice());
        while let ([next, new_rest @ ..], [prior, old_rest @ ..]) = (new, old) {
            let order = compare(&next.0, &prior.0);
            entries.push(if order.is_le() { next.clone() } else { prior.clone() });
            if order != Ordering::Greater {
                new = new_rest;
            }
            if order != Ordering::Less {
                old = old_rest;
            }
        }
        entries.extend_from_slice(new);
        entries.extend_from_slice(old);
        Self::new(entries, older.clears)
    }
}

fn entry_weight<V: State>(entry: &(KeyBytes, Option<V>)) -> usize {
    let spilled = if entry.0.spilled() { entry.0.len() } else { 0 };
    let value = entry.1.as_ref().map_or(0, State::weight);
    size_of::<(KeyBytes, Option<V>)>() + spilled + value
}
