//! Strings and bytes as keys.

use std::cmp::Ordering;

use crate::{AsKey, Bytes, Key, KeyBytes, KeyError, RouteKey, Str};

/// Appends bytes so that they say themselves where they end, and still sort.
///
/// The end (`00 00`) sorts before an escaped zero (`00 FF`), which sorts before any other byte.
fn encode_escaped(bytes: &[u8], out: &mut KeyBytes) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// Takes escaped bytes off the front, up to and with their end.
fn decode_escaped<K>(bytes: &mut &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut plain = Vec::new();
    let mut rest = *bytes;
    loop {
        match rest {
            [0, 0, tail @ ..] => {
                *bytes = tail;
                return Ok(plain);
            }
            [0, 0xff, tail @ ..] => (plain.push(0), rest = tail).1,
            [0, ..] | [] => {
                return Err(KeyError::of::<K>("the end mark 00 00", "none"));
            }
            [byte, tail @ ..] => (plain.push(*byte), rest = tail).1,
        }
    }
}

fn utf8<K>(bytes: &[u8]) -> Result<&str, KeyError> {
    std::str::from_utf8(bytes).map_err(|error| KeyError::of::<K>("UTF-8", error.to_string()))
}

/// `$form` stands for the key `$key`: both are compared and written as bytes.
macro_rules! byte_keys {
    ($($form:ty => $key:ty;)*) => { $(
        impl AsKey<$key> for $form {
            #[inline]
            fn encode_as_key(&self, out: &mut KeyBytes) {
                super::append(self.as_ref(), out);
            }

            fn encode_as_part(&self, out: &mut KeyBytes) {
                encode_escaped(self.as_ref(), out);
            }

            fn route_as_key(&self) -> RouteKey {
                RouteKey::from_bytes(self.as_ref())
            }

            fn compare(&self, key: &$key) -> Ordering {
                let (own, other): (&[u8], &[u8]) = (self.as_ref(), key.as_ref());
                own.cmp(other)
            }
        }
    )* };
}

byte_keys! {
    str => Str;
    str => String;
    String => Str;
    String => String;
    Str => Str;
    Str => String;
    Bytes => Bytes;
    [u8] => Bytes;
    Vec<u8> => Bytes;
}

impl<const N: usize> AsKey<Bytes> for [u8; N] {
    fn encode_as_key(&self, out: &mut KeyBytes) {
        self.as_slice().encode_as_key(out);
    }

    fn encode_as_part(&self, out: &mut KeyBytes) {
        self.as_slice().encode_as_part(out);
    }

    fn route_as_key(&self) -> RouteKey {
        self.as_slice().route_as_key()
    }

    fn compare(&self, key: &Bytes) -> Ordering {
        self.as_slice().compare(key)
    }
}

impl Key for Str {
    fn decode_key(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Str::new(utf8::<Self>(bytes)?))
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        Self::decode_key(&decode_escaped::<Self>(bytes)?)
    }
}

impl Key for String {
    fn decode_key(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(utf8::<Self>(bytes)?.to_owned())
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        Self::decode_key(&decode_escaped::<Self>(bytes)?)
    }
}

impl Key for Bytes {
    fn decode_key(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Bytes::from(bytes))
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        Ok(Bytes::from(decode_escaped::<Self>(bytes)?))
    }
}
