//! Selecting in what a partition stores, entry by entry.

use crate::engine::ReadStore;
use crate::path::data::filter::Edge;
use crate::path::data::keys::decode_key;
use crate::path::data::step::Step;
use crate::path::error::PathError;
use crate::path::walk::entries::{Entries, Fault, Span, onward, whole};
use crate::path::walk::visit::Visit;
use crate::path::walk::{Walk, branch, map, steps};
use crate::{Key, Map, Ref, State};

/// The entries that lie in a partition's store.
struct Stored<'s, V>(&'s dyn ReadStore<V>);

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
                let (condition, after) = branch::condition(visit.trail, step, *count, rest)?;
                let holds = visit
                    .holds(after.len(), |visit| walk_store::<K, V>(self.0, condition, visit))?;
                if holds { walk_store::<K, V>(self.0, after, visit) } else { Ok(()) }
            }
            Step::Filter(_) => {
                let map: Map<K, V> = whole(self, visit)?;
                steps::walk(&map, step, rest, visit)
            }
            _ => Err(visit.trail.misfit(step, rest.len(), steps::unfit::<Map<K, V>>(step))),
        }
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
        Some((step, rest)) => map::walk::<K, V>(&Stored(store), step, rest, visit),
        None => {
            let map: Map<K, V> = whole(&Stored(store), visit)?;
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
        Ok(found) => onward(found, steps, visit),
        Err(damaged) => Err(PathError::damaged(visit.trail.pstate(), damaged)),
    }
}
