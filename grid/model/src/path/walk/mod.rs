//! How values of a type are walked. Every state type implements it; nobody else needs to.

pub(in crate::path) mod branch;
pub(in crate::path) mod change;
mod elems;
pub(in crate::path) mod entries;
mod list;
mod list_mut;
pub(in crate::path) mod map;
mod map_mut;
mod option;
pub(in crate::path) mod record;
mod scalar;
mod set;
pub(in crate::path) mod steps;
mod tuple;
pub(in crate::path) mod visit;

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::change::{Change, Effect};
use self::visit::Visit;
use crate::path::check::{KeyType, ValueType};
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};
use crate::path::json::kind::ValueFromJson;

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
            None => Ok(()),
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
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

    /// The place of a field of this record.
    fn field_index(_name: &str) -> Result<u16, Misfit> {
        Err(Misfit::new("a record", Self::shape(), "take the step at a record"))
    }
}

impl ValueType {
    /// The kind of `T`.
    pub fn of<T: Walk>() -> Self {
        Self {
            shape: T::shape,
            next: T::next,
            field_index: T::field_index,
            keys: T::key_type,
            json: ValueFromJson::of::<T>(),
        }
    }
}
