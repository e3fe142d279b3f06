//! Tuples and options as keys.

use std::cmp::Ordering;

use super::take;
use crate::{AsKey, Key, KeyBytes, KeyError, RouteKey};

/// A tuple is its parts one after another; all but the last say where they end.
macro_rules! tuple_keys {
    ($first:ident $kfirst:ident $zero:tt, $($mid:ident $kmid:ident $index:tt,)*
     => $last:ident $klast:ident $end:tt) => {
        impl<$first, $($mid,)* $last, $kfirst, $($kmid,)* $klast>
            AsKey<($kfirst, $($kmid,)* $klast)> for ($first, $($mid,)* $last)
        where
            $first: AsKey<$kfirst>,
            $($mid: AsKey<$kmid>,)*
            $last: AsKey<$klast>,
        {
            fn encode_as_key(&self, out: &mut KeyBytes) {
                self.$zero.encode_as_part(out);
                $(self.$index.encode_as_part(out);)*
                self.$end.encode_as_key(out);
            }

            fn encode_as_part(&self, out: &mut KeyBytes) {
                self.$zero.encode_as_part(out);
                $(self.$index.encode_as_part(out);)*
                self.$end.encode_as_part(out);
            }

            fn route_as_key(&self) -> RouteKey {
                self.$zero.route_as_key()
            }

            fn compare(&self, key: &($kfirst, $($kmid,)* $klast)) -> Ordering {
                self.$zero
                    .compare(&key.$zero)
                    $(.then_with(|| self.$index.compare(&key.$index)))*
                    .then_with(|| self.$end.compare(&key.$end))
            }
        }

        impl<$first: Key, $($mid: Key,)* $last: Key> Key for ($first, $($mid,)* $last) {
            fn decode_key(mut bytes: &[u8]) -> Result<Self, KeyError> {
                Ok((
                    $first::decode_part(&mut bytes)?,
                    $($mid::decode_part(&mut bytes)?,)*
                    $last::decode_key(bytes)?,
                ))
            }

            fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
                Ok((
                    $first::decode_part(bytes)?,
                    $($mid::decode_part(bytes)?,)*
                    $last::decode_part(bytes)?,
                ))
            }
        }
    };
}

tuple_keys!(A KA 0, => B KB 1);
tuple_keys!(A KA 0, B KB 1, => C KC 2);
tuple_keys!(A KA 0, B KB 1, C KC 2, => D KD 3);

impl<K, Q: AsKey<K>> AsKey<Option<K>> for Option<Q> {
    fn encode_as_key(&self, out: &mut KeyBytes) {
        out.push(u8::from(self.is_some()));
        if let Some(key) = self {
            key.encode_as_key(out);
        }
    }

    fn encode_as_part(&self, out: &mut KeyBytes) {
        out.push(u8::from(self.is_some()));
        if let Some(key) = self {
            key.encode_as_part(out);
        }
    }

    fn route_as_key(&self) -> RouteKey {
        self.as_ref().map_or_else(|| RouteKey::from(()), AsKey::route_as_key)
    }

    fn compare(&self, key: &Option<K>) -> Ordering {
        match (self, key) {
            (Some(own), Some(other)) => own.compare(other),
            (own, other) => own.is_some().cmp(&other.is_some()),
        }
    }
}

impl<K: Key> Key for Option<K> {
    fn decode_key(mut bytes: &[u8]) -> Result<Self, KeyError> {
        if !is_some::<Self>(&mut bytes)? {
            return <()>::decode_key(bytes).map(|()| None);
        }
        K::decode_key(bytes).map(Some)
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        if is_some::<Self>(bytes)? { K::decode_part(bytes).map(Some) } else { Ok(None) }
    }
}

fn is_some<K>(bytes: &mut &[u8]) -> Result<bool, KeyError> {
    match take::<K, 1>(bytes)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(KeyError::of::<K>("0 or 1", format!("byte {other}"))),
    }
}
