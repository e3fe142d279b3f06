//! The mapping of files: the one place of this crate that needs `unsafe`.
#![expect(unsafe_code, reason = "a file map is only as immutable as its users keep it")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memmap2::{Advice, Mmap, MmapOptions};
use parking_lot::Mutex;

use crate::storage::MappedOwner;

/// Bytes that are read at a time where the kernel does not fetch pages of a map.
const PIECE: usize = 16 << 10;

/// The map of one file, made when it is first asked for and shared by all its readers.
#[derive(Debug, Default)]
pub(crate) struct FileMap {
    current: Mutex<Option<Arc<Mapping>>>,
}

/// A mapped file.
#[derive(Debug)]
pub(crate) struct Mapping {
    bytes: Mmap,
    /// The file, where the kernel cannot be asked to fetch pages of the map.
    file: Option<File>,
}

impl MappedOwner for Mapping {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// By the map itself, which needs no descriptor and costs no copy, or else by reading the file.
    fn fetch(&self, range: Range<usize>) -> io::Result<()> {
        match &self.file {
            None => populate(&self.bytes, range),
            Some(file) => read_through(file, range),
        }
    }

    fn will_need(&self, range: Range<usize>) {
        // Where it is not heard, the touch reads.
        let _ = self.bytes.advise_range(Advice::WillNeed, range.start, range.len());
    }
}

/// Has the kernel read the pages of `range`: what it cannot read is an error, not a signal.
#[cfg(target_os = "linux")]
fn populate(map: &Mmap, range: Range<usize>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    // As one read; page by page is what follows.
    let _ = map.advise_range(Advice::WillNeed, range.start, range.len());
    let advised = map.advise_range(Advice::PopulateRead, range.start, range.len());
    advised.map_err(|error| match error.raw_os_error() {
        // Said of pages that a touch would have ended the process for.
        Some(libc::EFAULT | libc::EHWPOISON) => io::Error::from_raw_os_error(libc::EIO),
        _ => error,
    })
}

#[cfg(not(target_os = "linux"))]
fn populate(_: &Mmap, _: Range<usize>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads `range`, which brings it into the page cache that the map shows.
fn read_through(file: &File, range: Range<usize>) -> io::Result<()> {
    let mut piece = [0; PIECE];
    let mut at = range.start;
    while at < range.end {
        let len = PIECE.min(range.end - at);
        file.read_exact_at(&mut piece[..len], at as u64)?;
        at += len;
    }
    Ok(())
}

impl FileMap {
    /// A map of at least the first `end` bytes of `file`. It is made anew only when the file has
    /// grown past the one at hand.
    pub(crate) fn covering(&self, file: &File, end: u64) -> io::Result<Arc<Mapping>> {
        let mut current = self.current.lock();
        if let Some(map) = current.as_ref().filter(|map| map.bytes.len() as u64 >= end) {
            return Ok(Arc::clone(map));
        }
        let len = file.metadata()?.len();
        if end > len {
            return Err(beyond_the_end(end, len));
        }
        let bytes = map_file(file, len)?;
        // Linux has it since 5.14.
        let fetches = populate(&bytes, 0..1.min(bytes.len()));
        let unknown = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
        };
        let file = if fetches.is_err_and(|error| unknown(&error)) {
            Some(file.try_clone()?)
        } else {
            None
        };
        debug_assert!(bytes.len() as u64 >= end, "no byte that is asked for lies behind the map");
        let map = Arc::new(Mapping { bytes, file });
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
    // only runs are mapped, which are never written again. Nothing else hands out slices of the map.
    let map = unsafe { MmapOptions::new().len(len).map(file) }?;
    // Look-ups are spread all over a run. Where that is larger than memory, what the system reads around
    // each of them (128 KiB) drives out what others need. Walks say what they need next.
    let _ = map.advise(Advice::Random);
    Ok(map)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_an_error_both_ways() -> io::Result<()> {
        let file = tempfile::tempfile()?;
        file.set_len(64 << 10)?;
        let map = |by_file: bool| -> io::Result<Mapping> {
            let bytes = map_file(&file, 64 << 10)?;
            let file = if by_file { Some(file.try_clone()?) } else { None };
            Ok(Mapping { bytes, file })
        };
        let maps = [map(true)?, map(false)?];
        for map in &maps {
            map.fetch(0..64 << 10)?;
            map.fetch(40_000..40_000)?;
        }
        // A touch of the second half would raise SIGBUS from now on.
        file.set_len(32 << 10)?;
        for map in &maps {
            map.fetch(5_000..32 << 10)?;
            assert!(map.fetch(20 << 10..40 << 10).is_err());
        }
        let error = maps[0].fetch(32 << 10..33 << 10).expect_err("beyond the end");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        Ok(())
    }
}
