//! How values and keys of a type are read from JSON: the table beside [`ValueType`](crate::path::ValueType).

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Key;
use crate::key::{KeyBytes, bytes_of};
use crate::path::error::Misfit;

/// Names a type in a message.
type Shape = fn() -> String;

/// What a step holds of a value.
type Encoded = Box<[u8]>;

/// Reads a value of one type, into the bytes that a step holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::path) struct ValueFromJson(fn(Shape, &Value) -> Result<Encoded, Misfit>);

impl ValueFromJson {
    pub(in crate::path) fn of<T: Serialize + DeserializeOwned>() -> Self {
        Self(value::<T>)
    }

    /// Reads a value; `shape` names its type in the message.
    pub(super) fn read(self, shape: Shape, json: &Value) -> Result<Encoded, Misfit> {
        (self.0)(shape, json)
    }
}

/// Reads a key of one type, into the bytes that a step holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::path) struct KeyFromJson(fn(&Value) -> Result<KeyBytes, Misfit>);

impl KeyFromJson {
    pub(in crate::path) fn of<K: Key>() -> Self {
        Self(key::<K>)
    }

    pub(super) fn read(self, json: &Value) -> Result<KeyBytes, Misfit> {
        (self.0)(json)
    }
}

fn key<K: Key>(json: &Value) -> Result<KeyBytes, Misfit> {
    let key: K = from_json(|| K::schema().to_string(), json)?;
    Ok(bytes_of(&key))
}

fn value<T: Serialize + DeserializeOwned>(shape: Shape, json: &Value) -> Result<Encoded, Misfit> {
    let value: T = from_json(shape, json)?;
    let bytes = postcard::to_allocvec(&value).map_err(|error| {
        Misfit::new(shape(), error.to_string(), "use a value that can be encoded")
    })?;
    Ok(bytes.into_boxed_slice())
}

fn from_json<T: DeserializeOwned>(shape: impl Fn() -> String, json: &Value) -> Result<T, Misfit> {
    T::deserialize(json).map_err(|error| {
        Misfit::new(
            shape(),
            format!("{}: {error}", shown(json)),
            "write the value as JSON of that type",
        )
    })
}

/// JSON in a message, cut where it is long.
pub(super) fn shown(json: &Value) -> String {
    const SHOWN: usize = 80;
    let mut text = json.to_string();
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}
