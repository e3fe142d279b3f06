//! Archived maps and sets, searched where they lie.

use std::marker::PhantomData;
use std::mem::offset_of;

use rkyv::collections::util::Entry;

use super::entries::{self, Collection, Entries, Fault, Span};
use super::found;
use super::visit::Visit;
use crate::engine::{Cold, Found};
use crate::key::bytes_of;
use crate::path::data::filter::Edge;
use crate::path::data::keys::decode_key;
use crate::path::data::step::Step;
use crate::path::error::PathError;
use crate::{Damaged, Key, State};

/// The entries of an archived map or set, which lie in the order of their keys.
struct ColdEntries<'a, K, V, C> {
    whole: Cold<'a>,
    first: Cold<'a>,
    len: usize,
    of: PhantomData<(K, V, C)>,
}

/// What an entry takes in an archive: a set has elements only.
pub(super) const fn stride<K: State, V: State>(is_set: bool) -> usize {
    if is_set { size_of::<K::Archived>() } else { size_of::<Entry<K::Archived, V::Archived>>() }
}

impl<'a, K: Key, V: State, C: Collection<K, V> + State> ColdEntries<'a, K, V, C> {
    fn new(whole: Cold<'a>) -> Result<Self, Damaged> {
        let (first, len) = whole.elements(stride::<K, V>(C::IS_SET))?;
        Ok(Self { whole, first, len, of: PhantomData })
    }

    fn entry(&self, at: usize) -> Cold<'a> {
        self.first.behind(at.saturating_mul(stride::<K, V>(C::IS_SET)))
    }

    fn key(&self, at: usize) -> Result<K, Damaged> {
        let at = self.entry(at);
        if C::IS_SET {
            at.decode()
        } else {
            at.behind(offset_of!(Entry<K::Archived, V::Archived>, key)).decode()
        }
    }

    /// The value of an entry. That of an element of a set is `()`, which lies wherever it is looked for.
    fn value(&self, at: usize) -> Found<'a, V> {
        let at = self.entry(at);
        if C::IS_SET {
            Found::Cold(at)
        } else {
            Found::Cold(at.behind(offset_of!(Entry<K::Archived, V::Archived>, value)))
        }
    }

    /// The first position whose key is not before what `is_before` says.
    fn search(&self, is_before: impl Fn(&[u8]) -> bool) -> Result<usize, Damaged> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(&bytes_of(&self.key(middle)?)) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

impl<K: Key, V: State, C: Collection<K, V> + State> Entries<K, V> for ColdEntries<'_, K, V, C> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Fault> {
        let wanted: K = decode_key(key).map_err(Fault::Key)?;
        let at = self.search(|probe| probe < key)?;
        let there = at < self.len && self.key(at)? == wanted;
        Ok(there.then(|| self.value(at)))
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault> {
        let start = self.search(|probe| !from.admits_above(probe))?;
        let end = self.search(|probe| to.admits_below(probe))?;
        Ok(Box::new((start..end.max(start)).map(|at| Ok((self.key(at)?, self.value(at))))))
    }

    fn count(&self) -> Result<u64, Fault> {
        Ok(self.len as u64)
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        entries::other::<K, V, C>(self, step, rest, visit)
    }
}

/// Walks from an archived map or set.
pub(super) fn walk<K: Key, V: State, C: Collection<K, V> + State>(
    cold: Cold<'_>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    let entries = ColdEntries::<K, V, C>::new(cold);
    let entries = entries.map_err(|damaged| found::at(visit, damaged))?;
    match steps.split_first() {
        Some((step, rest)) => entries::walk::<K, V, C>(&entries, step, rest, visit),
        None => {
            visit.check_bytes(entries.len * size_of::<(K, V)>())?;
            found::decoded::<C>(entries.whole, steps, visit)
        }
    }
}
