//! The type of a value as a table of functions, to check steps without a value.

use std::fmt;

use super::error::Misfit;
use super::step::Step;
use super::walk::Walk;
use crate::key::KeyBytes;

/// What a step may do at values of one type. Checking a path goes from kind to kind.
#[derive(Clone, Copy)]
pub struct Kind {
    pub(super) shape: fn() -> String,
    pub(super) next: fn(&Step) -> Result<Kind, Misfit>,
    pub(super) key_from_json: fn(&serde_json::Value) -> Result<KeyBytes, Misfit>,
    pub(super) value_from_json: fn(&serde_json::Value) -> Result<Box<[u8]>, Misfit>,
    pub(super) field_index: fn(&str) -> Result<u16, Misfit>,
}

impl Kind {
    /// The kind of `T`.
    pub fn of<T: Walk>() -> Self {
        Self {
            shape: T::shape,
            next: T::next,
            key_from_json: T::key_from_json,
            value_from_json: value_from_json::<T>,
            field_index: T::field_index,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&(self.shape)()).finish()
    }
}

fn value_from_json<T: Walk>(json: &serde_json::Value) -> Result<Box<[u8]>, Misfit> {
    let value: T = from_json(json)?;
    let bytes = postcard::to_allocvec(&value).map_err(|error| {
        Misfit::new(T::shape(), error.to_string(), "use a value that can be encoded")
    })?;
    Ok(bytes.into_boxed_slice())
}

/// Reads a value of type `T` from JSON.
pub(super) fn from_json<T: Walk>(json: &serde_json::Value) -> Result<T, Misfit> {
    T::deserialize(json).map_err(|error| {
        Misfit::new(
            T::shape(),
            format!("{}: {error}", super::json::shown(json)),
            "write the value as JSON of that type",
        )
    })
}
