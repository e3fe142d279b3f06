//! Entries by their key bytes, wherever they lie: those of maps, and elements of sets as entries without values.

use std::marker::PhantomData;
use std::ops::Bound;

use super::found;
use super::visit::Visit;
use super::{Walk, branch, steps};
use crate::engine::Found;
use crate::map::Range;
use crate::path::data::filter::{Edge, KeyRange};
use crate::path::data::keys::decode_key;
use crate::path::data::step::{Every, Step, StepKey};
use crate::path::error::{Misfit, PathError};
use crate::path::trail::Trail;
use crate::{Damaged, Key, Map, Ref, Set, State};

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
    Box<dyn DoubleEndedIterator<Item = Result<(K, Found<'a, V>), Fault>> + 'a>;

/// Entries that can be looked up and listed.
pub(in crate::path) trait Entries<K: Key, V: State> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Fault>;
    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault>;

    /// How many there are. Where they have to be counted one by one, none of their values is looked at.
    fn count(&self) -> Result<u64, Fault>;

    /// Takes a step that is not about entries.
    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError>;
}

/// A collection that is made of entries: a map, or a set.
pub(in crate::path) trait Collection<K: Key, V: State>: Walk + Default {
    /// Whether its entries are elements without values.
    const IS_SET: bool = false;

    /// Puts an entry in.
    fn put(&mut self, key: K, value: V);

    /// Walks on from an entry as the collection's element.
    fn element(
        key: K,
        value: Found<'_, V>,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError>;

    /// Takes a step that only this collection has.
    fn own_step(
        entries: &dyn Entries<K, V>,
        step: &Step,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError>;
}

impl<K: Key, V: State> Entries<K, V> for Map<K, V> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Fault> {
        let key: K = decode_key(key).map_err(Fault::Key)?;
        Ok(self.try_get(&key)?.map(Found::from))
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault> {
        let bounds = (from.decode().map_err(Fault::Key)?, to.decode().map_err(Fault::Key)?);
        Ok(Box::new(Trying(self.range::<(Bound<K>, Bound<K>)>(bounds))))
    }

    fn count(&self) -> Result<u64, Fault> {
        Ok(self.len() as u64)
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        steps::walk(self, step, rest, visit)
    }
}

impl<T: Key> Entries<T, ()> for Set<T> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Found<'_, ()>>, Fault> {
        let elem: T = decode_key(key).map_err(Fault::Key)?;
        Ok(self.contains(&elem).then_some(Found::Made(())))
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, T, ()>, Fault> {
        let bounds = (from.decode().map_err(Fault::Key)?, to.decode().map_err(Fault::Key)?);
        let elements = self.range::<(Bound<T>, Bound<T>)>(bounds);
        Ok(Box::new(elements.map(|elem| Ok((elem.clone(), Found::Made(()))))))
    }

    fn count(&self) -> Result<u64, Fault> {
        Ok(self.len() as u64)
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        steps::walk(self, step, rest, visit)
    }
}

/// A range that hands out damage instead of unwinding with it.
struct Trying<'a, K, V>(Range<'a, K, V>);

impl<'a, K: Key, V> Iterator for Trying<'a, K, V> {
    type Item = Result<(K, Found<'a, V>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.try_next().map(lent)
    }
}

impl<K: Key, V> DoubleEndedIterator for Trying<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.try_next_back().map(lent)
    }
}

fn lent<K, V>(entry: Result<(K, Ref<'_, V>), Damaged>) -> Result<(K, Found<'_, V>), Fault> {
    let (key, value) = entry?;
    Ok((key, Found::from(value)))
}

/// The entries between two keys, as a part of others: nothing is copied.
struct Within<'e, K, V, C> {
    entries: &'e dyn Entries<K, V>,
    from: Edge,
    to: Edge,
    of: PhantomData<fn() -> C>,
}

