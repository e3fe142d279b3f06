//! Walking the fields of records; `#[record]` implements [`Record`].

use super::change::{Change, Effect};
use super::visit::Visit;
use super::{Walk, found, steps};
use crate::State;
use crate::engine::Cold;
use crate::path::check::ValueType;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

/// A type made by `#[record]`: it is walked field by field.
///
/// An index beyond [`Record::FIELDS`] is never passed in. A struct keeps the defaults that
/// are about variants, an enum those about fields.
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

    /// Walks on in a field of an archived record: `<Type as Walk>::walk_cold(cold.behind(offset), ..)`.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk_cold`].
    #[doc(hidden)]
    fn walk_field_cold(
        _cold: Cold<'_>,
        _index: u16,
        _steps: &[Step],
        _visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        Ok(())
    }

    /// The names of the variants, in the order of declaration; a struct has none.
    const VARIANTS: &'static [&'static str] = &[];

    /// Walks on in the content of a variant, or where it is missing because this is another variant.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk`].
    fn walk_variant(
        &self,
        _index: u16,
        _steps: &[Step],
        _visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        Ok(())
    }

    /// Changes the content of a variant, or makes this that variant.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk_mut`].
    fn walk_variant_mut(
        &mut self,
        _index: u16,
        _steps: &[Step],
        _change: &mut Change<'_>,
    ) -> Result<Effect, PathError> {
        Ok(Effect::Kept)
    }

    /// Walks on in the content of a variant of a record that is missing.
    ///
    /// # Errors
    ///
    /// As [`Walk::walk_absent`].
    fn walk_variant_absent(
        _index: u16,
        _steps: &[Step],
        _visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        Ok(())
    }

    /// Makes a record of the variant, if the steps write its content.
    ///
    /// # Errors
    ///
    /// As [`Walk::create`].
    fn create_variant(
        _index: u16,
        _steps: &[Step],
        _change: &mut Change<'_>,
    ) -> Result<Option<Self>, PathError> {
        Ok(None)
    }

    /// The type of what a variant holds: `Some(ValueType::of::<Type>())`.
    fn variant_type(_index: u16) -> Option<ValueType> {
        None
    }

    /// The type of a field: `Some(ValueType::of::<Type>())`.
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

/// The type that a field or variant leads to.
fn check<T: Record>(step: &Step) -> Result<ValueType, Misfit> {
    let next = match step {
        Step::Field(index) => T::field_type(*index),
        Step::Variant(index) => T::variant_type(*index),
        step => return steps::next::<T>(step),
    };
    next.ok_or_else(|| steps::unfit::<T>(step))
}

impl<T: Record> Walk for T {
    fn shape() -> String {
        T::schema().to_string()
    }

    fn room(&self) -> usize {
        size_of::<Self>() + self.weight()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let Some((step, rest)) = steps.split_first() else { return visit.leaf(self) };
        match step {
            Step::Field(index) => {
                check::<T>(step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                self.walk_field(*index, rest, visit)
            }
            Step::Variant(index) => {
                check::<T>(step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                self.walk_variant(*index, rest, visit)
            }
            step => steps::walk(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let Some((step, rest)) = steps.split_first() else { return visit.absent::<Self>() };
        match step {
            Step::Field(index) => {
                check::<T>(step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                T::walk_field_absent(*index, rest, visit)
            }
            Step::Variant(index) => {
                check::<T>(step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                T::walk_variant_absent(*index, rest, visit)
            }
            step => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_cold(cold: Cold<'_>, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            Some((step @ Step::Field(index), rest)) => {
                check::<T>(step).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                T::walk_field_cold(cold, *index, rest, visit)
            }
            _ => found::decoded::<Self>(cold, steps, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        let Some((step, rest)) = steps.split_first() else { return change.end(self) };
        let effect = match step {
            Step::Field(index) => {
                check::<T>(step).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
                self.walk_field_mut(*index, rest, change)?
            }
            Step::Variant(index) => {
                check::<T>(step).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
                self.walk_variant_mut(*index, rest, change)?
            }
            step => return steps::walk_mut(self, step, rest, change),
        };
        match effect {
            Effect::Removed => change.refuse(step, rest, fixed_part::<T>()),
            effect => Ok(effect),
        }
    }

    fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
        match steps.split_first() {
            None => change.make(),
            Some((step @ Step::Variant(index), rest)) => {
                check::<T>(step).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
                T::create_variant(*index, rest, change)
            }
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        check::<T>(step)
    }

    fn field_index(name: &str) -> Result<u16, Misfit> {
        place_of(name, "field", T::FIELDS)
    }

    fn variant_index(name: &str) -> Result<u16, Misfit> {
        place_of(name, "variant", T::VARIANTS)
    }
}

fn place_of(name: &str, what: &str, names: &[&str]) -> Result<u16, Misfit> {
    let found = names.iter().position(|own| *own == name);
    found.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
        let expected = format!("one of the {what}s {}", names.join(", "));
        Misfit::new(expected, format!("{name:?}"), format!("correct the {what}'s name"))
    })
}
