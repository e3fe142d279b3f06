//! A value that a walk came to, wherever it lies.

use super::visit::Visit;
use crate::engine::{Cold, Found};
use crate::path::data::step::Step;
use crate::path::error::PathError;
use crate::{Damaged, State};

impl<V: State> Found<'_, V> {
    /// Walks on from the value.
    pub(in crate::path) fn walk(
        self,
        steps: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        match self {
            Self::Live(value) => value.walk(steps, visit),
            Self::Made(value) => value.walk_owned(steps, visit),
            Self::Cold(cold) => V::walk_cold(cold, steps, visit),
        }
    }
}

/// Walks on from a value that was looked up, or where it is missing.
pub(in crate::path) fn onward<V: State>(
    found: Option<Found<'_, V>>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match found {
        None => V::walk_absent(steps, visit),
        Some(found) => found.walk(steps, visit),
    }
}

/// Decodes a cold value as a whole and walks on from it.
pub(in crate::path) fn decoded<T: State>(
    cold: Cold<'_>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    visit.check_bytes(size_of::<T>())?;
    let value: T = cold.decode().map_err(|damaged| at(visit, damaged))?;
    value.walk_owned(steps, visit)
}

/// Damage that a walk met.
pub(in crate::path) fn at(visit: &Visit<'_>, damaged: Damaged) -> PathError {
    PathError::damaged(visit.trail.pstate(), damaged)
}
