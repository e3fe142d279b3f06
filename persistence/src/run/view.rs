//! A run's bytes under its rules: every read of an entry, mark, fence or bucket passes here, is
//! checked against the bounds of its section, and verifies the pages that it touches.

use std::sync::Arc;

use super::error::RunError;
use super::index::Bucket;
use super::info::Slot;
use super::layout::{
    BUCKET, ENTRY_HEAD, FENCE_HEAD, FRAME, GROUP, LEN_DELETED, LEN_FOLLOWS, PAGE, UNIT, align_up,
};
use super::pages::{Ahead, part};
use super::reader::Inner;

/// Bytes of an entry that are worth a call to the system, so that what memory lost is read as one.
const LONG: u64 = 64 << 10;

/// The mapped bytes of a run, looked up once per operation.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    pub(super) run: &'a Inner,
}

/// An entry in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) slot: Slot<'a>,
    /// Where the next entry begins, or the entries end.
    pub(super) next: u64,
}

/// Where the parts of an entry lie.
#[derive(Clone, Copy, Debug)]
struct Parts {
    key: (u64, u64),
    /// `None` where the key is deleted.
    value: Option<(u64, u64)>,
    next: u64,
}

/// A fence: the first key of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence<'a> {
    pub(super) group: u64,
    pub(super) key: &'a [u8],
}

impl<'a> View<'a> {
    pub(super) fn new(run: &'a Inner) -> Self {
        Self { bytes: &run.map, run }
    }

