//! The entries at the front of a run that are all of one form: their keys of one length, their
//! values of one length, none of them deleted.
//!
//! They need no heads, and the number of one says where it is. Most roots consist of nothing else:
//! counters, sets of ids, records of numbers. The first entry that differs ends them; it and all
//! after it are *loose*.

use super::layout::{FRAME, UNIT, align_up};

/// How many entries are uniform, and what each of them looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uniform {
    pub(super) count: u64,
    pub(super) key_len: u64,
    pub(super) value_at: u64,
    pub(super) value_len: u64,
    /// From one entry to the next.
    pub(super) stride: u64,
}

impl Uniform {
    /// Entries of this form, whose values are aligned so. None yet.
    pub(super) fn of(key_len: u64, value_len: u64, value_align: u64) -> Self {
        let value_at = align_up(key_len, value_align);
        let stride = align_up(value_at + value_len, value_align);
        Self { count: 0, key_len, value_at, value_len, stride }
    }

    /// Whether an entry has this form. One of an empty key never has: it might take no bytes.
    #[inline]
    pub(super) fn fits(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        value.is_some_and(|value| value.len() as u64 == self.value_len)
            && key.len() as u64 == self.key_len
            && !key.is_empty()
    }

    /// Where the entry of that number begins.
    #[inline]
    pub(super) fn at(&self, number: u64) -> u64 {
        FRAME as u64 + number * self.stride
    }

    /// Where the last one ends.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.at(self.count)
    }

    /// Where loose entries begin.
    #[inline]
    pub(super) fn loose_at(&self) -> u64 {
        align_up(self.end(), UNIT)
    }

    /// Where the entry of a location of the index begins: uniform entries are counted by number,
    /// loose ones go on counting in units.
    #[inline]
    pub(super) fn place(&self, location: u64) -> u64 {
        match location.checked_sub(self.count) {
            None => self.at(location),
            Some(units) => self.loose_at() + units * UNIT,
        }
    }

    /// One more than the greatest location of entries that end at `data_end`.
    pub(super) fn locations(&self, data_end: u64) -> u64 {
        self.count + data_end.saturating_sub(self.loose_at()).div_ceil(UNIT)
    }
}
