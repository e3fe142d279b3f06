//! Maps: selects. Changes are in `map_mut`.

use super::change::{Change, Effect};
use super::entries::{self, Collection, Entries, each};
use super::found::{self, onward};
use super::visit::Visit;
use super::{Walk, map_mut, steps};
use crate::engine::{Cold, Found};
use crate::path::check::{KeyType, ValueType};
use crate::path::data::keys::decode_key;
use crate::path::data::step::{Every, Step};
use crate::path::error::{Misfit, PathError};
use crate::{Key, Map, State};

impl<K: Key, V: State> Walk for Map<K, V> {
    fn shape() -> String {
        Self::schema().to_string()
    }

    fn room(&self) -> usize {
        size_of::<Self>() + self.weight()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.leaf(self),
            Some((step, rest)) => entries::walk::<K, V, Self>(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.absent::<Self>(),
            Some((Step::Key(_), rest)) => V::walk_absent(rest, visit),
            Some((Step::KeyRange(_) | Step::Keys(_), rest)) => Self::new().walk_owned(rest, visit),
            Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_cold(cold: Cold<'_>, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        super::cold::walk::<K, V, Self>(cold, steps, visit)
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
            Some((Step::Key(_) | Step::KeyRange(_) | Step::Keys(_) | Step::Len, _)) => {
                steps::written(Self::new(), steps, change)
            }
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        match step {
            Step::Key(key) | Step::Must(key) => decode_key::<K>(key).map(|_| ValueType::of::<V>()),
            Step::MapVals | Step::Backwards(Every::Value) => Ok(ValueType::of::<V>()),
            Step::MapKeys | Step::Backwards(Every::Key) => Ok(ValueType::of::<K>()),
            Step::MapKey(key) => decode_key::<K>(key).map(|_| ValueType::of::<K>()),
            Step::All | Step::Backwards(Every::Element) => Ok(ValueType::of::<(K, V)>()),
            Step::Len => Ok(ValueType::of::<u64>()),
            Step::KeyRange(range) => {
                range.check::<K>()?;
                Ok(ValueType::of::<Self>())
            }
            Step::Keys(keys) => {
                keys.iter().try_for_each(|key| decode_key::<K>(&key.0).map(drop))?;
                Ok(ValueType::of::<Self>())
            }
            step => steps::next::<Self>(step),
        }
    }

    fn key_type() -> Option<KeyType> {
        Some(KeyType::of::<K>())
    }
}

impl<K: Key, V: State> Collection<K, V> for Map<K, V> {
    fn put(&mut self, key: K, value: V) {
        Self::put(self, key, value);
    }

    /// An entry as a pair. The pair is not made where only one part is asked for.
    fn element(
        key: K,
        value: Found<'_, V>,
        steps: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        match steps.split_first() {
            Some((Step::First | Step::Field(0), rest)) => key.walk_owned(rest, visit),
            Some((Step::Last | Step::Field(1), rest)) => value.walk(rest, visit),
            _ => {
                let value = value.into_owned().map_err(|damaged| found::at(visit, damaged))?;
                (key, value).walk_owned(steps, visit)
            }
        }
    }

    fn own_step(
        entries: &dyn Entries<K, V>,
        step: &Step,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        match step {
            Step::Key(key) | Step::Must(key) => {
                let found = entries.look_up(key).map_err(|e| e.at(visit.trail, step, rest))?;
                if matches!(step, Step::Key(_)) || found.is_some() {
                    onward(found, rest, visit)
                } else {
                    Ok(())
                }
            }
            Step::MapKey(bytes) => {
                let found = entries.look_up(bytes).map_err(|e| e.at(visit.trail, step, rest))?;
                let key = decode_key::<K>(bytes);
                let key = key.map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                found.map_or(Ok(()), |_| key.walk_owned(rest, visit))
            }
            Step::MapVals | Step::Backwards(Every::Value) => {
                let back = *step != Step::MapVals;
                each(entries, back, (step, rest), visit, |_, value, visit| value.walk(rest, visit))
            }
            Step::MapKeys | Step::Backwards(Every::Key) => {
                let back = *step != Step::MapKeys;
                each(entries, back, (step, rest), visit, |key, _, visit| {
                    key.walk_owned(rest, visit)
                })
            }
            step => entries.other(step, rest, visit),
        }
    }
}