impl<'e, K: Key, V: State, C: Collection<K, V>> Within<'e, K, V, C> {
    /// The entries of a range. Its limit becomes a bound: the last key that still belongs to it.
    fn new(
        entries: &'e dyn Entries<K, V>,
        range: &KeyRange,
        (step, rest): (&Step, &[Step]),
        visit: &mut Visit<'_>,
    ) -> Result<Self, PathError> {
        let checked = range.check::<K>();
        checked.map_err(|misfit| visit.trail.misfit(step, rest.len(), misfit))?;
        let (from, to) = (range.from.clone(), range.to.clone());
        let mut within = Self { entries, from, to, of: PhantomData };
        match range.limit {
            None => {}
            Some(0) => within.to = Edge::NOTHING,
            Some(limit) => {
                let last = within.last_of(limit, range.keep_last, (step, rest), visit)?;
                let bound = last.map(|key| Edge::Including(crate::key::bytes_of(&key)));
                match bound {
                    Some(bound) if range.keep_last => within.from = bound,
                    Some(bound) => within.to = bound,
                    None => {}
                }
            }
        }
        Ok(within)
    }

    /// The last key that `limit` leaves, if it leaves any out.
    fn last_of(
        &self,
        limit: u64,
        back: bool,
        (step, rest): (&Step, &[Step]),
        visit: &mut Visit<'_>,
    ) -> Result<Option<K>, PathError> {
        let span = self.span(&Edge::Open, &Edge::Open);
        let mut span = span.map_err(|e| e.at(visit.trail, step, rest))?;
        let mut last = None;
        for _ in 0..limit {
            let Some(entry) = (if back { span.next_back() } else { span.next() }) else {
                return Ok(None);
            };
            visit.place()?;
            last = Some(entry.map_err(|e| e.at(visit.trail, step, rest))?.0);
        }
        Ok(last)
    }

    fn bounds(&self, from: &Edge, to: &Edge) -> (Edge, Edge) {
        (self.from.later(from).clone(), self.to.earlier(to).clone())
    }
}

impl<K: Key, V: State, C: Collection<K, V>> Entries<K, V> for Within<'_, K, V, C> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Fault> {
        if self.from.admits_above(key) && self.to.admits_below(key) {
            self.entries.look_up(key)
        } else {
            decode_key::<K>(key).map(|_| None).map_err(Fault::Key)
        }
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault> {
        let (from, to) = self.bounds(from, to);
        if Edge::is_void(&from, &to) {
            return Ok(Box::new(std::iter::empty()));
        }
        self.entries.span(&from, &to)
    }

    fn count(&self) -> Result<u64, Fault> {
        if (&self.from, &self.to) == (&Edge::Open, &Edge::Open) {
            return self.entries.count();
        }
        self.span(&Edge::Open, &Edge::Open)?
            .try_fold(0, |count, entry| Ok(count + entry.map(|_| 1)?))
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        other::<K, V, C>(self, step, rest, visit)
    }
}

/// Takes a step that is not about entries, where these are no collection of their own.
pub(in crate::path) fn other<K: Key, V: State, C: Collection<K, V>>(
    entries: &dyn Entries<K, V>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    let mut again = |steps: &[Step], visit: &mut Visit<'_>| go::<K, V, C>(entries, steps, visit);
    if let Step::Or(_) = step {
        return again(rest, visit);
    }
    if branch::walk(step, rest, visit, &mut again)? {
        return Ok(());
    }
    // Without a need for it, a collection is not made to find out that the step is none of its own.
    if !matches!(step, Step::Filter(_) | Step::Transformed(_) | Step::Own(_)) {
        return Err(visit.trail.misfit(step, rest.len(), steps::unfit::<C>(step)));
    }
    let whole: C = whole(entries, visit)?;
    steps::walk(&whole, step, rest, visit)
}

/// Walks from entries that are no collection of their own.
pub(in crate::path) fn go<K: Key, V: State, C: Collection<K, V>>(
    entries: &dyn Entries<K, V>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match steps.split_first() {
        Some((step, rest)) => walk::<K, V, C>(entries, step, rest, visit),
        None => {
            let whole: C = whole(entries, visit)?;
            visit.leaf_owned(whole)
        }
    }
}

