//! Conditions: the sub-paths of steps, what follows them, and looking along steps before anything is written.

use super::Walk;
use super::visit::{AnyValue, Visit};
use crate::path::data::limits::Limits;
use crate::path::data::step::Step;
use crate::path::error::{PathError, short_condition};
use crate::path::trail::Trail;

/// Splits the steps after a `filter_selected` into its condition and what follows.
pub(in crate::path) fn condition<'s>(
    trail: Trail<'_>,
    step: &Step,
    count: u16,
    rest: &'s [Step],
) -> Result<(&'s [Step], &'s [Step]), PathError> {
    rest.split_at_checked(usize::from(count))
        .ok_or_else(|| trail.misfit(step, rest.len(), short_condition(count, rest.len())))
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
pub(in crate::path) fn worth<T: Walk>(
    value: &T,
    probe: Option<&[Step]>,
    steps: &[Step],
    trail: Trail<'_>,
) -> Result<bool, PathError> {
    let Some(probe) = probe else { return Ok(true) };
    reaches(value, probe, trail.before(steps.len() - probe.len()))
}
