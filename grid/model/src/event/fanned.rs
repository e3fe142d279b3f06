//! A record for many keys.

use serde::{Deserialize, Serialize};

use super::{DecodeError, EncodeError, Event, FieldReader, FieldWriter, Variant};
use crate::{Key, Schema};

/// What travels to one partition of a [`Fan`](crate::Fan): the keys that live there, then the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fanned<K, E> {
    /// The keys, in the order in which they were given.
    pub keys: Vec<K>,
    /// The record, once for all of them.
    pub record: E,
}

impl<K: Key, E: Event> Event for Fanned<K, E> {
    fn variants() -> Vec<Variant> {
        let with_keys = |Variant { name, schema }| {
            let keys = Schema::List(Box::new(K::schema()));
            Variant::new(name, Schema::Tuple(vec![keys, schema]))
        };
        E::variants().into_iter().map(with_keys).collect()
    }

    fn variant(&self) -> usize {
        self.record.variant()
    }

    fn encode_fields(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        FieldWriter::new(out).field(&self.keys)?;
        self.record.encode_fields(out)
    }

    fn decode_fields(variant: usize, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = FieldReader::new(bytes);
        let keys = reader.field()?;
        let record = E::decode_fields(variant, reader.rest())?;
        Ok(Self { keys, record })
    }
}
