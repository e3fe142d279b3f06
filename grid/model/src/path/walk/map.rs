//! Maps: selects. Changes are in `walk_map_mut`.

use super::change::{Change, Outcome};
use super::common;
use super::error::{Misfit, PathError};
use super::kind::{Kind, from_json};
use super::step::{KeyRange, Step};
use super::visit::Visit;
use super::walk::Walk;
use super::walk_entries::{Entries, decode_key};
use super::walk_map_mut;
use crate::key::KeyBytes;
use crate::{Key, Map, Ref, State};

impl<K: Key, V: State> Walk for Map<K, V> {
    fn shape() -> String {
        Self::schema().to_string()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.leaf(self),
            Some((step, rest)) => walk::<K, V>(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => Ok(()),
            Some((Step::Key(_), rest)) => V::walk_absent(rest, visit),
            Some((Step::KeyRange(_), rest)) => Self::new().walk_owned(rest, visit),
            Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
            Some((step, rest)) => common::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Outcome, PathError> {
        match steps.split_first() {
            None => change.end(self),
            Some((step, rest)) => walk_map_mut::walk_mut(self, step, rest, change),
        }
    }

    fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
        match steps.split_first() {
            None => change.make(),
            Some((Step::Key(_) | Step::KeyRange(_) | Step::Len, _)) => {
                common::written(Self::new(), steps, change)
            }
            Some((step, rest)) => common::create(step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<Kind, Misfit> {
        match step {
            Step::Key(key) | Step::Must(key) => decode_key::<K>(key).map(|_| Kind::of::<V>()),
            Step::MapVals => Ok(Kind::of::<V>()),
            Step::MapKeys => Ok(Kind::of::<K>()),
            Step::All => Ok(Kind::of::<(K, V)>()),
            Step::Len => Ok(Kind::of::<u64>()),
            Step::KeyRange(range) => {
                range.check::<K>()?;
                Ok(Kind::of::<Self>())
            }
            step => common::next::<Self>(step),
        }
    }

    fn key_from_json(json: &serde_json::Value) -> Result<KeyBytes, Misfit> {
        from_json::<K>(json).map(|key| crate::key::bytes_of(&key))
    }
}

/// Walks on from a value that was looked up, or where it is missing.
pub(super) fn onward<V: Walk>(
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

/// Takes one step from the entries of a map.
pub(super) fn walk<K: Key, V: State>(
    entries: &impl Entries<K, V>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Key(key) => {
            let found = entries.look_up(key).map_err(|e| e.at(visit.trail, step, rest))?;
            onward(found, rest, visit)
        }
        Step::Must(key) => {
            let found = entries.look_up(key).map_err(|e| e.at(visit.trail, step, rest))?;
            if found.is_some() { onward(found, rest, visit) } else { Ok(()) }
        }
        Step::MapVals => {
            each(entries, step, rest, visit, |_, value, visit| onward(Some(value), rest, visit))
        }
        Step::MapKeys => {
            each(entries, step, rest, visit, |key, _, visit| key.walk_owned(rest, visit))
        }
        Step::All => {
            each(entries, step, rest, visit, |key, value, visit| walk_pair(key, value, rest, visit))
        }
        Step::Len => entries.count().walk_owned(rest, visit),
        Step::KeyRange(range) => {
            let part: Map<K, V> = part(entries, range, step, rest, visit)?;
            part.walk_owned(rest, visit)
        }
        step => entries.other(step, rest, visit),
    }
}

/// Walks an entry as a pair, without making the pair where only one part is asked for.
fn walk_pair<K: Key, V: State>(
    key: K,
    value: Ref<'_, V>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match steps.split_first() {
        Some((Step::First, rest)) => key.walk_owned(rest, visit),
        Some((Step::Last, rest)) => onward(Some(value), rest, visit),
        _ => (key, value.into_owned()).walk_owned(steps, visit),
    }
}

/// Visits every entry in key order.
fn each<'e, K: Key, V: State>(
    entries: &'e impl Entries<K, V>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
    mut walk: impl FnMut(K, Ref<'e, V>, &mut Visit<'_>) -> Result<(), PathError>,
) -> Result<(), PathError> {
    let all = &KeyRange::ALL;
    let span = entries.span(&all.from, &all.to).map_err(|e| e.at(visit.trail, step, rest))?;
    for entry in span {
        if !visit.place()? {
            break;
        }
        let (key, value) = entry.map_err(|e| e.at(visit.trail, step, rest))?;
        walk(key, value, visit)?;
    }
    Ok(())
}

/// The entries of a range as a map of their own.
pub(super) fn part<K: Key, V: State>(
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
pub(super) fn whole<K: Key, V: State>(
    entries: &impl Entries<K, V>,
    visit: &mut Visit<'_>,
) -> Result<Map<K, V>, PathError> {
    let step = Step::All;
    part(entries, &KeyRange::ALL, &step, &[], visit)
}
