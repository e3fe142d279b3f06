//! Fields as postcard bytes, one after another.

use std::any::type_name;

use postcard::ser_flavors::{Flavor, Size};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, EncodeError};

/// The number of postcard bytes of a value.
pub(crate) fn encoded_len<T: Serialize>(value: &T) -> usize {
    // Only a value that refuses to be serialised fails here; no state does.
    postcard::serialize_with_flavor(value, Size::default()).unwrap_or(usize::MAX)
}

/// Writes fields behind what a buffer holds.
#[derive(Debug)]
pub struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> FieldWriter<'a> {
    /// Starts to append to a buffer.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends one field.
    ///
    /// # Errors
    /// [`EncodeError`] when the value refuses to be written.
    pub fn field<T: Serialize>(&mut self, value: &T) -> Result<(), EncodeError> {
        postcard::serialize_with_flavor(value, Appender(self.out)).map_err(|error| EncodeError {
            type_name: type_name::<T>(),
            message: error.to_string(),
        })
    }
}

/// Lets postcard append to a buffer that it does not own.
struct Appender<'a>(&'a mut Vec<u8>);

impl Flavor for Appender<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads fields one after another; any bytes are safe to give.
#[derive(Debug)]
pub struct FieldReader<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> FieldReader<'a> {
    /// Starts at the first field.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, len: bytes.len() }
    }

    /// The bytes that are not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Reads the next field.
    ///
    /// # Errors
    /// [`DecodeError::Field`] when the bytes are no such field.
    pub fn field<T: DeserializeOwned>(&mut self) -> Result<T, DecodeError> {
        match postcard::take_from_bytes(self.bytes) {
            Ok((value, rest)) => {
                self.bytes = rest;
                Ok(value)
            }
            Err(error) => Err(DecodeError::Field {
                type_name: type_name::<T>(),
                offset: self.offset(),
                len: self.len,
                message: error.to_string(),
            }),
        }
    }

    /// Checks that all bytes were read.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] when some are left.
    pub fn end<T>(&self, value: T) -> Result<T, DecodeError> {
        match self.bytes {
            [] => Ok(value),
            _ => Err(DecodeError::TrailingBytes { offset: self.offset(), len: self.len }),
        }
    }

    /// The error of a variant that does not exist.
    ///
    /// # Errors
    /// Always [`DecodeError::UnknownVariant`].
    pub fn unknown<T>(variant: usize, count: usize) -> Result<T, DecodeError> {
        Err(DecodeError::UnknownVariant { type_name: type_name::<T>(), variant, count })
    }

    fn offset(&self) -> usize {
        self.len - self.bytes.len()
    }
}
