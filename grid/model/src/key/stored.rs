//! The route of a key of which only bytes and schema are at hand, as in a file.

use uuid::Uuid;

use super::{Key, RouteKey};
use crate::{Bytes, Schema, Str};

impl RouteKey {
    /// The route of the key that these canonical bytes are, of a type with this schema; `None` where
    /// they are no such key.
    ///
    /// ```
    /// use gridmill_model::{Key, KeyBytes, RouteKey, State, prelude::*};
    ///
    /// fn check<K: Key>(key: K) {
    ///     let mut bytes = KeyBytes::new();
    ///     key.encode_key(&mut bytes);
    ///     assert_eq!(RouteKey::of_stored(&K::schema(), &bytes), Some(RouteKey::of(&key)));
    /// }
    ///
    /// check(5_u32);
    /// check(-5_i64);
    /// check(u128::MAX);
    /// check(true);
    /// check('ä');
    /// check(Str::new("a\0b"));
    /// check((Str::new("a\0b"), 1_u8));
    /// check((1_u8, Str::new("a")));
    /// check(Some(Str::new("a\0b")));
    /// check((Some(Str::new("a\0b")), 7_u64));
    /// check(None::<u8>);
    /// assert_eq!(RouteKey::of_stored(&u64::schema(), b"short"), None);
    /// ```
    pub fn of_stored(schema: &Schema, bytes: &[u8]) -> Option<Self> {
        match schema {
            Schema::String => Str::decode_key(bytes).ok().map(|key| key.route()),
            Schema::Bytes => Bytes::decode_key(bytes).ok().map(|key| key.route()),
            Schema::Option(inner) if bytes.first() == Some(&1) => {
                Self::of_stored(inner, &bytes[1..])
            }
            // The only part is the last one too.
            Schema::Tuple(parts) if parts.len() == 1 => Self::of_stored(&parts[0], bytes),
            Schema::Struct { fields, .. } if fields.len() == 1 => {
                Self::of_stored(&fields[0].1, bytes)
            }
            _ => part(schema, &mut &*bytes),
        }
    }
}

/// The route of a key in inner form, or of a whole one that has the same bytes.
fn part(schema: &Schema, bytes: &mut &[u8]) -> Option<RouteKey> {
    fn of<K: Key>(bytes: &mut &[u8]) -> Option<RouteKey> {
        K::decode_part(bytes).ok().map(|key| key.route())
    }
    match schema {
        Schema::Unit => Some(RouteKey::from(())),
        Schema::Bool => of::<bool>(bytes),
        Schema::U8 => of::<u8>(bytes),
        Schema::U16 => of::<u16>(bytes),
        Schema::U32 => of::<u32>(bytes),
        Schema::U64 => of::<u64>(bytes),
        Schema::U128 => of::<u128>(bytes),
        Schema::I8 => of::<i8>(bytes),
        Schema::I16 => of::<i16>(bytes),
        Schema::I32 => of::<i32>(bytes),
        Schema::I64 => of::<i64>(bytes),
        Schema::I128 => of::<i128>(bytes),
        Schema::Char => of::<char>(bytes),
        Schema::String => of::<Str>(bytes),
        Schema::Bytes => of::<Bytes>(bytes),
        Schema::Uuid => of::<Uuid>(bytes),
        Schema::Option(inner) => match bytes.split_off_first()? {
            0 => Some(RouteKey::from(())),
            1 => part(inner, bytes),
            _ => None,
        },
        Schema::Tuple(parts) => part(parts.first()?, bytes),
        Schema::Struct { fields, .. } => part(&fields.first()?.1, bytes),
        Schema::Enum { variants, .. } => {
            let index = u16::from_be_bytes(*bytes.first_chunk()?);
            variants.get(usize::from(index)).map(|(name, _)| RouteKey::from(name.as_str()))
        }
        _ => None,
    }
}
