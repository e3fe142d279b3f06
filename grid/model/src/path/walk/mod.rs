//! How values of a type are walked. Every state type implements it; nobody else needs to.

pub(in crate::path) mod branch;
pub(in crate::path) mod change;
mod cold;
mod elems;
pub(in crate::path) mod entries;
pub(in crate::path) mod found;
mod frame;
pub(in crate::path) mod gather;
pub(in crate::path) mod leaf;
mod list;
mod list_mut;
pub(in crate::path) mod map;
mod map_mut;
pub(in crate::path) mod number;
mod option;
pub(in crate::path) mod own;
pub(in crate::path) mod place;
pub(in crate::path) mod record;
mod scalar;
mod set;
pub(in crate::path) mod steps;
pub(in crate::path) mod tally;
pub(in crate::path) mod term;
mod tuple;
pub(in crate::path) mod visit;

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::change::{Change, Effect};
use self::leaf::Carried;
use self::number::Number;
use self::visit::Visit;
use crate::State;
use crate::engine::Cold;
use crate::path::check::{KeyType, ValueType};
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

/// Walking the steps of a path, directed by the type of the value.
///
/// The defaults know the steps that mean the same everywhere (the end of the path, `or`,
/// filters) and refuse the others; collections and records add theirs. `#[record]` implements
/// it through [`Record`](crate::path::Record).
///
/// # Errors
///
/// All walks end with a [`PathError`] if a step does not fit the type.
pub trait Walk: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whether values have an order that filters may use.
    const ORDERED: bool = false;

    /// The sum of no values of this type, if they are numbers.
    #[doc(hidden)]
    const ZERO: Option<Number> = None;

    /// The type in a message.
    fn shape() -> String;

    /// Hands every value that the steps reach to `visit`.
    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.leaf(self),
            Some((step, rest)) => steps::walk(self, step, rest, visit),
        }
    }

    /// As [`Walk::walk`], with a value that may be given away.
    fn walk_owned(self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        if steps.is_empty() { visit.leaf_owned(self) } else { self.walk(steps, visit) }
    }

    /// Walks on where a value of this type is missing.
    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.absent::<Self>(),
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    /// As [`Walk::walk`], from an archived value: it is decoded only as far as the steps ask for.
    #[doc(hidden)]
    fn walk_cold(cold: Cold<'_>, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError>
    where
        Self: State,
    {
        found::decoded::<Self>(cold, steps, visit)
    }

    /// Changes every place that the steps reach.
    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        match steps.split_first() {
            None => change.end(self),
            Some((step, rest)) => steps::walk_mut(self, step, rest, change),
        }
    }

    /// Makes the value that the steps write where none is, if they write one.
    fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
        match steps.split_first() {
            None => change.make(),
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    /// About how many bytes of memory the value takes.
    #[doc(hidden)]
    fn room(&self) -> usize {
        size_of::<Self>()
    }

    /// The value as a number.
    #[doc(hidden)]
    fn number(&self) -> Option<Number> {
        None
    }

    /// The sum of both values.
    ///
    /// # Errors
    ///
    /// They are no numbers, or the sum is too large for the type.
    #[doc(hidden)]
    fn plus(&self, _other: &Self) -> Result<Self, Misfit> {
        let help = "add to a number, or use `update`";
        Err(Misfit::new("a number", format!("a value of type {}", Self::shape()), help))
    }

    /// A value of the type that this one has, from postcard bytes.
    ///
    /// # Errors
    ///
    /// The bytes are none of this type.
    #[doc(hidden)]
    fn another(&self, bytes: &[u8]) -> Result<Self, Misfit> {
        self.another_of(bytes).map(|(value, _)| value)
    }

    /// The same, from the start of the bytes, and what lies behind it.
    ///
    /// # Errors
    ///
    /// The bytes start with none of this type.
    #[doc(hidden)]
    fn another_of<'b>(&self, bytes: &'b [u8]) -> Result<(Self, &'b [u8]), Misfit> {
        steps::decode_first(bytes)
    }

    /// Whether the type of all that is in it is known from it.
    #[doc(hidden)]
    fn knows_type(&self) -> bool {
        true
    }

    /// The list of these values, if this type is a list of such.
    #[doc(hidden)]
    fn assemble(_values: &[Carried]) -> Option<Self> {
        None
    }

    /// The elements of this list one by one.
    #[doc(hidden)]
    fn scatter(self) -> Option<Vec<Carried>> {
        None
    }

    /// What stays in a record's field when its value is removed: `None` of an `Option`.
    fn vacant() -> Option<Self> {
        None
    }

    /// How two values compare, for filters; types without an order never do.
    fn order(&self, _other: &Self) -> Option<Ordering> {
        None
    }

    /// The kind of value that a step leads to.
    fn next(step: &Step) -> Result<ValueType, Misfit> {
        steps::next::<Self>(step)
    }

    /// The kind of the keys of this map, or the elements of this set.
    fn key_type() -> Option<KeyType> {
        None
    }

    /// The kind of the elements of this list.
    fn element_type() -> Option<ValueType> {
        None
    }

    /// The place of a variant of this enum.
    fn variant_index(_name: &str) -> Result<u16, Misfit> {
        Err(Misfit::new("an enum", Self::shape(), "take the step at an enum"))
    }

    /// The place of a field of this record.
    fn field_index(_name: &str) -> Result<u16, Misfit> {
        Err(Misfit::new("a record", Self::shape(), "take the step at a record"))
    }
}
