//! Checksums on first touch: which pages of a run were verified, and the verifying.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::RunError;
use super::layout::{CRCS_PER_CHUNK, PAGE};
use super::meta::{Meta, table_len};
use crate::Mapped;

/// A bit per page of the file and per page of its checksum table.
///
/// The bits only ever go from "not yet" to "good", and the bytes never change, so that relaxed
/// ordering is enough: a thread that misses another's bit verifies once more.
#[derive(Debug)]
pub(super) struct Pages {
    file: Arc<Path>,
    map: Mapped,
    table_at: u64,
    table_end: u64,
    table_crcs: Vec<u32>,
    good: Bits,
    good_chunks: Bits,
}

impl Pages {
    pub(super) fn new(file: Arc<Path>, map: Mapped, meta: &Meta) -> Self {
        Self {
            file,
            map,
            table_at: meta.table_at,
            table_end: meta.table_at + table_len(meta.pages()),
            table_crcs: meta.table_crcs.clone(),
            good: Bits::new(meta.pages()),
            good_chunks: Bits::new(meta.table_crcs.len() as u64),
        }
    }

    /// How many pages were verified.
    pub(super) fn read(&self) -> u64 {
        self.good.count()
    }

    /// Whether the page that holds `at` was verified.
    #[inline]
    pub(super) fn is_good(&self, at: u64) -> bool {
        self.good.has(at / PAGE)
    }

    /// Makes sure that the pages which hold `from..to` are as they were written.
    #[inline]
    pub(super) fn touch(&self, bytes: &[u8], from: u64, to: u64) -> Result<(), RunError> {
        debug_assert!(from <= to && to <= self.table_at, "{from}..{to} lies in no page");
        let (first, last) = (from / PAGE, to.saturating_sub(1).max(from) / PAGE);
        if first == last && self.good.has(first) {
            return Ok(());
        }
        self.touch_all(bytes, first, last)
    }

    #[cold]
    #[inline(never)]
    fn touch_all(&self, bytes: &[u8], first: u64, last: u64) -> Result<(), RunError> {
        if first < last {
            self.will_need(first * PAGE, (last + 1) * PAGE);
        }
        for page in first..=last {
            if !self.good.has(page) {
                self.verify_page(bytes, page)?;
            }
        }
        Ok(())
    }

    /// Has `from..to` read as one, beside what goes on.
    pub(super) fn will_need(&self, from: u64, to: u64) {
        self.map.will_need(from as usize..to as usize);
    }

    /// Verifies a page, whether or not that was done before.
    pub(super) fn verify_page(&self, bytes: &[u8], page: u64) -> Result<(), RunError> {
        let chunk = page / CRCS_PER_CHUNK;
        if !self.good_chunks.has(chunk) {
            self.verify_chunk(bytes, chunk)?;
        }
        let at = self.table_at + 4 * page;
        let stored =
            part(bytes, at, at + 4).first_chunk().map_or(0, |crc| u32::from_le_bytes(*crc));
        self.compare(bytes, page * PAGE, ((page + 1) * PAGE).min(self.table_at), stored)?;
        self.good.set(page);
        Ok(())
    }

    /// Verifies a page of the checksum table itself.
    pub(super) fn verify_chunk(&self, bytes: &[u8], chunk: u64) -> Result<(), RunError> {
        let from = self.table_at + chunk * PAGE;
        let stored = self.table_crcs.get(chunk as usize).copied().unwrap_or(0);
        self.compare(bytes, from, (from + PAGE).min(self.table_end), stored)?;
        self.good_chunks.set(chunk);
        Ok(())
    }

    fn compare(&self, bytes: &[u8], from: u64, to: u64, expected: u32) -> Result<(), RunError> {
        fetch(&self.file, &self.map, from, to)?;
        let got = crc32c::crc32c(part(bytes, from, to));
        if got == expected {
            return Ok(());
        }
        Err(RunError::Damaged { file: Arc::clone(&self.file), offset: from, expected, got })
    }
}

/// What a walk from the front has the system read before it comes there: nothing at first, then ever more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// How far that was asked for.
    to: u64,
    /// Bytes to ask for next.
    step: u64,
}

impl Ahead {
    /// Most bytes that are asked for at a time.
    const MOST: u64 = 512 << 10;

    pub(super) fn of(front: u64) -> Self {
        Self { to: front + 2 * PAGE, step: 2 * PAGE }
    }

    /// The walk has come to `at`.
    #[inline]
    pub(super) fn come_to(&mut self, at: u64, pages: &Pages) {
        if at + self.step / 2 >= self.to {
            self.ask(at, pages);
        }
    }

    #[cold]
    fn ask(&mut self, at: u64, pages: &Pages) {
        let (from, to) = (self.to.max(at), self.to.max(at) + self.step);
        pages.will_need(from, to);
        *self = Self { to, step: Self::MOST.min(2 * self.step) };
    }
}

/// Steps in which a place that cannot be read is looked for: pages of the system.
const BLOCK: usize = 4096;

/// Has `from..to` read, so that what the disk cannot read of it is an error with its place.
pub(super) fn fetch(file: &Arc<Path>, map: &Mapped, from: u64, to: u64) -> Result<(), RunError> {
    let (from, to) = (from as usize, to as usize);
    let Err(source) = map.fetch(from..to) else { return Ok(()) };
    let mut at = from;
    while at < to && map.fetch(at..to.min((at / BLOCK + 1) * BLOCK)).is_ok() {
        at = (at / BLOCK + 1) * BLOCK;
    }
    let offset = if at < to { at } else { from } as u64;
    Err(RunError::Unreadable { file: Arc::clone(file), offset, source })
}

/// `from..to` of the file, or nothing where that lies outside.
#[inline]
pub(super) fn part(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    bytes.get(from as usize..to as usize).unwrap_or(&[])
}

/// A set of small numbers that many threads add to.
#[derive(Debug)]
struct Bits(Box<[AtomicU64]>);

impl Bits {
    fn new(count: u64) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    fn has(&self, bit: u64) -> bool {
        let word = self.0.get((bit / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (bit % 64)) != 0)
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
    }

    fn set(&self, bit: u64) {
        if let Some(word) = self.0.get((bit / 64) as usize) {
            word.fetch_or(1 << (bit % 64), Ordering::Relaxed);
        }
    }
}
