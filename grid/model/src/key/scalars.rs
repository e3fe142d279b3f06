//! `()`, `bool`, `char` and `Uuid` as keys.

use std::cmp::Ordering;

use uuid::Uuid;

use super::take;
use crate::{AsKey, Key, KeyBytes, KeyError, RouteKey};

/// These have one form for all places of a key.
macro_rules! one_form {
    ($type:ty, |$key:ident, $out:ident| $encode:expr, |$routed:ident| $route:expr) => {
        impl AsKey<$type> for $type {
            fn encode_as_key(&self, $out: &mut KeyBytes) {
                let $key = self;
                $encode
            }

            fn encode_as_part(&self, out: &mut KeyBytes) {
                AsKey::<$type>::encode_as_key(self, out);
            }

            fn route_as_key(&self) -> RouteKey {
                let $routed = self;
                $route
            }

            fn compare(&self, key: &$type) -> Ordering {
                self.cmp(key)
            }
        }
    };
}

one_form!((), |_key, _out| (), |_key| RouteKey::from_bytes(&[]));
one_form!(bool, |key, out| out.push(u8::from(*key)), |key| RouteKey::from_bytes(&[u8::from(*key)]));
one_form!(char, |key, out| out.extend_from_slice(&u32::from(*key).to_be_bytes()), |key| {
    RouteKey::from(&*key.encode_utf8(&mut [0; 4]))
});
one_form!(Uuid, |key, out| out.extend_from_slice(key.as_bytes()), |key| RouteKey::from_bytes(
    key.as_bytes()
));

impl Key for () {
    fn decode_part(_: &mut &[u8]) -> Result<Self, KeyError> {
        Ok(())
    }
}

impl Key for bool {
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        match take::<Self, 1>(bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(KeyError::of::<Self>("0 or 1", format!("byte {other}"))),
        }
    }
}

impl Key for char {
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        let code = u32::from_be_bytes(take::<Self, 4>(bytes)?);
        char::from_u32(code)
            .ok_or_else(|| KeyError::of::<Self>("a Unicode scalar value", format!("{code:#x}")))
    }
}

impl Key for Uuid {
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        Ok(Uuid::from_bytes(take::<Self, 16>(bytes)?))
    }
}
