//! Batches as whole pages, which is how they are written.
//!
//! A batch ends anywhere in a page. The page goes to the disk as it is, with zeros behind the batch,
//! which is what lies there, and once more with the batch that fills it: the part that was durable before
//! does not change. Nothing has to be read first, but for the page at which writes begin to go through
//! the cache after one that went past it.

use std::io;

use crate::StorageFile;
use crate::direct::PAGE;

/// Memory that is kept between batches.
const KEPT_BYTES: usize = 1 << 20;

/// Where a write goes first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Into the page cache.
    Cached,
    /// To the disk.
    Direct,
}

/// The page that is not full yet, and what comes behind it.
#[derive(Debug, Default)]
pub(super) struct PageWriter {
    memory: Vec<u8>,
    /// Where in the memory a page starts.
    start: usize,
    /// Bytes of the page that is not full.
    held: usize,
}

impl PageWriter {
    /// Goes on at `offset` of `file`, reading what its page has.
    pub(super) fn seek(&mut self, file: &dyn StorageFile, offset: u64) -> io::Result<()> {
        let held = offset as usize % PAGE;
        self.held = 0;
        self.reserve(PAGE);
        file.read_at(offset - held as u64, &mut self.memory[self.start..self.start + held])?;
        self.held = held;
        Ok(())
    }

    /// Goes on at the start of a page of which nothing is known yet.
    pub(super) fn restart(&mut self) {
        self.held = 0;
    }

    /// Writes `batch` at `offset`, where the last one ended. After an error anything may lie there, and
    /// the next batch has to go elsewhere.
    pub(super) fn write(
        &mut self,
        (file, capacity): (&dyn StorageFile, u64),
        offset: u64,
        batch: &[u8],
        way: Way,
    ) -> io::Result<()> {
        let (first, len) = (offset - self.held as u64, self.held + batch.len());
        assert!(first.is_multiple_of(PAGE as u64), "{} bytes are held at {offset}", self.held);
        assert!(first + len as u64 <= capacity, "a batch fits its segment");
        self.reserve(len.next_multiple_of(PAGE));
        // A segment need not end with a page.
        let padded = len.next_multiple_of(PAGE).min((capacity - first) as usize);
        let pages = &mut self.memory[self.start..][..padded];
        pages[self.held..len].copy_from_slice(batch);
        pages[len..].fill(0);
        let direct = matches!(way, Way::Direct) && file.write_pages(first, pages)?;
        if !direct {
            // What was there before is not touched: readers may read it just now.
            file.write_at(offset, &pages[self.held..])?;
        }
        let full = len - len % PAGE;
        pages.copy_within(full..len, 0);
        self.held = len - full;
        debug_assert!(self.held < PAGE, "a full page is not held");
        self.shrink();
        Ok(())
    }

    fn reserve(&mut self, len: usize) {
        if self.memory.len() - self.start < len {
            self.resize(len.next_power_of_two());
        }
    }

    fn shrink(&mut self) {
        if self.memory.len() > 2 * KEPT_BYTES + PAGE {
            self.resize(KEPT_BYTES);
        }
    }

    fn resize(&mut self, len: usize) {
        let mut memory = vec![0; len + PAGE];
        // Where nobody can tell, the file takes what is not aligned through the cache.
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        memory[start..][..self.held].copy_from_slice(&self.memory[self.start..][..self.held]);
        (self.memory, self.start) = (memory, start);
    }
}
