//! Maps: selects. Changes are in `map_mut`.

use super::change::{Change, Effect};
use super::entries::{Entries, onward, part};
use super::visit::Visit;
use super::{Walk, map_mut, steps};
use crate::path::check::{KeyType, ValueType};
use crate::path::data::filter::KeyRange;
use crate::path::data::keys::decode_key;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};
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
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        match steps.split_first() {
            None => change.end(self),
            Some((step, rest)) => map_mut::walk_mut(self, step, rest, change),
        }
    }

    fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
        match steps.split_first() {
            None => change.make(),
            Some((Step::Key(_) | Step::KeyRange(_) | Step::Len, _)) => {
                steps::written(Self::new(), steps, change)
            }
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        match step {
            Step::Key(key) | Step::Must(key) => decode_key::<K>(key).map(|_| ValueType::of::<V>()),
            Step::MapVals => Ok(ValueType::of::<V>()),
            Step::MapKeys => Ok(ValueType::of::<K>()),
            Step::All => Ok(ValueType::of::<(K, V)>()),
            Step::Len => Ok(ValueType::of::<u64>()),
            Step::KeyRange(range) => {
                range.check::<K>()?;
                Ok(ValueType::of::<Self>())
            }
            step => steps::next::<Self>(step),
        }
    }

    fn key_type() -> Option<KeyType> {
        Some(KeyType::of::<K>())
    }
}

/// Takes one step from the entries of a map.
pub(in crate::path) fn walk<K: Key, V: State>(
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
