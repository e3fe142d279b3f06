//! Keys in steps: byte strings that are compact, and of which no promise of a length is believed.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

use crate::key::KeyBytes;
use crate::path::error::Misfit;
use crate::{Key, KeyError};

/// Decodes the key of a step.
pub(in crate::path) fn decode_key<K: Key>(bytes: &[u8]) -> Result<K, Misfit> {
    K::decode_key(bytes).map_err(|error: KeyError| {
        let expected = format!("the bytes of a key of type {}", K::schema());
        Misfit::new(expected, error.to_string(), "build the path anew")
    })
}

pub(super) fn serialize<S: Serializer>(key: &KeyBytes, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(key)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<KeyBytes, D::Error> {
    from.deserialize_bytes(Bytes)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = KeyBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a key")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<KeyBytes, E> {
        Ok(KeyBytes::from_slice(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<KeyBytes, A::Error> {
        let mut key = KeyBytes::new();
        while let Some(byte) = bytes.next_element()? {
            key.push(byte);
        }
        Ok(key)
    }
}
