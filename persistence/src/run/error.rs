//! What can go wrong with a run, with the evidence.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a run could not be written, opened or read.
///
/// Damage is found by the read that touches it; other parts of the same run stay readable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The storage refused an operation; nothing was added to the snapshot.
    #[error("cannot {action} the run {}: {source}", file.display())]
    Io {
        /// Which run.
        file: Arc<Path>,
        /// What was attempted, as a verb.
        action: &'static str,
        /// What the storage answered.
        source: io::Error,
    },
    /// The file does not begin or end as a run does, or stops before its recorded end.
    #[error(
        "{} is not a whole run: {what}, expected {expected:#x}, got {got:#x}; \
         restore the file from a backup",
        file.display()
    )]
    NotARun {
        /// Which file.
        file: Arc<Path>,
        /// Which part was looked at.
        what: &'static str,
        /// What a whole run has there.
        expected: u64,
        /// What the file has.
        got: u64,
    },
    /// The run was written by a version of the format that this build does not read.
    #[error(
        "{} has run format {got}, this build reads {expected}; \
         open it with the release that wrote it",
        file.display()
    )]
    Version {
        /// Which file.
        file: Arc<Path>,
        /// The version that this build reads.
        expected: u32,
        /// The version of the file.
        got: u32,
    },
    /// Bytes of the file do not match their checksum.
    #[error(
        "the run {} is damaged at byte {offset}: checksum expected {expected:#010x}, \
         got {got:#010x}; restore the file from a backup",
        file.display()
    )]
    Damaged {
        /// Which file.
        file: Arc<Path>,
        /// Where the checksummed part begins, in bytes.
        offset: u64,
        /// The checksum that was written.
        expected: u32,
        /// The checksum of what is there now.
        got: u32,
    },
    /// The disk could not read a part of the file that was touched for the first time.
    #[error(
        "the run {} cannot be read at byte {offset}: {source}; if the disk is failing, restore the file \
         from a backup",
        file.display()
    )]
    Unreadable {
        /// Which file.
        file: Arc<Path>,
        /// The first page that could not be read, in bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Checksums match and yet the contents contradict each other: not a disk's doing.
    #[error(
        "the run {} contradicts itself at byte {offset}: {what}; \
         restore the file from a backup and report this as a bug",
        file.display()
    )]
    Malformed {
        /// Which file.
        file: Arc<Path>,
        /// Where, in bytes.
        offset: u64,
        /// The rule that is broken.
        what: &'static str,
    },
    /// Keys must be added in strictly ascending order. Nothing was added; the writer goes on.
    #[error(
        "key {key:02x?} must come after {previous:02x?} in the run {}; \
         add keys in ascending order, each once",
        file.display()
    )]
    KeyOrder {
        /// Which run is being written.
        file: Arc<Path>,
        /// The last key that was added.
        previous: Vec<u8>,
        /// The key that was refused.
        key: Vec<u8>,
    },
    /// A key, value or note exceeds what a run stores. Nothing was added; the writer goes on.
    #[error(
        "{what} of {got} bytes exceeds the limit of {limit} in the run {}; split it",
        file.display()
    )]
    TooLarge {
        /// Which run is being written.
        file: Arc<Path>,
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
        /// The size in bytes.
        got: u64,
    },
    /// The alignment asked for is none that a run can give.
    #[error("value_align {got} for the run {}: use 1, 2, 4, 8 or 16", file.display())]
    Align {
        /// Which run was to be written.
        file: Arc<Path>,
        /// What was asked for, in bytes.
        got: usize,
    },
    /// A merge cannot take this input without changing its values.
    #[error(
        "cannot merge the run {}: {what} expected {expected:#x}, got {got:#x}; \
         rewrite it entry by entry instead",
        file.display()
    )]
    MergeMismatch {
        /// The input that does not fit.
        file: Arc<Path>,
        /// In what it differs.
        what: &'static str,
        /// What the writer has.
        expected: u64,
        /// What the input has.
        got: u64,
    },
    /// An earlier write of this writer failed, so its file can no longer be completed.
    #[error(
        "the run {} failed to be written earlier; write it again from the start",
        file.display()
    )]
    Unusable {
        /// Which run was being written.
        file: Arc<Path>,
    },
}

impl RunError {
    /// Whether the bytes of the file are at fault (and not the caller, or the moment).
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::NotARun { .. } | Self::Damaged { .. } | Self::Malformed { .. })
    }

    pub(super) fn io(file: &Arc<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let file = Arc::clone(file);
        move |source| Self::Io { file, action, source }
    }
}

/// A path as errors carry it: shared, so that making an error copies no string.
pub(super) fn shared(path: PathBuf) -> Arc<Path> {
    Arc::from(path)
}
