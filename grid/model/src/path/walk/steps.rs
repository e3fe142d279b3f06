//! The steps that mean the same at every type.

use std::cmp::Ordering;

use super::change::{Change, Outcome};
use super::error::{Misfit, PathError};
use super::kind::Kind;
use super::step::{Compare, Filter, Step};
use super::trail::Trail;
use super::visit::{AnyValue, Limits, Visit};
use super::walk::Walk;

/// Walks on from a value that is there.
pub(super) fn walk<T: Walk>(
    value: &T,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Or(_) => value.walk(rest, visit),
        Step::Filter(filter) => {
            let passes = passes(value, filter).map_err(|e| visit.trail.misfit(step, rest, e))?;
            if passes { value.walk(rest, visit) } else { Ok(()) }
        }
        Step::FilterSelected(count) => {
            let (condition, after) = condition(visit.trail, step, *count, rest)?;
            let holds = visit.holds(after.len(), |visit| value.walk(condition, visit))?;
            if holds { value.walk(after, visit) } else { Ok(()) }
        }
        _ => Err(visit.trail.misfit(step, rest, unfit::<T>(step))),
    }
}

/// Walks on where a value is missing: only a default gives it a meaning here.
pub(super) fn walk_absent<T: Walk>(
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Or(value) => {
            let value: T = decode(value).map_err(|e| visit.trail.misfit(step, rest, e))?;
            value.walk_owned(rest, visit)
        }
        step => T::next(step).map(drop).map_err(|e| visit.trail.misfit(step, rest, e)),
    }
}

/// Changes a value that is there.
pub(super) fn walk_mut<T: Walk>(
    value: &mut T,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    match step {
        Step::Or(_) => value.walk_mut(rest, change),
        Step::Filter(filter) => {
            let passes = passes(value, filter).map_err(|e| change.trail.misfit(step, rest, e))?;
            if passes { value.walk_mut(rest, change) } else { Ok(Outcome::Kept) }
        }
        Step::FilterSelected(count) => {
            let (condition, after) = condition(change.trail, step, *count, rest)?;
            let holds = reaches(value, condition, change.trail.before(after.len()))?;
            if holds { value.walk_mut(after, change) } else { Ok(Outcome::Kept) }
        }
        _ => Err(change.trail.misfit(step, rest, unfit::<T>(step))),
    }
}

/// Makes a value where none is: from a default that the rest of the path then writes.
pub(super) fn create<T: Walk>(
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Option<T>, PathError> {
    match step {
        Step::Or(value) => {
            let value: T = decode(value).map_err(|e| change.trail.misfit(step, rest, e))?;
            written(value, rest, change)
        }
        step => T::next(step).map(|_| None).map_err(|e| change.trail.misfit(step, rest, e)),
    }
}

/// The value, if the steps write it.
pub(super) fn written<T: Walk>(
    mut value: T,
    steps: &[Step],
    change: &mut Change<'_>,
) -> Result<Option<T>, PathError> {
    match value.walk_mut(steps, change)? {
        Outcome::Changed => Ok(Some(value)),
        Outcome::Kept => Ok(None),
        Outcome::Removed => {
            change.uncount();
            Ok(None)
        }
    }
}

/// Whether the steps reach anything from this value.
pub(super) fn reaches<T: Walk>(
    value: &T,
    steps: &[Step],
    trail: Trail<'_>,
) -> Result<bool, PathError> {
    let mut found = AnyValue(false);
    value.walk(steps, &mut Visit::along(trail, &mut found, Limits::NONE))?;
    Ok(found.0)
}

/// The kind of value after a step that means the same at every type.
pub(super) fn next<T: Walk>(step: &Step) -> Result<Kind, Misfit> {
    match step {
        Step::Or(value) => decode::<T>(value)?,
        Step::Filter(filter) if filter.compare.needs_order() && !T::ORDERED => {
            return Err(Misfit::new("a type with an order", T::shape(), "filter on a field of it"));
        }
        Step::Filter(filter) => decode::<T>(&filter.value)?,
        Step::FilterSelected(_) => return Ok(Kind::of::<T>()),
        step => return Err(unfit::<T>(step)),
    };
    Ok(Kind::of::<T>())
}

/// Splits the steps after a `filter_selected` into its condition and what follows.
pub(super) fn condition<'s>(
    trail: Trail<'_>,
    step: &Step,
    count: u16,
    rest: &'s [Step],
) -> Result<(&'s [Step], &'s [Step]), PathError> {
    rest.split_at_checked(usize::from(count))
        .ok_or_else(|| trail.misfit(step, rest, short_condition(count, rest.len())))
}

