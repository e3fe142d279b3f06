//! What a PState may hold.

mod option;
mod root;
mod scalars;
pub(crate) mod size;
mod tuples;
mod vec;

use std::fmt::Debug;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Schema;
use crate::archive::{ArchiveBuf, ArchiveError, Archiver, Checker, Unarchiver};
use crate::diff::{DiffOut, unchanged};
use crate::engine::{Cold, Damaged};
use crate::path::Walk;

pub use root::Root;
pub use size::Size;

/// No memory.
pub(crate) const NOWHERE: [Range<*const u8>; 3] = [const { std::ptr::null()..std::ptr::null() }; 3];

/// A value that a PState may hold, at its root or inside.
///
/// Numbers (but not `usize` and `isize`), `bool`, `char`, [`Str`](crate::Str), `String`,
/// [`Bytes`](crate::Bytes), [`Uuid`](crate::Uuid), `Option`, tuples up to twelve, [`List`](crate::List),
/// [`Set`](crate::Set), [`Map`](crate::Map), `Vec` (copied whole with each change) and every
/// `#[record]` are such values. Do not implement it by hand: write `#[record]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be held by a PState",
    label = "not a `State`",
    note = "put `#[record]` on your own types; collections are `Map`, `List` and `Set`, not those of `std`",
    note = "`usize` and `isize` are refused because their width is not portable: use u64 or u32"
)]
pub trait State:
    Clone
    + PartialEq
    + Debug
    + Send
    + Sync
    + 'static
    + Serialize
    + DeserializeOwned
    + Walk
    + rkyv::Archive<
        Archived: for<'a> rkyv::bytecheck::CheckBytes<Checker<'a>>
                      + rkyv::Deserialize<Self, Unarchiver>,
    >
    + for<'a> rkyv::Serialize<Archiver<'a>>
{
    /// The alignment in memory that an archive is read fastest at, in bytes. 16 suits whatever
    /// rkyv lays out; a type whose archive is read byte by byte needs none.
    #[doc(hidden)]
    const ARCHIVE_ALIGN: usize = 16;

    /// The shape of the type, as data.
    fn schema() -> Schema;

    /// Whether parts of an archived value may be decoded alone.
    #[doc(hidden)]
    const IN_PLACE: bool = true;

    /// Makes sure of the bytes that an archived value is decoded from.
    ///
    /// # Errors
    /// [`Damaged`](crate::Damaged) where they are not as they were written.
    #[doc(hidden)]
    fn fetch(cold: Cold<'_>) -> Result<(), Damaged> {
        if Self::FIXED {
            cold.bytes(size_of::<Self::Archived>()).map(drop)
        } else {
            cold.verify_all()
        }
    }

    /// Whether values take no room beyond that of their type: their [`size`](Self::size) is 0.
    #[doc(hidden)]
    const FIXED: bool = false;

    /// Whether [`size`](Self::size) takes constant time, because parts of values have one size.
    #[doc(hidden)]
    const QUICK: bool = Self::FIXED;

    /// Whether each value equals itself: so does everything but a `NaN`, and what may hold one.
    #[doc(hidden)]
    const REFLEXIVE: bool = true;

    /// How much room this value takes beyond that of its type. It looks at all parts that have room of
    /// their own.
    fn size(&self) -> Size;

    /// Brings `size` from that of `was` to that of this value, which was made from a clone of `was` that
    /// is still there. A collection looks at what changed, and not at what both share.
    #[doc(hidden)]
    fn resize(&self, was: &Self, size: &mut Size) {
        size.replace(was.size(), self.size());
    }

    /// The approximate heap bytes of this value, beyond its own size; see [`size`](Self::size).
    fn weight(&self) -> usize {
        self.size().heap
    }

    /// How many bytes the archive of a value of this size takes at most: fewer only by gaps before aligned
    /// parts that are not needed where they happen to lie.
    #[doc(hidden)]
    fn archive_len(size: Size) -> usize {
        let gap = if Self::FIXED { 0 } else { size::gap::<Self::Archived>() };
        size_of::<Self::Archived>() + gap + size.archive
    }

    /// Whether both are clones between which nothing was changed, by a look at where they lie: constant time,
    /// and false where that does not tell. Unlike `==` it is true of a `NaN`.
    #[doc(hidden)]
    fn is_same(&self, _other: &Self) -> bool {
        false
    }

    /// Tells `out` what makes this value of an older one: of a value without parts, that it is another.
    #[doc(hidden)]
    fn diff(&self, old: &Self, out: &mut DiffOut) {
        if !unchanged(old, self) {
            out.set(self);
        }
    }

    /// The memory outside of this value that a change of it reads and writes, first that which a clone does:
    /// it may be fetched into the processor's cache before. It is not to be read through these pointers.
    #[doc(hidden)]
    fn spans(&self) -> [Range<*const u8>; 3] {
        NOWHERE
    }

    /// Replaces the content of `out` by the archive of this value.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] when the value is larger than an archive can be (2 GiB).
    fn archive(&self, out: &mut ArchiveBuf) -> Result<(), ArchiveError> {
        crate::archive::write(self, out)
    }

    /// Decodes the bytes that [`archive`](Self::archive) wrote.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] when they are not safe to read as this type.
    fn unarchive(bytes: &[u8]) -> Result<Self, ArchiveError> {
        crate::archive::read(bytes)
    }

    /// The exact number of bytes of the compact (postcard) form. It looks at the whole value.
    fn encoded_len(&self) -> usize {
        crate::event::encoded_len(self)
    }
}
