//! The mapping of files: the one place of this crate that needs `unsafe`.
#![expect(unsafe_code, reason = "a file map is only as immutable as its users keep it")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use parking_lot::Mutex;

/// The map of one file, made when it is first asked for and shared by all its readers.
#[derive(Debug, Default)]
pub(crate) struct FileMap {
    current: Mutex<Option<Arc<Mmap>>>,
}

impl FileMap {
    /// A map of at least the first `end` bytes of `file`. It is made anew only when the file has
    /// grown past the one at hand.
    pub(crate) fn covering(&self, file: &File, end: u64) -> io::Result<Arc<Mmap>> {
        let mut current = self.current.lock();
        if let Some(map) = current.as_ref().filter(|map| map.len() as u64 >= end) {
            return Ok(Arc::clone(map));
        }
        let len = file.metadata()?.len();
        if end > len {
            return Err(beyond_the_end(end, len));
        }
        let map = Arc::new(map_file(file, len)?);
        *current = Some(Arc::clone(&map));
        Ok(map)
    }
}

fn beyond_the_end(end: u64, len: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("asked for the first {end} bytes of a file of {len} bytes"),
    )
}

fn map_file(file: &File, len: u64) -> io::Result<Mmap> {
    let len = usize::try_from(len).map_err(|_| beyond_the_end(len, usize::MAX as u64))?;
    // SAFETY: a map is sound while nobody changes or truncates what is read through it. The grid's
    // folder is locked against other processes. This process never truncates a file, and writes to
    // a mapped file only above the range that was asked for (the contract of `StorageFile::map`):
    // log segments are read below their visible end, and runs are never written again at all. Nothing
    // else hands out slices of the map. The page at a segment's end may go to the disk again with more
    // behind what is visible (`write_pages`): that part of it is the same, and no page that is mapped
    // is written in place, because such a write goes past the page cache.
    unsafe { MmapOptions::new().len(len).map(file) }
}