    /// The whole entry at `at`.
    #[inline]
    pub(super) fn entry(self, at: u64) -> Result<RunEntry<'a>, RunError> {
        let parts = self.parts(at)?;
        debug_assert!(at < parts.next && parts.next <= self.run.meta.data_end, "a walk goes on");
        if parts.next - at >= LONG {
            self.run.pages.will_need(at, parts.next);
        }
        // All of it at once: the parts lie within.
        self.run.pages.touch(self.bytes, at, parts.next)?;
        let key = part(self.bytes, parts.key.0, parts.key.1);
        let slot = match parts.value {
            Some((from, to)) => Slot::Value(part(self.bytes, from, to)),
            None => Slot::Deleted,
        };
        Ok(RunEntry { key, slot, next: parts.next })
    }

    /// The entry at `at` as its key and head say: the bytes of its value are not looked at.
    pub(super) fn entry_unread(self, at: u64) -> Result<RunEntry<'a>, RunError> {
        let parts = self.parts(at)?;
        let key = self.slice(parts.key.0, parts.key.1)?;
        let slot = match parts.value {
            Some((from, to)) => Slot::Value(part(self.bytes, from, to)),
            None => Slot::Deleted,
        };
        Ok(RunEntry { key, slot, next: parts.next })
    }

    /// Makes sure of bytes that lie in the run.
    pub(super) fn verify_part(self, of: &[u8]) -> Result<(), RunError> {
        let start = (of.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize);
        let end = start.and_then(|start| start.checked_add(of.len()));
        match (start, end.filter(|end| *end as u64 <= self.run.meta.table_at)) {
            (Some(start), Some(end)) => self.run.pages.touch(self.bytes, start as u64, end as u64),
            _ => Err(self.malformed(0, "what is to be verified lies outside the pages")),
        }
    }

    /// The key at `at` and the position after its entry; does not touch the value.
    #[inline]
    pub(super) fn key(self, at: u64) -> Result<(&'a [u8], u64), RunError> {
        let parts = self.parts(at)?;
        Ok((self.slice(parts.key.0, parts.key.1)?, parts.next))
    }

    /// Where the key of the entry at `at` ends, and from where to where its value goes.
    pub(super) fn ends(self, at: u64) -> Result<(u64, Option<(u64, u64)>), RunError> {
        let parts = self.parts(at)?;
        Ok((parts.key.1, parts.value))
    }

    #[inline]
    fn parts(self, at: u64) -> Result<Parts, RunError> {
        if at < FRAME as u64 || at >= self.run.meta.data_end {
            return Err(self.malformed(at, "an entry lies outside the entries"));
        }
        let uniform = &self.run.uniform;
        if at >= uniform.end() {
            return self.loose_parts(at);
        }
        let value_at = at + uniform.value_at;
        let next = at + uniform.stride;
        let next = if next < uniform.end() { next } else { uniform.loose_at() };
        if value_at + uniform.value_len > next {
            return Err(self.malformed(at, "a uniform entry begins elsewhere"));
        }
        let key = (at, at + uniform.key_len);
        Ok(Parts { key, value: Some((value_at, value_at + uniform.value_len)), next })
    }

    fn loose_parts(self, at: u64) -> Result<Parts, RunError> {
        let data_end = self.run.meta.data_end;
        let head = self.slice(at, at + ENTRY_HEAD)?;
        let [k0, k1, v0, v1] = *head else { return Err(self.malformed(at, "an entry is cut off")) };
        let key_len = u64::from(u16::from_le_bytes([k0, k1]));
        let short = u16::from_le_bytes([v0, v1]);
        let (key_at, value_len) = match short {
            LEN_FOLLOWS => (at + ENTRY_HEAD + 4, u64::from(self.long_len(at + ENTRY_HEAD)?)),
            short => (at + ENTRY_HEAD, u64::from(short)),
        };
        let key_end = key_at + key_len;
        let value_at = align_up(key_end, u64::from(self.run.header.value_align));
        let deleted = short == LEN_DELETED;
        let end = if deleted { key_end } else { value_at + value_len };
        let next = align_up(end, UNIT);
        if next > data_end {
            return Err(self.malformed(at, "an entry reaches beyond the entries"));
        }
        let value = (!deleted).then_some((value_at, end));
        Ok(Parts { key: (key_at, key_end), value, next })
    }

    #[cold]
    fn long_len(self, at: u64) -> Result<u32, RunError> {
        let bytes = self.slice(at, at + 4)?.first_chunk();
        bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| self.cut_off(at))
    }

    /// Where the first entry of `group` begins; after the last group, where the entries end.
    #[inline]
    pub(super) fn mark(self, group: u64) -> Result<u64, RunError> {
        let meta = &self.run.meta;
        if group >= meta.groups() {
            return Ok(meta.data_end);
        }
        match group.checked_sub(meta.unmarked()) {
            None => Ok(self.run.uniform.at(group * GROUP)),
            Some(marked) => self.u64_at(meta.marks_at + 8 * marked),
        }
    }

    /// The fence number `index`, of `fence_count`.
    pub(super) fn fence(self, index: u64) -> Result<Fence<'a>, RunError> {
        let at = self.u64_at(self.run.meta.fences_at + 8 * index)?;
        if at > self.run.meta.index_at {
            return Err(self.malformed(at, "a fence lies outside the fences"));
        }
        let group = self.u64_at(at)?;
        if group >= self.run.meta.groups() {
            return Err(self.malformed(at, "a fence leads to no group"));
        }
        let len = self.slice(at + 8, at + FENCE_HEAD)?.first_chunk();
        let len = len.map(|len| u16::from_le_bytes(*len)).ok_or_else(|| self.cut_off(at))?;
        let key = self.slice(at + FENCE_HEAD, at + FENCE_HEAD + u64::from(len))?;
        Ok(Fence { group, key })
    }

    /// The index bucket number `bucket`.
    #[inline]
    pub(super) fn bucket(self, bucket: u64) -> Result<&'a Bucket, RunError> {
        let at = self.run.meta.index_at + BUCKET * bucket;
        self.slice(at, at + BUCKET)?.first_chunk().ok_or_else(|| self.cut_off(at))
    }

    /// `from..to` of the pages, verified.
    #[inline]
    fn slice(self, from: u64, to: u64) -> Result<&'a [u8], RunError> {
        if to > self.run.meta.table_at {
            return Err(self.malformed(from, "a reference points outside the pages"));
        }
        self.run.pages.touch(self.bytes, from, to)?;
        Ok(part(self.bytes, from, to))
    }

    #[inline]
    fn u64_at(self, at: u64) -> Result<u64, RunError> {
        let bytes = self.slice(at, at + 8)?.first_chunk();
        bytes.map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(|| self.cut_off(at))
    }

    /// Some byte of the file, only to have it in cache. Nothing of a page that was not read yet: who
    /// touches that has to ask first whether it can be read.
    #[inline]
    pub(super) fn glance(self, at: u64) -> u8 {
        let byte = self.bytes.get(at as usize).filter(|_| self.run.pages.is_good(at));
        byte.copied().unwrap_or(0)
    }

    /// Whether all of `from..to` is zero, as padding must be.
    pub(super) fn is_zero(self, from: u64, to: u64) -> Result<bool, RunError> {
        Ok(self.slice(from, to)?.iter().all(|byte| *byte == 0))
    }

    /// Reads every page and every page of the checksum table, whatever was read before.
    pub(super) fn verify_pages(self) -> Result<(), RunError> {
        let meta = &self.run.meta;
        for chunk in 0..meta.table_crcs.len() as u64 {
            self.run.pages.verify_chunk(self.bytes, chunk)?;
        }
        let mut ahead = Ahead::of(0);
        (0..meta.pages()).try_for_each(|page| {
            ahead.come_to(page * PAGE, &self.run.pages);
            self.run.pages.verify_page(self.bytes, page)
        })
    }

    #[cold]
    pub(super) fn malformed(self, offset: u64, what: &'static str) -> RunError {
        RunError::Malformed { file: Arc::clone(&self.run.file), offset, what }
    }

    #[cold]
    fn cut_off(self, offset: u64) -> RunError {
        self.malformed(offset, "the file ends inside a section")
    }
}
