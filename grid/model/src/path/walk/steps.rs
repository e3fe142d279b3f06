//! The steps that mean the same everywhere.

use std::cmp::Ordering;

use super::Walk;
use super::branch::{self, Here, Missing, Spot};
use super::change::{Change, Effect};
use super::own;
use super::visit::Visit;
use crate::path::check::ValueType;
use crate::path::data::filter::{Compare, Filter};
use crate::path::data::step::{Every, Step, Transformed, View};
use crate::path::error::{Misfit, PathError};
use crate::path::trail::Trail;

/// Walks on from a value that is there.
pub(in crate::path) fn walk<T: Walk>(
    value: &T,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Or(_) => value.walk(rest, visit),
        Step::Filter(filter) => {
            let passes =
                passes(value, filter).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
            if passes { value.walk(rest, visit) } else { Ok(()) }
        }
        Step::Transformed(made) => {
            let value = Some(value.clone());
            let (value, after) = visit.transforming(|places, trail| {
                transformed(value, made, (step, rest), trail, places)
            })?;
            onward(value, after, visit)
        }
        Step::Own(own) => own::walk(own, value, (step, rest), visit),
        _ => {
            let again = &mut |steps: &[Step], visit: &mut Visit<'_>| value.walk(steps, visit);
            let taken = branch::walk(step, rest, visit, again)?;
            if taken { Ok(()) } else { Err(visit.trail.misfit(step, rest.len(), unfit::<T>(step))) }
        }
    }
}

/// Walks on where a value is missing: only a default gives it a meaning here.
pub(in crate::path) fn walk_absent<T: Walk>(
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Or(value) => {
            let value: T = decode(value).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
            value.walk_owned(rest, visit)
        }
        Step::Transformed(made) => {
            let (value, after) = visit.transforming(|places, trail| {
                transformed::<T>(None, made, (step, rest), trail, places)
            })?;
            onward(value, after, visit)
        }
        _ => {
            let again = &mut |steps: &[Step], visit: &mut Visit<'_>| T::walk_absent(steps, visit);
            if branch::walk(step, rest, visit, again)? {
                return Ok(());
            }
            T::next(step).map(drop).map_err(|e| visit.trail.misfit(step, rest.len(), e))
        }
    }
}

fn onward<T: Walk>(
    value: Option<T>,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match value {
        Some(value) => value.walk_owned(rest, visit),
        None => T::walk_absent(rest, visit),
    }
}

/// The value as a transform would leave it, and the steps after that of the transform.
fn transformed<'s, T: Walk>(
    value: Option<T>,
    made: &Transformed,
    (step, rest): (&Step, &'s [Step]),
    trail: Trail<'_>,
    places: &mut u64,
) -> Result<(Option<T>, &'s [Step]), PathError> {
    let (branches, after) = branch::split(trail, step, rest)?;
    let mut end = made.term.clone();
    let trail = trail.before(branches[0].behind);
    let mut change = Change::new(trail, &mut end, false).within(*places);
    let mut spot = Missing(value);
    let changed = spot.change(branches[0].steps, &mut change);
    *places = change.places_left();
    changed.map(|_| (spot.0, after))
}

/// Changes a value that is there.
pub(in crate::path) fn walk_mut<T: Walk>(
    value: &mut T,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    match step {
        Step::Or(_) => value.walk_mut(rest, change),
        Step::Filter(filter) => {
            let passes =
                passes(value, filter).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            if passes { value.walk_mut(rest, change) } else { Ok(Effect::Kept) }
        }
        Step::Transformed(made) => {
            let (trail, places) = (change.trail, &mut change.places_left());
            let old = Some(value.clone());
            let (new, after) = transformed(old, made, (step, rest), trail, places)?;
            let Some(mut new) = new else { return Ok(Effect::Kept) };
            let effect = new.walk_mut(after, change)?;
            if effect == Effect::Changed {
                *value = new;
            }
            Ok(effect)
        }
        Step::Own(own) => own::walk_mut(own, value, (step, rest), change),
        _ => {
            let taken = branch::walk_mut(step, rest, change, &mut Here(value))?;
            taken.ok_or_else(|| change.trail.misfit(step, rest.len(), unfit::<T>(step)))
        }
    }
}