pub(super) fn short_condition(count: u16, left: usize) -> Misfit {
    let (expected, got) = (format!("a condition of {count} steps"), format!("{left} steps"));
    Misfit::new(expected, got, "build the path with `filter_selected`")
}

fn passes<T: Walk>(value: &T, filter: &Filter) -> Result<bool, Misfit> {
    let other: T = decode(&filter.value)?;
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

pub(super) fn decode<T: Walk>(bytes: &[u8]) -> Result<T, Misfit> {
    postcard::from_bytes(bytes).map_err(|error| {
        let got = format!("{} bytes that are none ({error})", bytes.len());
        Misfit::new(format!("a value of type {}", T::shape()), got, "build the path anew")
    })
}

/// The step is for other types.
pub(super) fn unfit<T: Walk>(step: &Step) -> Misfit {
    let expected = match step {
        Step::Key(_) | Step::Must(_) | Step::MapVals | Step::MapKeys => "a map",
        Step::Nth(_) | Step::Index(_) | Step::AfterElem | Step::BeforeElem => "a list",
        Step::First | Step::Last => "a list or a pair",
        Step::All | Step::Len => "a list, a set or a map",
        Step::KeyRange(_) => "a map or a set",
        Step::Elem(_) | Step::AddElem => "a set",
        Step::Field(_) => "a record with such a field",
        Step::Some => "an Option",
        _ => "another type",
    };
    let help = format!("leave out `{}`, or take it at another place", step.name());
    Misfit::new(expected, T::shape(), help)
}

/// Walks on from a value that was computed, such as a length: it may be filtered, not written.
pub(super) fn computed<T: Walk>(
    mut value: T,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    match value.walk_mut(rest, change)? {
        Outcome::Kept => Ok(Outcome::Kept),
        _ => {
            let got = format!("the value of `{}`, which is computed", step.name());
            let help = "change the collection itself";
            change.refuse(step, rest, Misfit::new("a place that can be written", got, help))
        }
    }
}

/// The steps up to the last filter, to be looked along before anything is written: values that
/// a filter spares need not be touched.
///
/// A look cannot pass steps that may create, so it ends before the first of them.
pub(super) fn probe(steps: &[Step]) -> Option<&[Step]> {
    let (mut at, mut end) = (0, 0);
    while let Some(step) = steps.get(at) {
        at += 1;
        match step {
            Step::FilterSelected(count) => {
                at += usize::from(*count);
                end = at;
            }
            Step::Filter(_) => end = at,
            Step::AfterElem | Step::BeforeElem | Step::AddElem | Step::Key(_) | Step::Some => break,
            _ => {}
        }
    }
    steps.get(..end).filter(|probe| !probe.is_empty())
}

/// Whether a value is worth changing, as far as a look along the `probe` of `steps` can tell.
pub(super) fn worth<T: Walk>(
    value: &T,
    probe: Option<&[Step]>,
    steps: &[Step],
    trail: Trail<'_>,
) -> Result<bool, PathError> {
    let Some(probe) = probe else { return Ok(true) };
    reaches(value, probe, trail.before(steps.len() - probe.len()))
}
