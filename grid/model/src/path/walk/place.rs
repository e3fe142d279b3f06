//! Places without their types, as the end of a transform is shown them.

use std::any::Any;

use super::Walk;
use super::leaf::Carried;
use super::steps::decode;
use crate::path::error::Misfit;

/// A place that holds a value.
pub trait Place {
    /// The value, to be downcast to the path's leaf.
    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// Replaces the value by one in postcard bytes.
    ///
    /// # Errors
    ///
    /// The bytes are none of this type.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Misfit>;

    /// Adds to the value what the postcard bytes hold.
    ///
    /// # Errors
    ///
    /// The value is no number, the bytes are none of this type, or the sum is too large.
    fn add(&mut self, bytes: &[u8]) -> Result<(), Misfit>;

    /// Replaces the value by one without its type.
    ///
    /// # Errors
    ///
    /// It is of another type.
    fn put(&mut self, value: Carried) -> Result<(), Misfit>;

    /// The type, for messages.
    fn shape(&self) -> String;
}

impl<T: Walk> Place for T {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        *self = self.another(bytes)?;
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        *self = Walk::plus(self, &decode(bytes)?)?;
        Ok(())
    }

    fn put(&mut self, value: Carried) -> Result<(), Misfit> {
        *self = *value.into_any().downcast().map_err(|_| foreign::<T>())?;
        Ok(())
    }

    fn shape(&self) -> String {
        T::shape()
    }
}

/// A place where nothing is yet.
pub trait EmptyPlace {
    /// The `Option` of the path's leaf.
    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// Fills the place with a value in postcard bytes.
    ///
    /// # Errors
    ///
    /// The bytes are none of this type.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Misfit>;

    /// Fills the place with a value without its type.
    ///
    /// # Errors
    ///
    /// It is of another type.
    fn put(&mut self, value: Carried) -> Result<(), Misfit>;
}

impl<T: Walk> EmptyPlace for Option<T> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        *self = Some(decode(bytes)?);
        Ok(())
    }

    fn put(&mut self, value: Carried) -> Result<(), Misfit> {
        *self = Some(*value.into_any().downcast().map_err(|_| foreign::<T>())?);
        Ok(())
    }
}

/// The typed builder rules this out; steps of another origin cannot be applied.
pub(in crate::path) fn foreign<T: Walk>() -> Misfit {
    Misfit::new(format!("a place of type {}", T::shape()), "another type", "build the path anew")
}
