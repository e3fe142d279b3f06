//! `Option`: the value inside, if there is one.

use std::cmp::Ordering;

use super::change::{Change, Effect};
use super::visit::Visit;
use super::{Walk, found, steps};
use crate::State;
use crate::engine::Cold;
use crate::path::check::ValueType;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

impl<T: State> Walk for Option<T> {
    const ORDERED: bool = T::ORDERED;

    fn shape() -> String {
        Self::schema().to_string()
    }

    fn room(&self) -> usize {
        size_of::<Self>() + self.weight()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match (steps.split_first(), self) {
            (None, _) => visit.leaf(self),
            (Some((Step::Some, rest)), Some(value)) => value.walk(rest, visit),
            (Some((Step::Some, rest)), None) => T::walk_absent(rest, visit),
            (Some((step, rest)), _) => steps::walk(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.absent::<Self>(),
            Some((Step::Some, rest)) => T::walk_absent(rest, visit),
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_cold(cold: Cold<'_>, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let Some((Step::Some, rest)) = steps.split_first() else {
            return found::decoded::<Self>(cold, steps, visit);
        };
        match cold.content::<T>().map_err(|damaged| found::at(visit, damaged))? {
            Some(content) => T::walk_cold(content, rest, visit),
            None => T::walk_absent(rest, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        match steps.split_first() {
            None => change.end(self),
            Some((Step::Some, rest)) => some_mut(self, rest, change),
            Some((step, rest)) => steps::walk_mut(self, step, rest, change),
        }
    }

    fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
        match steps.split_first() {
            None => change.make(),
            Some((Step::Some, rest)) => Ok(T::create(rest, change)?.map(Some)),
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    fn vacant() -> Option<Self> {
        Some(None)
    }

    /// `None` has no place in the order: a comparison with it does not pass.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Some(value), Some(other)) => value.order(other),
            _ => None,
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        match step {
            Step::Some => Ok(ValueType::of::<T>()),
            step => steps::next::<Self>(step),
        }
    }
}

/// Changes, makes or removes the value inside.
fn some_mut<T: Walk>(
    slot: &mut Option<T>,
    steps: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let Some(value) = slot else {
        *slot = T::create(steps, change)?;
        return Ok(if slot.is_some() { Effect::Changed } else { Effect::Kept });
    };
    match value.walk_mut(steps, change)? {
        Effect::Removed => {
            *slot = None;
            Ok(Effect::Changed)
        }
        effect => Ok(effect),
    }
}
