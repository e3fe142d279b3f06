//! Keys: their canonical bytes, and the hash that says which partition they live on.
//!
//! # The bytes
//!
//! The order of the bytes (compared as unsigned bytes, a prefix first) is the order of the values,
//! so that a sorted file of key bytes is a sorted file of keys. This encoding is a file format:
//! it does not change.
//!
//! | type | whole form (the last or only part of a key) | inner form (any other part) |
//! |---|---|---|
//! | `()` | nothing | nothing |
//! | `bool` | `00` or `01` | the same |
//! | `u8` .. `u128` | big-endian, full width | the same |
//! | `i8` .. `i128` | big-endian, full width, sign bit flipped | the same |
//! | `char` | the code point as a big-endian `u32` | the same |
//! | `Uuid` | its 16 bytes | the same |
//! | `Str`, `String`, `Bytes` | the bytes themselves | each `00` as `00 FF`, then `00 00` |
//! | `Option` | `00` for none; `01`, then the whole form | `00`; `01`, then the inner form |
//! | tuple, record | inner forms, the last part in whole form | inner forms |
//! | fieldless enum | the variant's index, big-endian `u16` | the same |
//!
//! Vectors (hexadecimal):
//!
//! ```
//! use gridmill_model::{Key, KeyBytes, prelude::*};
//!
//! fn hex(key: impl Key) -> String {
//!     let mut bytes = KeyBytes::new();
//!     key.encode_key(&mut bytes);
//!     bytes.iter().map(|byte| format!("{byte:02x}")).collect()
//! }
//!
//! assert_eq!(hex(5_u32), "00000005");
//! assert_eq!(hex(5_i16), "8005");
//! assert_eq!(hex(-1_i8), "7f");
//! assert_eq!(hex(true), "01");
//! assert_eq!(hex('a'), "00000061");
//! assert_eq!(hex(Str::new("a\0b")), "610062");
//! assert_eq!(hex((Str::new("a\0b"), 1_u8)), "6100ff62000001");
//! assert_eq!(hex((1_u8, Str::new("a"))), "0161");
//! assert_eq!(hex(Some(7_u8)), "0107");
//! assert_eq!(hex(None::<u8>), "00");
//! ```
//!
//! # The hash
//!
//! [`RouteKey`] describes which bytes are hashed.

mod compound;
mod ints;
mod lookup;
mod route;
mod scalars;
mod stored;
mod text;

use std::hash::Hash;

use smallvec::SmallVec;

use crate::State;

pub use lookup::AsKey;
pub(crate) use lookup::Probe;
pub use route::RouteKey;

/// Key bytes, inline up to 24.
pub type KeyBytes = SmallVec<[u8; 24]>;

/// A value that entries are looked up by.
///
/// The encoding is described, byte by byte, at [the module](crate::key). Implemented for `bool`,
/// integers, `char`, strings, [`Bytes`](crate::Bytes), [`Uuid`](crate::Uuid), `Option`, tuples up
/// to four, and for records and fieldless enums that ask for it: `#[record(key)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "not a `Key`",
    note = "keys are integers, bool, char, strings, Bytes, Uuid, Option and tuples of keys",
    note = "put `#[record(key)]` on your own types",
    note = "`usize` and `isize` are refused because their width is not portable: use u64 or u32"
)]
pub trait Key: State + Eq + Ord + Hash + AsKey<Self> {
    /// Appends the whole form: that of a key, or of the last part of one.
    fn encode_key(&self, out: &mut KeyBytes) {
        AsKey::<Self>::encode_as_key(self, out);
    }

    /// Appends the inner form, which says itself where it ends.
    fn encode_part(&self, out: &mut KeyBytes) {
        AsKey::<Self>::encode_as_part(self, out);
    }

    /// Decodes the whole form.
    ///
    /// # Errors
    /// [`KeyError`] when the bytes are no such key, or more than one.
    fn decode_key(mut bytes: &[u8]) -> Result<Self, KeyError> {
        let key = Self::decode_part(&mut bytes)?;
        match bytes.len() {
            0 => Ok(key),
            left => Err(KeyError::of::<Self>("the key's end", format!("{left} more bytes"))),
        }
    }

    /// Decodes the inner form and moves `bytes` behind it.
    ///
    /// # Errors
    /// [`KeyError`] when the bytes do not begin with such a part; `bytes` is then anywhere.
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError>;

    /// What decides on the partition of this key.
    fn route(&self) -> RouteKey {
        AsKey::<Self>::route_as_key(self)
    }
}

/// Key bytes that do not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key bytes are no {type_name}: expected {expected}, got {got}")]
#[non_exhaustive]
pub struct KeyError {
    /// The Rust type of the key.
    pub type_name: &'static str,
    /// What should have stood there.
    pub expected: &'static str,
    /// What stood there.
    pub got: String,
}

impl KeyError {
    /// An error about a key of type `K`.
    #[doc(hidden)]
    pub fn of<K>(expected: &'static str, got: impl Into<String>) -> Self {
        Self { type_name: std::any::type_name::<K>(), expected, got: got.into() }
    }
}

/// The key's whole form as a value of its own.
pub(crate) fn bytes_of<K>(key: &(impl AsKey<K> + ?Sized)) -> KeyBytes {
    let mut bytes = KeyBytes::new();
    key.encode_as_key(&mut bytes);
    bytes
}

/// Adds bytes behind those of `out`; mostly there are none yet, which takes one copy and no more.
#[inline]
fn append(bytes: &[u8], out: &mut KeyBytes) {
    if out.is_empty() {
        *out = KeyBytes::from_slice(bytes);
    } else {
        out.extend_from_slice(bytes);
    }
}

/// Takes `N` bytes off the front.
pub(crate) fn take<K, const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], KeyError> {
    let Some((head, rest)) = bytes.split_first_chunk::<N>() else {
        return Err(KeyError::of::<K>("its fixed width", format!("{} bytes", bytes.len())));
    };
    *bytes = rest;
    Ok(*head)
}
