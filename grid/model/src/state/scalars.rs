//! Scalars, strings and bytes as states.

use uuid::Uuid;

use crate::archive::{ArchiveBuf, ArchiveError, invalid};
use crate::engine::{Cold, Damaged};
use crate::{Bytes, Schema, Size, State, Str};

/// A number's archive is its little-endian bytes, so it is written and read without rkyv's help.
macro_rules! numbers {
    ($reflexive:literal: $($type:ty => $schema:ident),* $(,)?) => { $(
        impl State for $type {
            const ARCHIVE_ALIGN: usize = 1;
            const IN_PLACE: bool = false;
            const FIXED: bool = true;
            const REFLEXIVE: bool = $reflexive;

            fn schema() -> Schema {
                Schema::$schema
            }

            fn size(&self) -> Size {
                Size::default()
            }

            fn is_same(&self, other: &Self) -> bool {
                self.to_le_bytes() == other.to_le_bytes()
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
    true:
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128,
}

numbers! {
    false:
    f32 => F32, f64 => F64,
}

/// The room of bytes outside of a value, behind the counts of an `Arc` where `shared` says so. An archive
/// keeps `inline` of them in the value itself.
fn bytes_size(len: usize, shared: bool, inline: usize) -> Size {
    let counts = if shared { 2 * size_of::<usize>() } else { 0 };
    Size { heap: counts + len, archive: if len <= inline { 0 } else { len } }
}

/// A text of at most so many bytes lies in the archived string itself.
const ARCHIVED_INLINE: usize = size_of::<rkyv::string::ArchivedString>();

fn text_size(text: &Str) -> Size {
    let size = bytes_size(text.len(), true, ARCHIVED_INLINE);
    if text.is_heap_allocated() { size } else { Size { heap: 0, ..size } }
}

macro_rules! others {
    ($($type:ty => $schema:ident, $fixed:literal, $size:expr $(, $fetch:ident)?;)*) => { $(
        impl State for $type {
            // What these point to is bytes.
            const ARCHIVE_ALIGN: usize = align_of::<<Self as rkyv::Archive>::Archived>();
            const FIXED: bool = $fixed;
            const QUICK: bool = true;

            fn schema() -> Schema {
                Schema::$schema
            }

            fn size(&self) -> Size {
                let size: fn(&Self) -> Size = $size;
                size(self)
            }

            fn is_same(&self, other: &Self) -> bool {
                self == other
            }

            $(fn fetch(cold: Cold<'_>) -> Result<(), Damaged> {
                cold.$fetch()
            })?
        }

        crate::__blob_root!([] $type);
    )* };
}

// What a string has room for beyond its text is not counted: clones do not have it.
others! {
    () => Unit, true, |()| Size::default();
    bool => Bool, true, |_| Size::default();
    char => Char, true, |_| Size::default();
    Uuid => Uuid, true, |_| Size::default();
    Str => String, false, text_size, fetch_text;
    String => String, false, |text| bytes_size(text.len(), false, ARCHIVED_INLINE), fetch_text;
    Bytes => Bytes, false, |bytes| bytes_size(bytes.len(), true, 0);
}
