//! What can go wrong with a log or a manifest: what, where, expected, got, what to do.

use std::io;
use std::path::PathBuf;

use crate::Position;

/// Why the log could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Bytes that were durable are not what was written. Nothing was changed.
    #[error(
        "{} is damaged at byte {offset}: expected {expected}, got {got}; {hint}",
        file.display()
    )]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What had to stand there.
        expected: String,
        /// What stands there.
        got: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The disk is full. The log is as it was before the call, and goes on when there is room.
    #[error("no room on the disk for {}: free some space and try again", file.display())]
    StorageFull {
        /// The file that could not grow.
        file: PathBuf,
    },
    /// A write failed, and so did ending the log before it: the batch is not in the log that goes on, but
    /// a start that comes before a later write has succeeded may find it.
    #[error(
        "a write to {} failed ({reason}): it may have reached the file, which the next write that \
         succeeds, or the next start, will tell",
        file.display()
    )]
    Unsettled {
        /// The file that was written to.
        file: PathBuf,
        /// What the operating system said, of both.
        reason: String,
    },
    /// A sync failed: what was written since the last good one must be written anew elsewhere.
    #[error("a sync of {} failed ({reason}): call recover_from_failed_sync", file.display())]
    SyncFailed {
        /// The file whose sync failed.
        file: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// After a failed sync, a batch was not kept in memory and cannot be written anew.
    #[error("the records from {from} on are not in memory any more: stop, and open the log again")]
    NotRetained {
        /// The first record that may be lost.
        from: Position,
    },
    /// A record was larger than the log accepts. Nothing was pushed.
    #[error(
        "a record of {got} bytes is over the limit of {max} bytes: split it or raise the limit"
    )]
    RecordTooLarge {
        /// The payload's size in bytes.
        got: usize,
        /// The largest accepted one.
        max: u32,
    },
    /// A record had the offset 2^64-1, behind which there is none. Nothing was pushed.
    #[error(
        "source {source_number} has no offset behind 2^64-1: give its records to another source"
    )]
    OffsetsExhausted {
        /// The source of the record.
        source_number: u16,
    },
    /// The batch cannot take this record. Nothing was pushed; write the batch first.
    #[error("the batch is full at {max} bytes: write it before pushing more")]
    BatchFull {
        /// The largest batch in bytes.
        max: u32,
    },
    /// The files belong to another partition.
    #[error(
        "{} belongs to the log with number {got:#x}, expected {expected:#x}: put the files back in \
         their places, or restore them from a backup; nothing was changed",
        file.display()
    )]
    WrongPartition {
        /// The file that says so.
        file: PathBuf,
        /// The partition that was opened.
        expected: u64,
        /// The partition that the file names.
        got: u64,
    },
    /// The file has a format that this version does not know.
    #[error(
        "{} has format version {got}, this build reads {expected}: use a newer build",
        file.display()
    )]
    UnknownVersion {
        /// The file that says so.
        file: PathBuf,
        /// The version that this build knows.
        expected: u32,
        /// The version in the file.
        got: u32,
    },
    /// The disk could not read a part of a file. Nothing was changed.
    #[error(
        "{} cannot be read at byte {offset}: {source}; if the disk is failing, restore the file from a \
         backup or a replica",
        file.display()
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The first byte that could not be read.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// Any other failure of the disk. What the failed call should have done was not done.
    #[error("could not {action} {}: {source}{}", file.display(), hint(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What helps, where the system says too little.
fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            "; raise the limit of open files (`ulimit -n`): each partition needs some"
        }
        _ => "",
    }
}

impl LogError {
    pub(crate) fn unreadable(file: PathBuf, offset: u64, source: io::Error) -> Self {
        Self::Unreadable { file, offset, source }
    }

    pub(crate) fn io(action: &'static str, file: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull { file },
            _ => Self::Io { action, file, source },
        }
    }
}
