//! The shape of a type, as data.
//!
//! A schema is stored beside what was written with it. Equal fingerprints mean that the bytes can
//! be read; the names of types do not count, those of fields and variants do.

mod difference;
mod json;
mod text;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub use difference::difference;
pub use json::DumpError;

/// The shape of a [`State`](crate::State).
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let schema = <Map<Str, List<(u64, bool)>>>::schema();
/// assert_eq!(schema.to_string(), "Map<Str, List<(u64, bool)>>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Schema {
    /// `()`, or a record without fields.
    Unit,
    /// `bool`.
    Bool,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// `u128`.
    U128,
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `i128`.
    I128,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// `Str` or `String`: their bytes are the same.
    String,
    /// `Bytes`.
    Bytes,
    /// `Uuid`.
    Uuid,
    /// `Option`.
    Option(Box<Schema>),
    /// `List` or `Vec`: their bytes are the same.
    List(Box<Schema>),
    /// `Set`.
    Set(Box<Schema>),
    /// `Map`: the key, then the value.
    Map(Box<Schema>, Box<Schema>),
    /// A tuple, or a record with unnamed fields.
    Tuple(Vec<Schema>),
    /// A record with named fields.
    Struct {
        /// The type's name, for messages only.
        name: String,
        /// The fields in the order of declaration.
        fields: Vec<(String, Schema)>,
    },
    /// A record that is one of several variants.
    Enum {
        /// The type's name, for messages only.
        name: String,
        /// The variants in the order of declaration; each a `Unit`, a `Tuple` or a `Struct`.
        variants: Vec<(String, Schema)>,
    },
}

impl Schema {
    /// The hash (xxh3-64, seed 0) of the canonical text: the [`Display`](std::fmt::Display) form
    /// without the names of types. Equal fingerprints mean equal bytes for equal values.
    ///
    /// ```
    /// use gridmill_model::prelude::*;
    ///
    /// assert_eq!(u64::schema().canonical(), "u64");
    /// assert_eq!(u64::schema().fingerprint(), 0xa248_1493_b936_2ff3);
    /// assert_eq!(Str::schema().fingerprint(), String::schema().fingerprint());
    /// ```
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(self.canonical().as_bytes())
    }

    /// Names the first place where two shapes differ, and how; empty if they do not.
    pub fn difference(old: &Self, new: &Self) -> String {
        difference(old, new).unwrap_or_default()
    }

    /// Whether values can stand as names in a JSON object. (A map by others is an array of pairs.)
    pub(crate) fn is_name(&self) -> bool {
        !matches!(
            self,
            Self::Unit | Self::Bytes | Self::Option(_) | Self::Tuple(_) | Self::Struct { .. }
        )
    }

    /// Decodes the compact (postcard) form of a value of this shape, for people to read.
    ///
    /// # Errors
    /// [`DumpError`] when the bytes are no such value; it names the place inside the value.
    pub fn to_json(&self, postcard: &[u8]) -> Result<serde_json::Value, DumpError> {
        json::to_json(self, postcard)
    }
}
