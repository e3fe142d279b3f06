//! Entries of a map by their key bytes, whether they lie in memory or in a store.

use std::ops::Bound;

use super::visit::Visit;
use super::{Walk, steps};
use crate::map::Range;
use crate::path::data::filter::{Edge, KeyRange};
use crate::path::data::keys::decode_key;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};
use crate::path::trail::Trail;
use crate::{Damaged, Key, Map, Ref, State};

/// Why an entry cannot be shown.
pub(in crate::path) enum Fault {
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
    pub(in crate::path) fn at(self, trail: Trail<'_>, step: &Step, rest: &[Step]) -> PathError {
        match self {
            Self::Damaged(damaged) => PathError::damaged(trail.pstate(), damaged),
            Self::Key(misfit) => trail.misfit(step, rest.len(), misfit),
        }
    }
}

/// The entries of a span, in key order.
pub(in crate::path) type Span<'a, K, V> =
    Box<dyn DoubleEndedIterator<Item = Result<(K, Ref<'a, V>), Fault>> + 'a>;

/// Entries that can be looked up and listed.
pub(in crate::path) trait Entries<K, V> {
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
        steps::walk(self, step, rest, visit)
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

/// Walks on from a value that was looked up, or where it is missing.
pub(in crate::path) fn onward<V: Walk>(
    found: Option<Ref<'_, V>>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match found {
        None => V::walk_absent(steps, visit),
        Some(Ref::Borrowed(value)) => value.walk(steps, visit),
        Some(Ref::Owned(value)) => value.walk_owned(steps, visit),
    }
}

/// The entries of a range as a map of their own.
pub(in crate::path) fn part<K: Key, V: State>(
    entries: &impl Entries<K, V>,
    range: &KeyRange,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<Map<K, V>, PathError> {
    let mut part = Map::new();
    if range.is_void() {
        return Ok(part);
    }
    let span = entries.span(&range.from, &range.to).map_err(|e| e.at(visit.trail, step, rest))?;
    for entry in range.limited(span) {
        visit.place()?;
        let (key, value) = entry.map_err(|e| e.at(visit.trail, step, rest))?;
        part.insert(key, value.into_owned());
    }
    Ok(part)
}

/// All entries as a map in memory.
pub(in crate::path) fn whole<K: Key, V: State>(
    entries: &impl Entries<K, V>,
    visit: &mut Visit<'_>,
) -> Result<Map<K, V>, PathError> {
    let step = Step::All;
    part(entries, &KeyRange::ALL, &step, &[], visit)
}
