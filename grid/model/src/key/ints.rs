//! Integers as keys.

use std::cmp::Ordering;

use super::take;
use crate::{AsKey, Key, KeyBytes, KeyError, RouteKey};

/// Unsigned integers sort by their big-endian bytes; flipping the sign bit makes signed ones do so.
macro_rules! int_keys {
    ($($type:ty, $unsigned:ty, $flip:expr, $width:literal;)*) => { $(
        impl AsKey<$type> for $type {
            #[inline]
            fn encode_as_key(&self, out: &mut KeyBytes) {
                let bytes = ((*self as $unsigned) ^ $flip).to_be_bytes();
                super::append(&bytes, out);
            }

            fn encode_as_part(&self, out: &mut KeyBytes) {
                AsKey::<$type>::encode_as_key(self, out);
            }

            #[inline]
            fn route_as_key(&self) -> RouteKey {
                route_int(i128::try_from(*self).ok(), (*self as u128).to_be_bytes())
            }

            fn compare(&self, key: &$type) -> Ordering {
                self.cmp(key)
            }
        }

        impl Key for $type {
            fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
                let raw = <$unsigned>::from_be_bytes(take::<Self, $width>(bytes)?);
                Ok((raw ^ $flip) as $type)
            }
        }
    )* };
}

int_keys! {
    u8, u8, 0, 1;
    u16, u16, 0, 2;
    u32, u32, 0, 4;
    u64, u64, 0, 8;
    u128, u128, 0, 16;
    i8, u8, 1 << 7, 1;
    i16, u16, 1 << 15, 2;
    i32, u32, 1 << 31, 4;
    i64, u64, 1 << 63, 8;
    i128, u128, 1 << 127, 16;
}

/// Routes by the low 8 bytes if they hold the value as `i64` or `u64`, else by all 16.
#[inline]
fn route_int(value: Option<i128>, wide: [u8; 16]) -> RouteKey {
    let fits = |value: i128| i64::try_from(value).is_ok() || u64::try_from(value).is_ok();
    if value.is_some_and(fits) {
        RouteKey::from_bytes(&wide[8..])
    } else {
        RouteKey::from_bytes(&wide)
    }
}
