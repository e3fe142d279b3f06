//! Filling a file with zeros, past the page cache where that goes.
//!
//! What goes through the cache is copied there, pushes out what others need, and is written to the disk
//! all at once when somebody syncs, with every other sync behind it. Writes past the cache
//! (`O_DIRECT`) are done when they return, one piece at a time.

use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memmap2::MmapMut;

use crate::file_storage::RealFile;
use crate::storage::StorageFile;

/// What is written at a time through the cache. Small on purpose: the kernel keeps what one call wrote in
/// pages as large as that, and counts a whole page as written whenever a record changes a part of it.
pub(crate) static PIECE: [u8; 16 * 1024] = [0; 16 * 1024];

/// Bytes that are written at a time past the cache: syncs of other files wait for so many at most.
const DIRECT_PIECE: usize = 1 << 20;

/// Writes past the cache begin and end at multiples of this.
const ALIGN: u64 = 4096;

#[cfg(target_os = "linux")]
const DIRECT: i32 = libc::O_DIRECT;
#[cfg(not(target_os = "linux"))]
const DIRECT: i32 = 0;

/// Writes zeros past the cache into the first `len` bytes of the empty file `path`, as far as they
/// make whole blocks; returns how many these were, none where the file system refuses it.
pub(crate) fn write_past_cache(path: &Path, len: u64) -> io::Result<u64> {
    // Pages, so that they are aligned.
    let zeros = MmapMut::map_anon(DIRECT_PIECE)?;
    let whole = len / ALIGN * ALIGN;
    let Ok(file) = OpenOptions::new().write(true).custom_flags(DIRECT).open(path) else {
        return Ok(0);
    };
    match write(&RealFile::new(file), &zeros, 0..whole) {
        Ok(()) => Ok(whole),
        // Some file systems only say so when somebody writes.
        Err(error) if is_refused(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Fills `range` with copies of `zeros`.
pub(crate) fn write(file: &dyn StorageFile, zeros: &[u8], range: Range<u64>) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let piece = &zeros[..(range.end - offset).min(zeros.len() as u64) as usize];
        file.write_at(offset, piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
