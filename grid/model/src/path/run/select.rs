//! Collecting what a select reaches, and checking steps that came from outside.

use std::any::Any;

use super::common::short_condition;
use super::error::{Misfit, PathError, PathErrorKind};
use super::kind::Kind;
use super::step::{MAX_NESTING, Step};
use super::trail::Trail;
use super::visit::{LeafSlot, LeafValue, Sink};
use super::walk::Walk;
use crate::Root;

/// Collects every value.
pub(super) struct Many<L>(Vec<L>);

impl<L> Many<L> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn into_values(self) -> Vec<L> {
        self.0
    }
}

impl<L: Walk> Sink for Many<L> {
    fn borrowed(&mut self, value: &dyn LeafValue, trail: Trail<'_>) -> Result<(), PathError> {
        self.0.push(downcast(value, trail)?);
        Ok(())
    }

    fn owned(&mut self, slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<(), PathError> {
        self.0.push(take(slot, trail)?);
        Ok(())
    }
}

/// Keeps the first value and notes whether there are more.
pub(super) struct One<L> {
    value: Option<L>,
    more: bool,
}

impl<L> One<L> {
    pub(super) fn new() -> Self {
        Self { value: None, more: false }
    }

    fn put(&mut self, value: L) {
        self.more = self.value.replace(value).is_some();
    }
}

impl<L: Walk> Sink for One<L> {
    fn borrowed(&mut self, value: &dyn LeafValue, trail: Trail<'_>) -> Result<(), PathError> {
        if !self.more {
            self.put(downcast(value, trail)?);
        }
        Ok(())
    }

    fn owned(&mut self, slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<(), PathError> {
        if !self.more {
            self.put(take(slot, trail)?);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.more
    }
}

/// The one value, unless there were more.
pub(super) fn finish_one<L>(pstate: &str, found: One<L>) -> Result<Option<L>, PathError> {
    if !found.more {
        return Ok(found.value);
    }
    let help = "use `select`, or narrow the path";
    let misfit = Misfit::new("at most one value", "several", help);
    Err(PathError::new(PathErrorKind::ManyValues, pstate, 0, String::new(), misfit))
}

fn downcast<L: Walk>(value: &dyn LeafValue, trail: Trail<'_>) -> Result<L, PathError> {
    value.as_any().downcast_ref::<L>().cloned().ok_or_else(|| foreign::<L>(trail))
}

fn take<L: Walk>(slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<L, PathError> {
    let slot: &mut dyn Any = slot.as_any_mut();
    slot.downcast_mut::<Option<L>>().and_then(Option::take).ok_or_else(|| foreign::<L>(trail))
}

/// The typed builder rules this out; steps of another origin cannot be selected as `L`.
fn foreign<L: Walk>(trail: Trail<'_>) -> PathError {
    trail.whole(Misfit::new(L::shape(), "a value of another type", "build the path anew"))
}

/// Checks that steps of any origin fit the PState type `R`.
///
/// Walking unchecked steps is safe too; it finds out later, and only where there are values.
///
/// # Errors
///
/// [`PathErrorKind::Path`], naming the first step that does not fit.
pub fn check_steps<R: Root>(pstate: &str, steps: &[Step]) -> Result<(), PathError> {
    let trail = Trail::new(pstate, steps.len());
    trail.check_length()?;
    check(Kind::of::<R>(), steps, trail, 0)
}

fn check(
    mut kind: Kind,
    mut steps: &[Step],
    trail: Trail<'_>,
    nesting: usize,
) -> Result<(), PathError> {
    while let Some((step, mut rest)) = steps.split_first() {
        let fail = |misfit| trail.misfit(step, rest, misfit);
        if let Step::FilterSelected(count) = step {
            let split = rest.split_at_checked(usize::from(*count));
            let (condition, after) =
                split.ok_or_else(|| fail(short_condition(*count, rest.len())))?;
            if nesting == MAX_NESTING {
                return Err(fail(too_deep()));
            }
            check(kind, condition, trail.before(after.len()), nesting + 1)?;
            rest = after;
        } else {
            kind = (kind.next)(step).map_err(fail)?;
        }
        steps = rest;
    }
    Ok(())
}

pub(super) fn too_deep() -> Misfit {
    let expected = format!("conditions nested at most {MAX_NESTING} deep");
    Misfit::new(expected, "a deeper one", "put the conditions one after the other")
}
