//! What travels: depot records and, later, hops.

mod codec;
mod errors;
mod fanned;
mod scalars;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Schema;

pub(crate) use codec::encoded_len;
#[doc(hidden)]
pub use codec::{FieldReader, FieldWriter};
pub use errors::{DecodeError, EncodeError, JsonError};
#[doc(hidden)]
pub use fanned::Fanned;

/// One form that an event can take: an enum has several, anything else has one.
///
/// The log names the variant of each record, so that adding a variant changes nothing for the
/// records that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The variant's name; of a type with one variant, the type's.
    pub name: String,
    /// The shape of the variant's fields.
    pub schema: Schema,
}

impl Variant {
    /// Names a variant.
    pub fn new(name: impl Into<String>, schema: Schema) -> Self {
        Self { name: name.into(), schema }
    }
}

/// A value that can be appended to a depot.
///
/// Every `#[record]` is one, and so are numbers, strings, [`Bytes`](crate::Bytes),
/// [`Uuid`](crate::Uuid), tuples up to six and the collections. Do not implement it by hand.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let event = (Str::new("alice"), 3_u32);
/// let mut bytes = Vec::new();
/// event.encode_fields(&mut bytes)?;
/// assert_eq!(bytes, b"\x05alice\x03");
/// assert_eq!(<(Str, u32)>::decode_fields(0, &bytes)?, event);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be appended to a depot",
    label = "not an `Event`",
    note = "put `#[record]` on your own types",
    note = "`usize` and `isize` are refused because their width is not portable: use u64 or u32"
)]
pub trait Event: Clone + Debug + Send + Sync + 'static + Serialize + DeserializeOwned {
    /// The forms that the event can take, in the order of declaration.
    fn variants() -> Vec<Variant>;

    /// The index of this event's form in [`variants`](Self::variants).
    fn variant(&self) -> usize;

    /// Appends the postcard bytes of the fields of this event's variant.
    ///
    /// # Errors
    /// [`EncodeError`] when a field refuses to be written; `out` may then end with a part of it.
    fn encode_fields(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Decodes what [`encode_fields`](Self::encode_fields) wrote; any bytes are safe to give.
    ///
    /// # Errors
    /// [`DecodeError`] when there is no such variant, when the bytes are not its fields, or when
    /// bytes are left over.
    fn decode_fields(variant: usize, bytes: &[u8]) -> Result<Self, DecodeError>;

    /// Reads an event from JSON, in the form that serde gives it. Fields that the type does not
    /// have are refused, `Option` fields may be absent.
    ///
    /// # Errors
    /// [`JsonError`] says where and what.
    fn from_json(json: &str) -> Result<Self, JsonError> {
        errors::from_json(json)
    }
}
