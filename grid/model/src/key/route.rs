//! From a key to a partition.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Bytes, Key, Str};

/// What decides on which partition something lives: the xxh3-64 (seed 0) of a key's route bytes.
///
/// The route bytes are chosen so that the same thing, named by another type, lives at the same
/// place:
///
/// - every integer as 8 bytes, big-endian two's complement, whatever its width (`u128` and `i128`
///   that do not fit in 8 bytes: 16 bytes);
/// - strings and [`Bytes`](crate::Bytes) as their bytes, `char` as its UTF-8, `bool` as one byte,
///   `Uuid` as 16 bytes, `()` as nothing;
/// - a tuple or a record like its first part, an `Option` like its content or like `()`, a
///   fieldless enum like the name of its variant.
///
/// The partition is the hash modulo the number of partitions.
///
/// ```
/// use gridmill_model::RouteKey;
///
/// assert_eq!(RouteKey::of(&5_u32), RouteKey::of(&5_i64));
/// assert_eq!(RouteKey::from(&5_u32), RouteKey::from(5_u64));
/// assert_eq!(RouteKey::of(&("alice".to_string(), 9_u8)), RouteKey::from("alice"));
/// assert_eq!(RouteKey::from("alice").hash(), 0x4da1_0dd6_1a01_16b0);
/// assert_eq!(RouteKey::from(5_u32).hash(), 0xc28f_1f5e_7370_0506);
/// assert_eq!(RouteKey::from("").hash(), 0x2d06_8005_38d3_94c2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteKey(u64);

impl RouteKey {
    /// The route of a key.
    pub fn of<K: Key>(key: &K) -> Self {
        key.route()
    }

    /// The route that these route bytes give.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(xxh3_64(bytes))
    }

    /// The hash itself.
    pub const fn hash(self) -> u64 {
        self.0
    }

    /// The partition among `count`; 0 when there is only one (or none).
    pub const fn partition(self, count: u32) -> u32 {
        if count < 2 { 0 } else { (self.0 % count as u64) as u32 }
    }
}

impl From<&str> for RouteKey {
    fn from(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }
}

impl From<String> for RouteKey {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for RouteKey {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Str> for RouteKey {
    fn from(text: Str) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Str> for RouteKey {
    fn from(text: &Str) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&[u8]> for RouteKey {
    fn from(bytes: &[u8]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<&Bytes> for RouteKey {
    fn from(bytes: &Bytes) -> Self {
        Self::from_bytes(bytes)
    }
}

macro_rules! from_keys {
    ($($type:ty),*) => { $(
        impl From<$type> for RouteKey {
            fn from(key: $type) -> Self {
                Key::route(&key)
            }
        }

        // What a pattern binds in a borrowed event is a reference.
        impl From<&$type> for RouteKey {
            fn from(key: &$type) -> Self {
                Key::route(key)
            }
        }
    )* };
}

from_keys!((), bool, char, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, Uuid);
