//! The writing end of a run: gathers bytes into large writes and takes a checksum of every page.

use std::io;
use std::sync::Arc;

use super::layout::{PAGE, align_up};
use crate::StorageFile;

/// Bytes per write: large enough that system calls do not count, small enough to stay in cache.
const CHUNK: usize = 512 << 10;
const _: () = assert!((CHUNK as u64).is_multiple_of(PAGE), "a page never straddles two writes");

/// So many bytes are synced at a time. All of them at once, in the end, would take the disk for long, and
/// every append to a log waits behind them.
const SYNC_BYTES: u64 = 4 * CHUNK as u64;

/// A file that is written front to back.
pub(super) struct Sink {
    file: Arc<dyn StorageFile>,
    buffer: Vec<u8>,
    written: u64,
    page_crcs: Vec<u32>,
}

impl Sink {
    pub(super) fn new(file: Arc<dyn StorageFile>) -> Self {
        Self { file, buffer: Vec::new(), written: 0, page_crcs: Vec::new() }
    }

    /// How many bytes were put so far: where the next one goes.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends `bytes`. After an error the file is of no use.
    #[inline]
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.buffer.len() + bytes.len() >= CHUNK {
            let (now, later) = bytes.split_at(CHUNK - self.buffer.len());
            self.buffer.extend_from_slice(now);
            self.flush()?;
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends zeros up to a multiple of `align`, a power of two of at most 64.
    #[inline]
    pub(super) fn pad_to(&mut self, align: u64) -> io::Result<()> {
        debug_assert!(align <= 64, "zeros up to a multiple of {align}");
        let at = self.position();
        self.put(&[0; 64][..(align_up(at, align) - at) as usize])
    }

    /// Writes what is left, and returns the checksums of all pages; the last one may be short.
    pub(super) fn finish_pages(&mut self) -> io::Result<&[u32]> {
        self.flush()?;
        Ok(&self.page_crcs)
    }

    /// Writes the unpaged end of the file and makes everything durable.
    pub(super) fn finish(&mut self, tail: &[u8]) -> io::Result<()> {
        debug_assert!(self.buffer.is_empty(), "pages are sealed before the tail");
        self.file.write_at(self.written, tail)?;
        self.written += tail.len() as u64;
        self.file.sync()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        debug_assert!(self.written.is_multiple_of(PAGE), "the short page is the last one");
        self.file.write_at(self.written, &self.buffer)?;
        self.page_crcs.extend(self.buffer.chunks(PAGE as usize).map(crc32c::crc32c));
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written.is_multiple_of(SYNC_BYTES) {
            self.file.sync()?;
        }
        Ok(())
    }
}
