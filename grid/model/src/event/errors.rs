//! What can be wrong with an event's bytes or JSON.

use serde::de::DeserializeOwned;

/// An event that could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{type_name} cannot be encoded: {message}")]
#[non_exhaustive]
pub struct EncodeError {
    /// The Rust type of the field that failed.
    pub type_name: &'static str,
    /// What the encoder said.
    pub message: String,
}

/// Bytes that are no such event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The type has no variant of that index.
    #[error("{type_name} has {count} variants, none with index {variant}; was one removed?")]
    UnknownVariant {
        /// The Rust type of the event.
        type_name: &'static str,
        /// The index that was asked for.
        variant: usize,
        /// How many there are.
        count: usize,
    },
    /// A field's bytes are missing or wrong.
    #[error("byte {offset} of {len}: expected {type_name}, got other bytes ({message})")]
    Field {
        /// The Rust type of the field.
        type_name: &'static str,
        /// The byte at which the field begins.
        offset: usize,
        /// The number of bytes that were given.
        len: usize,
        /// What the decoder said.
        message: String,
    },
    /// Bytes follow the last field.
    #[error("expected the end at byte {offset}, got {len} bytes; was a field removed?")]
    TrailingBytes {
        /// The end of the last field.
        offset: usize,
        /// The number of bytes that were given.
        len: usize,
    },
}

/// JSON that is no such event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSON is no {type_name}: at {path}: {message}")]
#[non_exhaustive]
pub struct JsonError {
    /// The Rust type that was expected.
    pub type_name: &'static str,
    /// The place in the JSON, such as `New.text`; `.` is the whole.
    pub path: String,
    /// What was expected there and what was found, with line and column.
    pub message: String,
}

pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let error = |path: String, error: serde_json::Error| JsonError {
        type_name: std::any::type_name::<T>(),
        path,
        message: error.to_string(),
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|failed| error(failed.path().to_string(), failed.into_inner()))?;
    deserializer.end().map_err(|failed| error(".".to_owned(), failed))?;
    Ok(value)
}
