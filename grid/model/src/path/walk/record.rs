//! Walking the fields of records; `#[record]` implements [`Record`].

use super::change::{Change, Effect};
use super::visit::Visit;
use super::{Walk, steps};
use crate::State;
use crate::path::check::ValueType;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

/// A type made by `#[record]`: it is walked field by field.
///
/// An index beyond [`Record::FIELDS`] is never passed in. An enum keeps all the defaults.
pub trait Record: State {
    /// The names of the fields, in the order of declaration.
    const FIELDS: &'static [&'static str] = &[];

    /// Walks on in a field: `Walk::walk(&self.field, steps, visit)`.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk`].
    fn walk_field(
        &self,
        _index: u16,
        _steps: &[Step],
        _visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        Ok(())
    }

    /// Walks on in a field of a record that is missing: `<Type as Walk>::walk_absent(..)`.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk_absent`].
    fn walk_field_absent(
        _index: u16,
        _steps: &[Step],
        _visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        Ok(())
    }

    /// Changes a field: `path::field_mut(&mut self.field, steps, change)`.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk_mut`].
    fn walk_field_mut(
        &mut self,
        _index: u16,
        _steps: &[Step],
        _change: &mut Change<'_>,
    ) -> Result<Effect, PathError> {
        Ok(Effect::Kept)
    }

    /// The kind of a field: `Some(ValueType::of::<Type>())`.
    fn field_type(_index: u16) -> Option<ValueType> {
        None
    }
}

/// Changes a field; a removed `Option` becomes `None`, another type cannot be removed.
///
/// # Errors
///
/// As [`Walk::walk_mut`].
pub fn field_mut<T: Walk>(
    field: &mut T,
    steps: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    Ok(match field.walk_mut(steps, change)? {
        Effect::Removed => match T::vacant() {
            Some(vacant) if *field == vacant => change.undone(),
            Some(vacant) => {
                *field = vacant;
                Effect::Changed
            }
            None => Effect::Removed,
        },
        effect => effect,
    })
}

/// A part that has to stay: the misfit of removing it.
pub(in crate::path) fn fixed_part<T: Walk>() -> Misfit {
    let help = "set it to another value, or remove the record as a whole";
    Misfit::new("a part that may be missing", format!("a part of {}", T::shape()), help)
}

fn check<T: Record>(index: u16, step: &Step) -> Result<ValueType, Misfit> {
    T::field_type(index).ok_or_else(|| steps::unfit::<T>(step))
}

impl<T: Record> Walk for T {
    fn shape() -> String {
        T::schema().to_string()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.leaf(self),
            Some((step @ Step::Field(index), rest)) => {
                check::<T>(*index, step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                self.walk_field(*index, rest, visit)
            }
            Some((step, rest)) => steps::walk(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => Ok(()),
            Some((step @ Step::Field(index), rest)) => {
                check::<T>(*index, step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                T::walk_field_absent(*index, rest, visit)
            }
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        match steps.split_first() {
            None => change.end(self),
            Some((step @ Step::Field(index), rest)) => {
                check::<T>(*index, step).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
                match self.walk_field_mut(*index, rest, change)? {
                    Effect::Removed => change.refuse(step, rest, fixed_part::<T>()),
                    effect => Ok(effect),
                }
            }
            Some((step, rest)) => steps::walk_mut(self, step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        match step {
            Step::Field(index) => check::<T>(*index, step),
            step => steps::next::<Self>(step),
        }
    }

    fn field_index(name: &str) -> Result<u16, Misfit> {
        let found = T::FIELDS.iter().position(|field| *field == name);
        found.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            let expected = format!("one of the fields {}", T::FIELDS.join(", "));
            Misfit::new(expected, format!("{name:?}"), "correct the field's name")
        })
    }
}
