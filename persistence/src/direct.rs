//! Writing past the page cache (`O_DIRECT`).
//!
//! What goes through the cache is copied into pages that have to be found first, and is brought to the
//! disk only when somebody syncs. What goes past it is on its way when the write returns, and a sync
//! has little left to do. Other readers of the file see it: the kernel drops its copies of the pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Writes past the cache begin and end at multiples of this, in the file and in memory.
pub(crate) const PAGE: usize = 4096;

/// A handle of the file `path` whose writes go past the cache; `None` where there is no such thing.
#[cfg(target_os = "linux")]
pub(crate) fn open(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path).ok()
}

/// A handle of the file `path` whose writes go past the cache: not on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_: &Path) -> Option<File> {
    None
}

/// The handle of a file whose writes go past the cache, beside the one whose writes do not.
#[derive(Debug)]
pub(crate) enum Direct {
    Untried,
    Open(File),
    /// The file system, or the way in which the file was opened, has no such thing.
    Refused,
}

impl Direct {
    /// The handle, opened where it is not yet, for `file`, which was opened as `path`.
    pub(crate) fn handle(&mut self, file: &File, path: &Path) -> Option<&File> {
        if let Self::Untried = self {
            let identity = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
            let again = open(path).filter(|again| identity(again) == identity(file));
            *self = again.map_or(Self::Refused, Self::Open);
        }
        if let Self::Open(file) = self { Some(file) } else { None }
    }

    /// Gives the handle back; the next write opens it again.
    pub(crate) fn close(&mut self) {
        if let Self::Open(_) = self {
            *self = Self::Untried;
        }
    }
}

/// Whether `bytes` can go past the cache to `offset`.
pub(crate) fn fits(offset: u64, bytes: &[u8]) -> bool {
    let whole = offset.is_multiple_of(PAGE as u64) && bytes.len().is_multiple_of(PAGE);
    whole && bytes.as_ptr().align_offset(PAGE) == 0
}

/// Whether the file system took a write past the cache: some say only then that they do not.
pub(crate) fn taken(written: io::Result<()>) -> io::Result<bool> {
    match written.map_err(|error| (error.kind(), error)) {
        Ok(()) => Ok(true),
        Err((io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported, _)) => Ok(false),
        Err((_, error)) => Err(error),
    }
}
