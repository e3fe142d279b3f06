//! Values without their types: what a walk hands over, gathers and carries along.

use std::any::Any;
use std::cmp::Ordering;
use std::fmt;

use super::Walk;
use super::number::Number;
use super::visit::Visit;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

/// A value that a select reached, whatever its type.
pub trait LeafValue: Any + Send + Sync {
    /// The value, to be downcast to the path's leaf.
    fn as_any(&self) -> &dyn Any;

    /// The value as JSON.
    ///
    /// # Errors
    ///
    /// JSON has no form for it: a map whose keys are neither strings nor numbers.
    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error>;

    /// A copy.
    fn boxed(&self) -> Carried;

    /// The value itself, out of its box.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;

    /// The value as a number, if it is one.
    #[doc(hidden)]
    fn number(&self) -> Option<Number>;

    /// How it compares with another of the same type.
    #[doc(hidden)]
    fn compare(&self, other: &dyn LeafValue) -> Option<Ordering>;

    /// About how many bytes of memory it takes.
    #[doc(hidden)]
    fn room_of(&self) -> usize;

    /// Whether it equals another.
    #[doc(hidden)]
    fn equals(&self, other: &dyn LeafValue) -> bool;

    /// A value of the same type, from the start of postcard bytes, and what lies behind it.
    #[doc(hidden)]
    fn read_another<'b>(&self, bytes: &'b [u8]) -> Result<(Carried, &'b [u8]), Misfit>;

    /// Whether the type of all that is in it is known from it.
    #[doc(hidden)]
    fn is_typed(&self) -> bool;

    /// Walks on from it.
    #[doc(hidden)]
    fn walk_on(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError>;
}

/// A value without its type, in a box.
pub type Carried = Box<dyn LeafValue>;

impl<T: Walk> LeafValue for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    fn boxed(&self) -> Carried {
        Box::new(self.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn number(&self) -> Option<Number> {
        Walk::number(self)
    }

    fn compare(&self, other: &dyn LeafValue) -> Option<Ordering> {
        self.order(other.as_any().downcast_ref()?)
    }

    fn room_of(&self) -> usize {
        self.room()
    }

    fn equals(&self, other: &dyn LeafValue) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }

    fn read_another<'b>(&self, bytes: &'b [u8]) -> Result<(Carried, &'b [u8]), Misfit> {
        self.another_of(bytes).map(|(value, behind)| (Box::new(value) as Carried, behind))
    }

    fn is_typed(&self) -> bool {
        self.knows_type()
    }

    fn walk_on(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        self.walk(steps, visit)
    }
}

impl fmt::Debug for dyn LeafValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeafValue").finish_non_exhaustive()
    }
}

/// A value that the walk made or decoded itself and gives away, so that nobody copies it.
pub trait LeafSlot {
    /// The `Option<T>` that holds the value; taking it out is allowed.
    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// The value.
    fn value(&self) -> Option<&dyn LeafValue>;

    /// The value in a box, taken out.
    fn take(&mut self) -> Option<Carried>;
}

impl<T: Walk> LeafSlot for Option<T> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn value(&self) -> Option<&dyn LeafValue> {
        self.as_ref().map(|value| value as &dyn LeafValue)
    }

    fn take(&mut self) -> Option<Carried> {
        Option::take(self).map(|value| Box::new(value) as Carried)
    }
}
