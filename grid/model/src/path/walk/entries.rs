//! Entries of a map by their key bytes, whether they lie in memory or in a store.

use std::ops::Bound;

use super::error::{Misfit, PathError};
use super::step::{Edge, KeyRange, Step};
use super::visit::Visit;
use super::walk::Walk;
use super::{common, walk_map};
use crate::engine::ReadStore;
use crate::map::Range;
use crate::{Damaged, Key, KeyError, Map, Ref, State};

/// Why an entry cannot be shown.
pub(super) enum Fault {
    /// Its stored bytes are damaged.
    Damaged(Damaged),
    /// The bytes of a key are none of this type.
    Key(Misfit),
}

impl From<Damaged> for Fault {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl Fault {
    /// The error, at the step that asked for the entry.
    pub(super) fn at(self, trail: super::Trail<'_>, step: &Step, rest: &[Step]) -> PathError {
        match self {
            Self::Damaged(damaged) => PathError::damaged(trail.pstate(), damaged),
            Self::Key(misfit) => trail.misfit(step, rest, misfit),
        }
    }
}

/// Decodes the key of a step.
pub(super) fn decode_key<K: Key>(bytes: &[u8]) -> Result<K, Misfit> {
    K::decode_key(bytes).map_err(|error: KeyError| {
        let expected = format!("the bytes of a key of type {}", K::shape());
        Misfit::new(expected, error.to_string(), "build the path anew")
    })
}

/// The entries of a span, in key order.
pub(super) type Span<'a, K, V> =
    Box<dyn DoubleEndedIterator<Item = Result<(K, Ref<'a, V>), Fault>> + 'a>;

/// Entries that can be looked up and listed.
pub(super) trait Entries<K, V> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Fault>;
    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault>;
    fn count(&self) -> u64;

    /// Takes a step that is not about entries.
    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError>;
}

impl<K: Key, V: State> Entries<K, V> for Map<K, V> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Fault> {
        let key: K = decode_key(key).map_err(Fault::Key)?;
        Ok(self.try_get(&key)?)
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault> {
        let bounds = (from.decode().map_err(Fault::Key)?, to.decode().map_err(Fault::Key)?);
        Ok(Box::new(Trying(self.range::<(Bound<K>, Bound<K>)>(bounds))))
    }

    fn count(&self) -> u64 {
        self.len() as u64
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        common::walk(self, step, rest, visit)
    }
}

/// A range that hands out damage instead of unwinding with it.
struct Trying<'a, K, V>(Range<'a, K, V>);

impl<'a, K: Key, V> Iterator for Trying<'a, K, V> {
    type Item = Result<(K, Ref<'a, V>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.try_next().map(|entry| entry.map_err(Fault::from))
    }
}

impl<K: Key, V> DoubleEndedIterator for Trying<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.try_next_back().map(|entry| entry.map_err(Fault::from))
    }
}

/// The entries that lie in a partition's store.
pub(super) struct Stored<'s, V>(pub(super) &'s dyn ReadStore<V>);

impl<K: Key, V: State> Entries<K, V> for Stored<'_, V> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Fault> {
        Ok(self.0.get(key)?)
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault> {
        let decoded = self.0.range(from.as_bound(), to.as_bound()).map(|entry| {
            let (key, value) = entry?;
            Ok((decode_key(&key).map_err(Fault::Key)?, value))
        });
        Ok(Box::new(decoded))
    }

    fn count(&self) -> u64 {
        self.0.len()
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match step {
            Step::Or(_) => walk_store::<K, V>(self.0, rest, visit),
            Step::FilterSelected(count) => {
                let (condition, after) = common::condition(visit.trail, step, *count, rest)?;
                let holds = visit
                    .holds(after.len(), |visit| walk_store::<K, V>(self.0, condition, visit))?;
                if holds { walk_store::<K, V>(self.0, after, visit) } else { Ok(()) }
            }
            Step::Filter(_) => {
                let map: Map<K, V> = walk_map::whole(self, visit)?;
                common::walk(&map, step, rest, visit)
            }
            _ => Err(visit.trail.misfit(step, rest, common::unfit::<Map<K, V>>(step))),
        }
    }
}

impl Edge {
    pub(super) fn as_bound(&self) -> Bound<&[u8]> {
        match self {
            Self::Open => Bound::Unbounded,
            Self::Including(key) => Bound::Included(key),
            Self::Excluding(key) => Bound::Excluded(key),
        }
    }

    pub(super) fn decode<K: Key>(&self) -> Result<Bound<K>, Misfit> {
        Ok(match self {
            Self::Open => Bound::Unbounded,
            Self::Including(key) => Bound::Included(decode_key(key)?),
            Self::Excluding(key) => Bound::Excluded(decode_key(key)?),
        })
    }
}

impl KeyRange {
    /// Everything.
    pub(super) const ALL: Self =
        Self { from: Edge::Open, to: Edge::Open, limit: None, keep_last: false };

    /// Refuses bounds that are no keys of that type.
    pub(super) fn check<K: Key>(&self) -> Result<(), Misfit> {
        self.from.decode::<K>()?;
        self.to.decode::<K>().map(drop)
    }

    /// Whether nothing can lie between the bounds. Ordered collections panic on such bounds.
    pub(super) fn is_void(&self) -> bool {
        match (self.from.as_bound(), self.to.as_bound()) {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
            | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        }
    }

    /// Takes what the limit leaves, in key order.
    pub(super) fn limited<T>(
        &self,
        items: impl DoubleEndedIterator<Item = T>,
    ) -> impl Iterator<Item = T> {
        let limit =
            self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (forward, backward) =
            if self.keep_last { (None, Some(items)) } else { (Some(items), None) };
        let mut tail: Vec<T> = backward.into_iter().flat_map(|i| i.rev().take(limit)).collect();
        tail.reverse();
        forward.into_iter().flatten().take(limit).chain(tail)
    }
}

/// Selects in a stored root map.
///
/// # Errors
///
/// As [`Walk::walk`].
pub fn walk_store<K: Key, V: State>(
    store: &dyn ReadStore<V>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match steps.split_first() {
        Some((step, rest)) => walk_map::walk::<K, V>(&Stored(store), step, rest, visit),
        None => {
            let map: Map<K, V> = walk_map::whole(&Stored(store), visit)?;
            visit.leaf_owned(map)
        }
    }
}

/// Selects in a stored root that is one value, under the empty key.
///
/// # Errors
///
/// As [`Walk::walk`].
pub fn walk_blob<T: Walk>(
    store: &dyn ReadStore<T>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match store.get(&[]) {
        Ok(found) => walk_map::onward(found, steps, visit),
        Err(damaged) => Err(PathError::damaged(visit.trail.pstate(), damaged)),
    }
}
