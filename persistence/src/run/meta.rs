//! The meta archive: what a run says of itself, checked and read once at open.

use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use super::index::Shape;
use super::layout::{BUCKET, CRCS_PER_CHUNK, FRAME, GROUP, PAGE, align_up};
use super::uniform::Uniform;
use super::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Where the sections of a run lie, what it holds, and the checksums of its checksum table.
///
/// Its size does not depend on the number of entries, but for one `u32` per 64 MiB of file.
#[derive(Clone, Debug, Archive, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) entries: u64,
    pub(super) tombstones: u64,
    /// How many of the first entries are uniform, and the lengths of their keys and values.
    pub(super) uniform: u64,
    pub(super) key_len: u32,
    pub(super) value_len: u32,
    /// End of the entries, which begin after the header.
    pub(super) data_end: u64,
    /// Start of the marks: the position of the first entry of each group that begins with a loose
    /// one.
    pub(super) marks_at: u64,
    /// Start of the positions of the fences, which follow them.
    pub(super) fences_at: u64,
    pub(super) fence_count: u64,
    /// Start of the hash index.
    pub(super) index_at: u64,
    /// Start of the table of page checksums: the end of the pages.
    pub(super) table_at: u64,
    /// Checksums of the table, one per `PAGE` bytes of it.
    pub(super) table_crcs: Vec<u32>,
    pub(super) min_key: Vec<u8>,
    pub(super) max_key: Vec<u8>,
    pub(super) covers: u64,
    pub(super) user: Vec<u8>,
}

impl Meta {
    pub(super) fn encode(&self) -> Result<AlignedVec, Error> {
        rkyv::to_bytes::<Error>(self)
    }

    /// Reads an archive that may lie anywhere in memory.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut aligned = AlignedVec::<16>::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        rkyv::from_bytes::<Self, Error>(&aligned)
    }

    /// How many groups of entries there are.
    pub(super) fn groups(&self) -> u64 {
        self.entries.div_ceil(GROUP)
    }

    /// The uniform entries, whose values are aligned so.
    pub(super) fn uniform(&self, value_align: u64) -> Uniform {
        let form = Uniform::of(u64::from(self.key_len), u64::from(self.value_len), value_align);
        Uniform { count: self.uniform, ..form }
    }

    /// How many groups begin with a uniform entry: they have no mark.
    pub(super) fn unmarked(&self) -> u64 {
        self.uniform.div_ceil(GROUP)
    }

    /// How many buckets the index has.
    pub(super) fn buckets(&self) -> u64 {
        (self.table_at - self.index_at) / BUCKET
    }

    /// How many checksummed pages there are.
    pub(super) fn pages(&self) -> u64 {
        self.table_at.div_ceil(PAGE)
    }

    /// Which rule the sections break, given where this archive lies and how values are aligned.
    ///
    /// All else computes with these numbers unchecked, so none may overflow or point outside.
    pub(super) fn contradiction(&self, meta_at: u64, value_align: u64) -> Option<&'static str> {
        if meta_at > super::index::LOCATION_MAX * super::layout::UNIT {
            return Some("the file is longer than locations can express");
        }
        let ends = [FRAME as u64, self.data_end, self.marks_at, self.fences_at, self.index_at];
        if !ends.is_sorted() || self.index_at > self.table_at || self.table_at > meta_at {
            return Some("the sections are not in order");
        }
        if self.entries > meta_at || self.fence_count > meta_at || self.tombstones > self.entries {
            return Some("the counts exceed the file");
        }
        if self.key_len as usize > KEY_BYTES_MAX || self.value_len as usize > VALUE_BYTES_MAX {
            return Some("uniform entries are too large");
        }
        let uniform = self.uniform(value_align);
        let fits = self.uniform <= self.entries
            && (self.uniform == 0 || self.key_len > 0)
            && self.uniform.checked_mul(uniform.stride).is_some_and(|len| len <= meta_at)
            && uniform.loose_at() <= self.data_end
            && (self.uniform < self.entries || uniform.loose_at() == self.data_end);
        if !fits {
            return Some("the uniform entries do not fit the entries");
        }
        let shape = Shape::of(uniform.locations(self.data_end));
        let table_len = table_len(self.pages());
        let exact = self.marks_at == align_up(self.data_end, 8)
            && self.fences_at == self.marks_at + 8 * (self.groups() - self.unmarked())
            && self.index_at >= self.fences_at + 8 * self.fence_count
            && self.index_at.is_multiple_of(BUCKET)
            && self.table_at == self.index_at + BUCKET * shape.buckets(self.entries)
            && meta_at == self.table_at + table_len
            && self.table_crcs.len() as u64 == self.pages().div_ceil(CRCS_PER_CHUNK);
        (!exact).then_some("the sections do not fit the counts")
    }
}

/// Length of the table of `pages` checksums, zeros at its end included.
pub(super) const fn table_len(pages: u64) -> u64 {
    align_up(4 * pages, 16)
}
