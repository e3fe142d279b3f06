//! Filling a file with zeros, past the page cache where that goes.
//!
//! What goes through the cache is copied there, pushes out what others need, and is written to the disk
//! all at once when somebody syncs, with every other sync behind it. Writes past the cache
//! (`O_DIRECT`) are done when they return, one piece at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use memmap2::MmapMut;

use crate::storage::ZEROS;

/// Bytes of a write: syncs of other files wait for one at most.
const PIECE: usize = 1 << 20;

/// Writes past the cache begin and end at multiples of this.
const ALIGN: u64 = 4096;

#[cfg(target_os = "linux")]
const DIRECT: i32 = libc::O_DIRECT;
#[cfg(not(target_os = "linux"))]
const DIRECT: i32 = 0;

/// Writes `len` zeros into the empty file `file`, which lies at `path`.
pub(crate) fn fill(file: &File, path: &Path, len: u64) -> io::Result<()> {
    // Pages, so that they are aligned.
    let zeros = MmapMut::map_anon(PIECE)?;
    let whole = len / ALIGN * ALIGN;
    let mut filled = 0;
    if let Ok(direct) = OpenOptions::new().write(true).custom_flags(DIRECT).open(path) {
        match write(&direct, &zeros, 0, whole) {
            Ok(()) => filled = whole,
            // Some file systems only say so when somebody writes.
            Err(error) if is_refused(&error) => {}
            Err(error) => return Err(error),
        }
    }
    write(file, &ZEROS, filled, len)
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

fn write(file: &File, zeros: &[u8], from: u64, to: u64) -> io::Result<()> {
    let mut offset = from;
    while offset < to {
        let piece = &zeros[..(to - offset).min(zeros.len() as u64) as usize];
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