/// Takes one step from the entries of a collection `C`.
pub(in crate::path) fn walk<K: Key, V: State, C: Collection<K, V>>(
    entries: &dyn Entries<K, V>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::All | Step::Backwards(Every::Element) => {
            let back = *step != Step::All;
            each(entries, back, (step, rest), visit, |key, value, visit| {
                C::element(key, value, rest, visit)
            })
        }
        Step::Len => {
            let count = entries.count().map_err(|e| e.at(visit.trail, step, rest))?;
            count.walk_owned(rest, visit)
        }
        Step::KeyRange(range) => {
            let within = Within::<K, V, C>::new(entries, range, (step, rest), visit)?;
            go::<K, V, C>(&within, rest, visit)
        }
        Step::Keys(keys) => {
            let part: C = picked(entries, keys, (step, rest), visit)?;
            part.walk_owned(rest, visit)
        }
        step => C::own_step(entries, step, rest, visit),
    }
}

/// Visits every entry in key order, or against it.
pub(in crate::path) fn each<'e, K: Key, V: State>(
    entries: &'e dyn Entries<K, V>,
    back: bool,
    (step, rest): (&Step, &[Step]),
    visit: &mut Visit<'_>,
    mut walk: impl FnMut(K, Found<'e, V>, &mut Visit<'_>) -> Result<(), PathError>,
) -> Result<(), PathError> {
    let span = entries.span(&Edge::Open, &Edge::Open);
    let mut span = span.map_err(|e| e.at(visit.trail, step, rest))?;
    while let Some(entry) = if back { span.next_back() } else { span.next() } {
        if !visit.place()? {
            break;
        }
        let (key, value) = entry.map_err(|e| e.at(visit.trail, step, rest))?;
        walk(key, value, visit)?;
    }
    Ok(())
}

/// All entries as a collection in memory.
pub(in crate::path) fn whole<K: Key, V: State, C: Collection<K, V>>(
    entries: &dyn Entries<K, V>,
    visit: &mut Visit<'_>,
) -> Result<C, PathError> {
    let mut all = C::default();
    let mut bytes = 0;
    each(entries, false, (&Step::All, &[]), visit, |key, value, visit| {
        let value = value.into_owned().map_err(|damaged| found::at(visit, damaged))?;
        // No more is held than may be handed over.
        bytes += size_of::<(K, V)>() + if visit.counts_bytes() { value.weight() } else { 0 };
        visit.check_bytes(bytes)?;
        all.put(key, value);
        Ok(())
    })?;
    Ok(all)
}

/// The entries under some keys, as a collection.
fn picked<K: Key, V: State, C: Collection<K, V>>(
    entries: &dyn Entries<K, V>,
    keys: &[StepKey],
    (step, rest): (&Step, &[Step]),
    visit: &mut Visit<'_>,
) -> Result<C, PathError> {
    let mut part = C::default();
    for StepKey(bytes) in keys {
        visit.place()?;
        let fail = |fault: Fault, visit: &Visit<'_>| fault.at(visit.trail, step, rest);
        let key: K = decode_key(bytes).map_err(|e| fail(Fault::Key(e), visit))?;
        if let Some(value) = entries.look_up(bytes).map_err(|e| fail(e, visit))? {
            part.put(key, value.into_owned().map_err(|damaged| found::at(visit, damaged))?);
        }
    }
    Ok(part)
}

/// The part of a collection in memory that a step names, as one of its own; none for other steps.
pub(in crate::path) fn part<K: Key, V: State, C: Collection<K, V> + Entries<K, V>>(
    entries: &C,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<Option<C>, PathError> {
    match step {
        Step::KeyRange(range) => {
            let within = Within::<K, V, C>::new(entries, range, (step, rest), visit)?;
            whole(&within, visit).map(Some)
        }
        Step::Keys(keys) => picked(entries, keys, (step, rest), visit).map(Some),
        _ => Ok(None),
    }
}
