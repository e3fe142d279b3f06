//! What is computed of all elements: sums, extremes, means.

use std::cmp::Ordering;

use super::Walk;
use super::change::{Change, Effect};
use super::leaf::LeafValue;
use super::number::Number;
use super::steps::{computed, unfit};
use super::visit::Visit;
use crate::path::check::ValueType;
use crate::path::data::step::{NumberKind, Step, View};
use crate::path::error::{Misfit, PathError};

/// What a view came to.
pub(super) enum Seen<T> {
    /// There was nothing to see.
    Nothing,
    /// A number of its own.
    Number(Number),
    /// One of the elements.
    Value(T),
}

/// Looks at elements one after the other.
pub(super) struct Tally<T> {
    view: View,
    sum: Option<Number>,
    count: u64,
    best: Option<T>,
}

impl<T: Walk> Tally<T> {
    pub(super) fn new(view: View) -> Self {
        Self { view, sum: T::ZERO, count: 0, best: None }
    }

    pub(super) fn add(&mut self, value: &T) -> Result<(), Misfit> {
        self.count += 1;
        match self.view {
            View::Sum(_) | View::Avg => {
                if let (Some(sum), Some(number)) = (self.sum, Walk::number(value)) {
                    self.sum = Some(sum.plus(number)?);
                }
            }
            View::Min | View::Max => {
                let better = |best: &T| value.order(best) == Some(wanted(self.view));
                // A NaN is no extreme of anything, unless there is nothing else.
                let comparable = value.order(value).is_some();
                if comparable && self.best.as_ref().is_none_or(better) {
                    self.best = Some(value.clone());
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Seen<T> {
        match self.view {
            View::Sum(_) => self.sum.map_or(Seen::Nothing, Seen::Number),
            View::Avg => mean(self.sum, self.count).map_or(Seen::Nothing, Seen::Number),
            View::Min | View::Max => self.best.map_or(Seen::Nothing, Seen::Value),
        }
    }
}

fn wanted(view: View) -> Ordering {
    if view == View::Min { Ordering::Less } else { Ordering::Greater }
}

fn mean(sum: Option<Number>, count: u64) -> Option<Number> {
    sum.filter(|_| count > 0).map(|sum| Number::Float(sum.to_f64() / count as f64))
}

impl<T: Walk> Seen<T> {
    /// Walks on from what was seen.
    pub(super) fn walk(self, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Number(number) => walk_number(number, rest, visit),
            Self::Value(value) => value.walk_owned(rest, visit),
        }
    }

    /// Changes along steps that may filter what was seen, and cannot write it.
    pub(super) fn change(
        self,
        step: &Step,
        rest: &[Step],
        change: &mut Change<'_>,
    ) -> Result<Effect, PathError> {
        match self {
            Self::Nothing => Ok(Effect::Kept),
            Self::Value(value) => computed(value, step, rest, change),
            Self::Number(Number::Unsigned(number)) => computed(number, step, rest, change),
            Self::Number(Number::Signed(number)) => computed(number, step, rest, change),
            Self::Number(Number::Float(number)) => computed(number, step, rest, change),
            Self::Number(Number::Wide(number)) => computed(number, step, rest, change),
            Self::Number(Number::WideSigned(number)) => computed(number, step, rest, change),
        }
    }
}

/// Walks on from a number in the type that sums of its kind have.
pub(super) fn walk_number(
    number: Number,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match number {
        Number::Unsigned(number) => number.walk_owned(rest, visit),
        Number::Signed(number) => number.walk_owned(rest, visit),
        Number::Float(number) => number.walk_owned(rest, visit),
        Number::Wide(number) => number.walk_owned(rest, visit),
        Number::WideSigned(number) => number.walk_owned(rest, visit),
    }
}

/// Where a view of elements of type `T` is missing its collection: the sum of nothing, or nothing.
pub(super) fn walk_absent<T: Walk>(
    view: View,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    Tally::<T>::new(view).finish().walk(rest, visit)
}

/// The type that a view of elements of type `T` leads to.
pub(super) fn next<T: Walk, C: Walk>(step: &Step, view: View) -> Result<ValueType, Misfit> {
    match view {
        View::Min | View::Max if T::ORDERED => Ok(ValueType::of::<T>()),
        View::Avg if T::ZERO.is_some() => Ok(ValueType::of::<f64>()),
        View::Sum(kind) if T::ZERO == Some(Number::zero(kind)) => Ok(type_of(kind)),
        _ => Err(unfit::<C>(step)),
    }
}

/// The type that sums of its kind have.
pub(in crate::path) fn type_of(kind: NumberKind) -> ValueType {
    match kind {
        NumberKind::Unsigned => ValueType::of::<u64>(),
        NumberKind::Signed => ValueType::of::<i64>(),
        NumberKind::Float => ValueType::of::<f64>(),
        NumberKind::Wide => ValueType::of::<u128>(),
        NumberKind::WideSigned => ValueType::of::<i128>(),
    }
}

/// Looks at values without their types. What kind a sum is of, where there are none, the step knows.
pub(super) fn of_values(
    view: View,
    values: &[super::leaf::Carried],
) -> Result<Seen<&dyn LeafValue>, Misfit> {
    match view {
        View::Min | View::Max => {
            let better = |best: &dyn LeafValue, value: &dyn LeafValue| {
                best.compare(best).is_none() || value.compare(best) == Some(wanted(view))
            };
            let mut best: Option<&dyn LeafValue> = None;
            for value in values {
                if best.is_none_or(|best| better(best, &**value)) {
                    best = Some(&**value);
                }
            }
            let best = best.filter(|best| best.compare(*best).is_some());
            Ok(best.map_or(Seen::Nothing, Seen::Value))
        }
        View::Sum(kind) => {
            let mut numbers = values.iter().filter_map(|value| value.number());
            numbers.try_fold(Number::zero(kind), Number::plus).map(Seen::Number)
        }
        View::Avg => {
            let mut numbers = values.iter().filter_map(|value| value.number());
            let Some(first) = numbers.next() else { return Ok(Seen::Nothing) };
            let sum = numbers.try_fold(first, Number::plus)?;
            Ok(mean(Some(sum), values.len() as u64).map_or(Seen::Nothing, Seen::Number))
        }
    }
}
