//! Filling a file with zeros, past the page cache where that goes.
//!
//! What goes through the cache pushes out what others need, and is written to the disk all at once when
//! somebody syncs, with every other sync behind it. Past the cache, one piece is done after the other.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memmap2::MmapMut;

use crate::direct::{self, PAGE};
use crate::storage::StorageFile;

/// What is written at a time through the cache. Small on purpose: the kernel keeps what one call wrote in
/// pages as large as that, and counts a whole page as written whenever a record changes a part of it.
static PIECE: [u8; 16 * 1024] = [0; 16 * 1024];

/// Bytes that are written at a time past the cache: syncs of other files wait for so many at most.
const DIRECT_PIECE: usize = 128 << 10;

/// Writes zeros past the cache into the first `len` bytes of the empty file `path`, as far as they
/// make whole blocks; returns how many these were, none where the file system refuses it.
pub(crate) fn write_past_cache(path: &Path, len: u64) -> io::Result<u64> {
    // Pages, so that they are aligned.
    let zeros = MmapMut::map_anon(DIRECT_PIECE)?;
    let whole = len - len % PAGE as u64;
    let Some(file) = direct::open(path) else { return Ok(0) };
    let written = in_pieces(&zeros, 0..whole, |offset, piece| file.write_all_at(piece, offset));
    Ok(if direct::taken(written)? { whole } else { 0 })
}

/// Fills `range` with zeros.
pub(crate) fn write(file: &dyn StorageFile, range: Range<u64>) -> io::Result<()> {
    in_pieces(&PIECE, range, |offset, piece| file.write_at(offset, piece))
}

fn in_pieces(
    zeros: &[u8],
    range: Range<u64>,
    write: impl Fn(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let piece = &zeros[..(range.end - offset).min(zeros.len() as u64) as usize];
        write(offset, piece)?;
        offset += piece.len() as u64;
    }
    debug_assert_eq!(offset, range.end.max(range.start), "all is filled, and nothing behind it");
    Ok(())
}
