//! Steps with branches: conditions, choices, sub-selects, and looking along steps before anything is written.

use super::Walk;
use super::change::{Change, Effect};
use super::gather::{Encoded, Feed, Gathering};
use super::visit::{Again, AnyValue, Visit};
use crate::path::data::limits::Limits;
use crate::path::data::step::{Amount, Branches, Step};
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;

/// Splits the steps after one into its branches and what follows them.
pub(in crate::path) fn split<'s>(
    trail: Trail<'_>,
    step: &Step,
    rest: &'s [Step],
) -> Result<Branches<'s>, PathError> {
    step.split(rest).map_err(|misfit| trail.misfit(step, rest.len(), misfit))
}

/// Takes a step that only leads along others, if it is one. `again` walks them from the value at hand, wherever
/// that lies, also where it is missing.
pub(in crate::path) fn walk(
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
    again: &mut Again<'_>,
) -> Result<bool, PathError> {
    let (branches, after) = split(visit.trail, step, rest)?;
    match step {
        Step::FilterSelected(_) | Step::FilterNotSelected(_) => {
            let wanted = matches!(step, Step::FilterSelected(_));
            if visit.holds(branches[0], again)? == wanted {
                again(after, visit)?;
            }
        }
        Step::If(..) => {
            let holds = visit.holds(branches[0], again)?;
            visit.through(branches[if holds { 1 } else { 2 }], after, again)?;
        }
        Step::Multi(_) => {
            for branch in branches {
                // Counted, so that branches in branches come to an end.
                if !visit.place()? {
                    break;
                }
                visit.through(branch, after, again)?;
            }
        }
        Step::Stop => {}
        Step::Subselect(_) => {
            let mut found = Gathering::default();
            visit.aside(branches[0], &mut found, again)?;
            found.into_values().walk_owned(after, visit)?;
        }
        Step::Collect(amount, _) => {
            let mut found = Gathering::default();
            visit.aside(branches[0], &mut found, again)?;
            let value = match amount {
                Amount::All => Box::new(found.into_values()),
                Amount::One => found.into_one().map_err(|misfit| {
                    visit.trail.at(PathErrorKind::ManyValues, step, rest.len(), misfit)
                })?,
            };
            visit.carrying(value, |visit| again(after, visit))?;
        }
        Step::Put(bytes) => {
            visit.carrying(Box::new(Encoded(bytes.clone())), |visit| again(after, visit))?;
        }
        Step::Dispense => visit.dispensed(|visit| again(after, visit))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A value that a transform stands at, or the place where it is missing.
pub(in crate::path) trait Spot {
    /// Walks from the value as it is now.
    fn look(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError>;

    /// Changes the value, or makes it.
    fn change(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError>;
}

/// A value that is there.
pub(in crate::path) struct Here<'a, T>(pub(in crate::path) &'a mut T);

impl<T: Walk> Spot for Here<'_, T> {
    fn look(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        self.0.walk(steps, visit)
    }

    fn change(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        self.0.walk_mut(steps, change)
    }
}

/// A value that is missing until it is made.
pub(in crate::path) struct Missing<T>(pub(in crate::path) Option<T>);

impl<T: Walk> Spot for Missing<T> {
    fn look(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match &self.0 {
            Some(value) => value.walk(steps, visit),
            None => T::walk_absent(steps, visit),
        }
    }

    fn change(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        let Some(value) = &mut self.0 else {
            self.0 = T::create(steps, change)?;
            return Ok(if self.0.is_some() { Effect::Changed } else { Effect::Kept });
        };
        let effect = value.walk_mut(steps, change)?;
        if effect == Effect::Removed {
            self.0 = None;
            change.uncount();
        }
        Ok(effect)
    }
}

/// Changes along a step that only leads along others, if it is one.
pub(in crate::path) fn walk_mut(
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
    spot: &mut dyn Spot,
) -> Result<Option<Effect>, PathError> {
    let (branches, after) = split(change.trail, step, rest)?;
    let look = |spot: &dyn Spot, change: &Change<'_>| {
        let mut nobody = AnyValue(false);
        let mut visit = Visit::along(change.trail, &mut nobody, Limits::NONE);
        visit.holds(branches[0], &mut |steps, visit| spot.look(steps, visit))
    };
    let effect = match step {
        Step::FilterSelected(_) | Step::FilterNotSelected(_) => {
            let wanted = matches!(step, Step::FilterSelected(_));
            let holds = look(spot, change)? == wanted;
            if holds { spot.change(after, change)? } else { Effect::Kept }
        }
        Step::If(..) => {
            let branch = branches[if look(spot, change)? { 1 } else { 2 }];
            change.through(branch, after, |steps, change| spot.change(steps, change))?
        }
        Step::Multi(_) => {
            let mut all = Effect::Kept;
            for branch in branches {
                change.place()?;
                match change.through(branch, after, |steps, change| spot.change(steps, change))? {
                    Effect::Kept => {}
                    Effect::Changed => all = Effect::Changed,
                    Effect::Removed => return Ok(Some(Effect::Removed)),
                }
            }
            all
        }
        Step::Stop => Effect::Kept,
        Step::Subselect(_) => subselect_mut(step, rest, change, spot)?,
        // What is collected is for selects: a transform walks on without.
        Step::Collect(..) | Step::Put(_) | Step::Dispense => spot.change(after, change)?,
        _ => return Ok(None),
    };
    Ok(Some(effect))
}

/// Changes the list of what a sub-path reaches, and gives each place its value of the new list. Places that are
/// left over when the list is shorter lose their values.
fn subselect_mut(
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
    spot: &mut dyn Spot,
) -> Result<Effect, PathError> {
    let (branches, after) = split(change.trail, step, rest)?;
    let mut found = Gathering::default();
    let mut nobody = AnyValue(false);
    let mut visit = Visit::along(change.trail, &mut nobody, Limits::NONE);
    visit.aside(branches[0], &mut found, &mut |steps, visit| spot.look(steps, visit))?;
    let mut values = found.into_values();
    let places = values.len();
    if values.walk_mut(after, change)? == Effect::Kept {
        return Ok(Effect::Kept);
    }
    if values.len() > places {
        let expected = format!("at most the {places} values that the sub-path reaches");
        let help = "put no more into the list than was in it";
        return change.refuse(step, rest, Misfit::new(expected, values.len().to_string(), help));
    }
    // The list is no place of its own.
    change.uncount();
    let mut feed = Feed::new(values);
    change.aside(branches[0], &mut feed, |steps, change| spot.change(steps, change))
}

/// Whether the steps reach anything from this value.
pub(in crate::path) fn reaches<T: Walk>(
    value: &T,
    steps: &[Step],
    trail: Trail<'_>,
) -> Result<bool, PathError> {
    let mut found = AnyValue(false);
    value.walk(steps, &mut Visit::along(trail, &mut found, Limits::NONE))?;
    Ok(found.0)
}

/// The steps up to the last filter, to be looked along before anything is written: values that
/// a filter spares need not be touched.
///
/// A look cannot pass steps that may create, so it ends before the first of them.
pub(in crate::path) fn probe(steps: &[Step]) -> Option<&[Step]> {
    let (mut at, mut end) = (0, 0);
    while let Some(step) = steps.get(at) {
        at += 1;
        match step {
            Step::FilterSelected(count) | Step::FilterNotSelected(count) => {
                at += usize::from(*count);
                end = at;
            }
            Step::Filter(_) => end = at,
            Step::Nth(_)
            | Step::Index(_)
            | Step::First
            | Step::Last
            | Step::All
            | Step::MapVals
            | Step::MapKeys
            | Step::MapKey(_)
            | Step::Must(_)
            | Step::Field(_)
            | Step::Elem(_)
            | Step::Or(_)
            | Step::KeyRange(_)
            | Step::Len
            | Step::View(_) => {}
            _ => break,
        }
    }
    steps.get(..end).filter(|probe| !probe.is_empty())
}

/// Whether a value is worth changing, as far as a look along the `probe` of `steps` can tell.
pub(in crate::path) fn worth<T: Walk>(
    value: &T,
    probe: Option<&[Step]>,
    steps: &[Step],
    trail: Trail<'_>,
) -> Result<bool, PathError> {
    let Some(probe) = probe else { return Ok(true) };
    reaches(value, probe, trail.before(steps.len() - probe.len()))
}
