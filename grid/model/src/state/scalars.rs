//! Scalars, strings and bytes as states.

use uuid::Uuid;

use crate::archive::{ArchiveBuf, ArchiveError, invalid};
use crate::{Bytes, Schema, State, Str};

/// A number's archive is its little-endian bytes, so it is written and read without rkyv's help.
macro_rules! numbers {
    ($($type:ty => $schema:ident),* $(,)?) => { $(
        impl State for $type {
            const ARCHIVE_ALIGN: usize = 1;

            fn schema() -> Schema {
                Schema::$schema
            }

            fn weight(&self) -> usize {
                0
            }

            fn archive(&self, out: &mut ArchiveBuf) -> Result<(), ArchiveError> {
                out.put(&self.to_le_bytes());
                Ok(())
            }

            fn unarchive(bytes: &[u8]) -> Result<Self, ArchiveError> {
                let wrong = |_| invalid::<Self>(bytes.len(), "the width differs".to_owned());
                bytes.try_into().map(Self::from_le_bytes).map_err(wrong)
            }
        }

        crate::__blob_root!([] $type);
    )* };
}

numbers! {
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128,
    f32 => F32, f64 => F64,
}

macro_rules! others {
    ($($type:ty => $schema:ident, $weight:expr;)*) => { $(
        impl State for $type {
            // What these point to is bytes.
            const ARCHIVE_ALIGN: usize = align_of::<<Self as rkyv::Archive>::Archived>();

            fn schema() -> Schema {
                Schema::$schema
            }

            fn weight(&self) -> usize {
                let weigh: fn(&Self) -> usize = $weight;
                weigh(self)
            }
        }

        crate::__blob_root!([] $type);
    )* };
}

others! {
    () => Unit, |()| 0;
    bool => Bool, |_| 0;
    char => Char, |_| 0;
    Uuid => Uuid, |_| 0;
    Str => String, |text| if text.is_heap_allocated() { text.len() } else { 0 };
    String => String, String::capacity;
    Bytes => Bytes, |bytes| bytes.len();
}