/// Makes a value where none is: from a default that the rest of the path then writes.
pub(in crate::path) fn create<T: Walk>(
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Option<T>, PathError> {
    match step {
        Step::Or(value) => {
            let value: T = decode(value).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            written(value, rest, change)
        }
        Step::Transformed(made) => {
            let (trail, places) = (change.trail, &mut change.places_left());
            let (new, after) = transformed::<T>(None, made, (step, rest), trail, places)?;
            new.map_or(Ok(None), |new| written(new, after, change))
        }
        _ => {
            let mut spot = Missing(None);
            if branch::walk_mut(step, rest, change, &mut spot)?.is_some() {
                return Ok(spot.0);
            }
            let next = T::next(step).map(|_| None);
            next.map_err(|e| change.trail.misfit(step, rest.len(), e))
        }
    }
}

/// The value, if the steps write it.
pub(in crate::path) fn written<T: Walk>(
    mut value: T,
    steps: &[Step],
    change: &mut Change<'_>,
) -> Result<Option<T>, PathError> {
    match value.walk_mut(steps, change)? {
        Effect::Changed => Ok(Some(value)),
        Effect::Kept => Ok(None),
        Effect::Removed => {
            change.uncount();
            Ok(None)
        }
    }
}

/// The kind of value after a step that means the same at every type.
pub(in crate::path) fn next<T: Walk>(step: &Step) -> Result<ValueType, Misfit> {
    match step {
        Step::Or(value) => decode::<T>(value)?,
        Step::Filter(filter) if filter.compare.needs_order() && !T::ORDERED => {
            return Err(Misfit::new("a type with an order", T::shape(), "filter on a field of it"));
        }
        Step::Filter(filter) => decode::<T>(&filter.value)?,
        Step::Stop | Step::Put(_) | Step::Dispense => return Ok(ValueType::of::<T>()),
        Step::Own(own) => return own::next::<T>(own),
        step => return Err(unfit::<T>(step)),
    };
    Ok(ValueType::of::<T>())
}

fn passes<T: Walk>(value: &T, filter: &Filter) -> Result<bool, Misfit> {
    let other = value.another(&filter.value)?;
    let ordering = || value.order(&other);
    Ok(match filter.compare {
        Compare::Eq => *value == other,
        Compare::Ne => *value != other,
        Compare::Gt => ordering() == Some(Ordering::Greater),
        Compare::Lt => ordering() == Some(Ordering::Less),
        Compare::Ge => ordering().is_some_and(Ordering::is_ge),
        Compare::Le => ordering().is_some_and(Ordering::is_le),
    })
}

pub(in crate::path) fn decode<T: Walk>(bytes: &[u8]) -> Result<T, Misfit> {
    decode_first(bytes).map(|(value, _)| value)
}

/// The value that the bytes start with, and what lies behind it.
pub(in crate::path) fn decode_first<T: Walk>(bytes: &[u8]) -> Result<(T, &[u8]), Misfit> {
    postcard::take_from_bytes(bytes).map_err(|error| no_value(&T::shape(), bytes, &error))
}

/// The number of elements that the bytes of a list start with, and the elements.
pub(in crate::path) fn decode_len(bytes: &[u8]) -> Result<(u64, &[u8]), Misfit> {
    postcard::take_from_bytes(bytes).map_err(|error| no_value("a list", bytes, &error))
}

fn no_value(shape: &str, bytes: &[u8], error: &postcard::Error) -> Misfit {
    let got = format!("{} bytes that are none ({error})", bytes.len());
    Misfit::new(format!("a value of type {shape}"), got, "build the path anew")
}

/// The step is for other types.
pub(in crate::path) fn unfit<T: Walk>(step: &Step) -> Misfit {
    let expected = match step {
        Step::Key(_) | Step::Must(_) | Step::MapVals | Step::MapKeys | Step::MapKey(_) => "a map",
        Step::Backwards(Every::Value | Every::Key) => "a map",
        Step::Nth(_) | Step::Index(_) | Step::AfterElem | Step::BeforeElem => "a list",
        Step::Range(..) | Step::Take(..) | Step::Filtered(_) | Step::IndexedVals => "a list",
        Step::BeforeIndex(_) | Step::Splice(_) => "a list",
        Step::First | Step::Last => "a list or a pair",
        Step::All | Step::Len | Step::Backwards(Every::Element) => "a list, a set or a map",
        Step::KeyRange(_) | Step::Keys(_) => "a map or a set",
        Step::View(View::Sum(_) | View::Avg) => "a list or a set of numbers",
        Step::View(_) => "a list or a set of values with an order",
        Step::Variant(_) => "an enum with such a variant",
        Step::Elem(_) | Step::AddElem => "a set",
        Step::Field(_) => "a record with such a field",
        Step::Some => "an Option",
        _ => "another type",
    };
    let help = format!("leave out `{}`, or take it at another place", step.name());
    Misfit::new(expected, T::shape(), help)
}

/// Walks on from a value that was computed, such as a length: it may be filtered, not written.
pub(in crate::path) fn computed<T: Walk>(
    mut value: T,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    match value.walk_mut(rest, change)? {
        Effect::Kept => Ok(Effect::Kept),
        _ => {
            let got = format!("the value of `{}`, which is computed", step.name());
            let help = "change the collection itself";
            change.refuse(step, rest, Misfit::new("a place that can be written", got, help))
        }
    }
}
