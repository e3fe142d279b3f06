//! Steps against a type, without a value.

use std::fmt;

use super::data::limits::MAX_NESTING;
use super::data::step::Step;
use super::error::{Misfit, PathError, short_condition, too_deep};
use super::json::kind::{KeyFromJson, ValueFromJson};
use super::trail::Trail;
use crate::{Key, Root};

/// What a step may do at values of one type. Checking a path goes from kind to kind.
#[derive(Clone, Copy)]
pub struct ValueType {
    pub(super) shape: fn() -> String,
    pub(super) next: fn(&Step) -> Result<ValueType, Misfit>,
    pub(super) field_index: fn(&str) -> Result<u16, Misfit>,
    pub(super) keys: fn() -> Option<KeyType>,
    pub(super) json: ValueFromJson,
}

impl fmt::Debug for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueType").field(&(self.shape)()).finish()
    }
}

/// What the keys of a map are, or the elements of a set.
#[derive(Clone, Copy, Debug)]
pub struct KeyType {
    pub(super) json: KeyFromJson,
}

impl KeyType {
    /// The kind of the keys `K`.
    pub fn of<K: Key>() -> Self {
        Self { json: KeyFromJson::of::<K>() }
    }
}

/// Checks that steps of any origin fit the PState type `R`.
///
/// Walking unchecked steps is safe too; it finds out later, and only where there are values.
///
/// # Errors
///
/// [`PathErrorKind::Path`](super::PathErrorKind::Path), naming the first step that does not fit.
pub fn check_steps<R: Root>(pstate: &str, steps: &[Step]) -> Result<(), PathError> {
    let trail = Trail::new(pstate, steps.len());
    trail.check_length()?;
    check(ValueType::of::<R>(), steps, trail, 0)
}

fn check(
    mut kind: ValueType,
    mut steps: &[Step],
    trail: Trail<'_>,
    nesting: usize,
) -> Result<(), PathError> {
    while let Some((step, mut rest)) = steps.split_first() {
        let fail = |misfit| trail.misfit(step, rest.len(), misfit);
        if let Step::FilterSelected(count) = step {
            let split = rest.split_at_checked(usize::from(*count));
            let (condition, after) =
                split.ok_or_else(|| fail(short_condition(*count, rest.len())))?;
            if nesting == MAX_NESTING {
                return Err(fail(too_deep(MAX_NESTING)));
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
