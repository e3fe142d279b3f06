//! Events that are no records: one variant, encoded whole.

use uuid::Uuid;

use super::{DecodeError, EncodeError, Event, FieldReader, FieldWriter, Variant};
use crate::{Bytes, Key, List, Map, Set, State, Str};

/// Implements [`Event`] for a state that has one variant; the variant is named by the shape.
macro_rules! plain_events {
    ($([$($generics:tt)*] $type:ty;)*) => { $(
        impl<$($generics)*> Event for $type {
            fn variants() -> Vec<Variant> {
                let schema = <Self as State>::schema();
                vec![Variant::new(schema.to_string(), schema)]
            }

            fn variant(&self) -> usize {
                0
            }

            fn encode_fields(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                FieldWriter::new(out).field(self)
            }

            fn decode_fields(variant: usize, bytes: &[u8]) -> Result<Self, DecodeError> {
                if variant > 0 {
                    return FieldReader::unknown(variant, 1);
                }
                let mut reader = FieldReader::new(bytes);
                let value = reader.field()?;
                reader.end(value)
            }
        }
    )* };
}

plain_events! {
    [] ();
    [] bool;
    [] char;
    [] u8;
    [] u16;
    [] u32;
    [] u64;
    [] u128;
    [] i8;
    [] i16;
    [] i32;
    [] i64;
    [] i128;
    [] f32;
    [] f64;
    [] Str;
    [] String;
    [] Bytes;
    [] Uuid;
    [T: State] Option<T>;
    [T: State] List<T>;
    [T: State] Vec<T>;
    [T: Key] Set<T>;
    [K: Key, V: State] Map<K, V>;
    [A: State] (A,);
    [A: State, B: State] (A, B);
    [A: State, B: State, C: State] (A, B, C);
    [A: State, B: State, C: State, D: State] (A, B, C, D);
    [A: State, B: State, C: State, D: State, E: State] (A, B, C, D, E);
    [A: State, B: State, C: State, D: State, E: State, F: State] (A, B, C, D, E, F);
}
