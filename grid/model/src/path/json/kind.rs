//! How values and keys of a type are read from JSON: the table beside [`ValueType`](crate::path::ValueType).

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Key;
use crate::key::{KeyBytes, bytes_of};
use crate::path::error::Misfit;
use crate::path::walk::Walk;
use crate::path::walk::steps::decode_first;

/// What a step holds of a value.
type Encoded = Box<[u8]>;

/// Reads a value of one type, into the bytes that a step holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::path) struct ValueFromJson {
    read: fn(&Value) -> Result<Encoded, Misfit>,
    skip: fn(&[u8]) -> Result<&[u8], Misfit>,
}

impl ValueFromJson {
    pub(in crate::path) const fn of<T: Walk>() -> Self {
        Self { read: value::<T>, skip: |bytes| Ok(decode_first::<T>(bytes)?.1) }
    }

    /// What lies behind a value of the type.
    pub(in crate::path) fn skip(self, bytes: &[u8]) -> Result<&[u8], Misfit> {
        (self.skip)(bytes)
    }

    /// Reads a value.
    pub(in crate::path) fn read(self, json: &Value) -> Result<Encoded, Misfit> {
        (self.read)(json)
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

fn value<T: Walk>(json: &Value) -> Result<Encoded, Misfit> {
    let value: T = from_json(T::shape, json)?;
    let bytes = postcard::to_allocvec(&value).map_err(|error| {
        Misfit::new(T::shape(), error.to_string(), "use a value that can be encoded")
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
pub(in crate::path) fn shown(json: &Value) -> String {
    const SHOWN: usize = 80;
    let mut text = json.to_string();
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}
