//! Selecting in what a partition stores, entry by entry.

use crate::engine::{Found, ReadStore};
use crate::path::data::filter::Edge;
use crate::path::data::keys::decode_key;
use crate::path::data::step::Step;
use crate::path::error::PathError;
use crate::path::walk::entries::{self, Entries, Fault, Span};
use crate::path::walk::found::{at, onward};
use crate::path::walk::visit::Visit;
use crate::{Key, Map, State};

/// The entries that lie in a partition's store.
struct Stored<'s, V>(&'s dyn ReadStore<V>);

impl<K: Key, V: State> Entries<K, V> for Stored<'_, V> {
    fn look_up(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Fault> {
        Ok(self.0.look(key)?)
    }

    fn span(&self, from: &Edge, to: &Edge) -> Result<Span<'_, K, V>, Fault> {
        let decoded = self.0.scan(from.as_bound(), to.as_bound()).map(|entry| {
            let (key, value) = entry?;
            Ok((decode_key(&key).map_err(Fault::Key)?, value))
        });
        Ok(Box::new(decoded))
    }

    fn count(&self) -> Result<u64, Fault> {
        Ok(self.0.len())
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        entries::other::<K, V, Map<K, V>>(self, step, rest, visit)
    }
}

/// Selects in a stored root map.
///
/// # Errors
///
/// As [`Walk::walk`](crate::path::Walk::walk).
pub fn walk_store<K: Key, V: State>(
    store: &dyn ReadStore<V>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    entries::go::<K, V, Map<K, V>>(&Stored(store), steps, visit)
}

/// Selects in a stored root that is one value, under the empty key.
///
/// # Errors
///
/// As [`Walk::walk`](crate::path::Walk::walk).
pub fn walk_blob<T: State>(
    store: &dyn ReadStore<T>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    let found = store.look(&[]).map_err(|damaged| at(visit, damaged))?;
    onward(found, steps, visit)
}
