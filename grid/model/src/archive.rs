//! Values as archived bytes: the form in which runs hold them.
//!
//! Archives are for files that this process family wrote itself, checksummed and stamped with the
//! schema's fingerprint. Access checks that the bytes are safe to read; it cannot tell that they
//! were written for another type of the same layout, which is what the fingerprint is for.
//!
//! `List` is archived as a vector, `Set` and `Map` as vectors sorted by key, so that a later
//! reader can search them in place in both directions.

use std::fmt;

use rkyv::api::low::{LowDeserializer, LowSerializer, LowValidator};
use rkyv::ser::allocator::{Arena, ArenaHandle};
use rkyv::util::AlignedVec;

use crate::State;

/// The error inside rkyv; it keeps its message in release builds too.
#[doc(hidden)]
pub type Failure = rkyv::rancor::BoxedError;
/// What values are archived through: a reused aligned buffer and a reused arena.
#[doc(hidden)]
pub type Archiver<'a> = LowSerializer<&'a mut AlignedVec, ArenaHandle<'a>, Failure>;
/// What archived bytes are checked by before they are looked at.
#[doc(hidden)]
pub type Checker<'a> = LowValidator<'a, Failure>;
/// What archived values are decoded through; it needs no state.
#[doc(hidden)]
pub type Unarchiver = LowDeserializer<Failure>;

/// The bytes of one archived value, in a buffer that is used again for the next one.
///
/// ```
/// use gridmill_model::{State, archive::ArchiveBuf};
///
/// let mut buf = ArchiveBuf::new();
/// 7_u64.archive(&mut buf)?;
/// assert_eq!(u64::unarchive(buf.as_slice())?, 7);
/// # Ok::<(), gridmill_model::archive::ArchiveError>(())
/// ```
#[derive(Default)]
pub struct ArchiveBuf {
    bytes: AlignedVec,
    arena: Arena,
}

impl ArchiveBuf {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of the value that was archived last, aligned to 16.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The number of bytes of the value that was archived last.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was archived, or a value that takes no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Gives back the memory that an unusually large value left behind.
    pub fn shrink_to(&mut self, limit: usize) {
        if self.bytes.capacity() > limit {
            *self = Self::default();
        }
    }

    /// Replaces the content by bytes that are an archive already.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }
}

impl fmt::Debug for ArchiveBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveBuf").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for ArchiveBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// Bytes that are no archive of the type, or a value that has no archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The value does not fit an archive: it is larger than 2 GiB.
    #[error("a value of {type_name} cannot be archived: {message}")]
    Refused {
        /// The Rust type.
        type_name: &'static str,
        /// What the archive's writer said.
        message: String,
    },
    /// The bytes are no archive of the type: they are damaged, or were written for another type.
    #[error("{len} bytes are no archive of {type_name}: {message}; verify the file, or migrate")]
    Invalid {
        /// The Rust type.
        type_name: &'static str,
        /// The number of bytes that were given.
        len: usize,
        /// What the check said.
        message: String,
    },
}

/// Archives through rkyv; the general case behind [`State::archive`].
pub(crate) fn write<T: State>(value: &T, out: &mut ArchiveBuf) -> Result<(), ArchiveError> {
    out.bytes.clear();
    let written = rkyv::api::low::to_bytes_in_with_alloc::<_, _, Failure>(
        value,
        &mut out.bytes,
        out.arena.acquire(),
    );
    match written {
        Ok(_) => Ok(()),
        Err(error) => Err(ArchiveError::Refused {
            type_name: std::any::type_name::<T>(),
            message: error.to_string(),
        }),
    }
}

/// Decodes through rkyv after a check; the general case behind [`State::unarchive`].
pub(crate) fn read<T: State>(bytes: &[u8]) -> Result<T, ArchiveError> {
    if bytes.as_ptr().align_offset(align_of::<T::Archived>()) != 0 {
        let mut aligned: AlignedVec = AlignedVec::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        return read_aligned(&aligned);
    }
    read_aligned(bytes)
}

fn read_aligned<T: State>(bytes: &[u8]) -> Result<T, ArchiveError> {
    let archived = rkyv::api::low::access::<T::Archived, Failure>(bytes)
        .map_err(|error| invalid::<T>(bytes.len(), error.to_string()))?;
    rkyv::api::low::deserialize(archived)
        .map_err(|error: Failure| invalid::<T>(bytes.len(), error.to_string()))
}

/// The error of bytes that are no archive of `T`.
pub(crate) fn invalid<T>(len: usize, message: String) -> ArchiveError {
    ArchiveError::Invalid { type_name: std::any::type_name::<T>(), len, message }
}
