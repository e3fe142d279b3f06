//! What is wrong with a file, in one form: which file, at which byte, what and what to do; and what could
//! not be found out, because the system did not let the file be read.

use std::io;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogError, RunError};

use crate::machine::manifest::ManifestFault;
use crate::state::damaged;

/// A file that the system did not let be read: nothing is known of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} could not be checked: {reason}; see to that and try again")]
#[non_exhaustive]
pub struct Unread {
    /// The file.
    pub file: String,
    /// What the system said.
    pub reason: String,
}

/// Why a file says nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    Damaged(Damaged),
    Unread(Unread),
}

impl From<Damaged> for Fault {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

/// Whether what the system said is about the file: it is gone, cut off, or its disk has lost a part of it.
/// Everything else (no permission, too many open files, no memory) is about whoever reads.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, UnexpectedEof};
    let lost = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    lost || matches!(error.kind(), NotFound | UnexpectedEof | IsADirectory | NotADirectory)
}

/// What an operation on a file that failed so says of it.
pub(super) fn of_io(file: String, offset: u64, shown: String, source: &io::Error) -> Fault {
    if is_damage(source) {
        return Damaged::new(file, offset, shown).into();
    }
    Fault::Unread(Unread { file, reason: source.to_string() })
}

/// A log that cannot be read.
pub(crate) fn of_log(error: LogError) -> Fault {
    let shown = error.to_string();
    match error {
        LogError::Unreadable { file, offset, source } => {
            of_io(file.display().to_string(), offset, shown, &source)
        }
        LogError::Io { file, source, .. } => of_io(file.display().to_string(), 0, shown, &source),
        other => damage_of(other).into(),
    }
}

/// What is wrong with a log that is damaged.
pub(crate) fn damage_of(error: LogError) -> Damaged {
    let file = match &error {
        LogError::Damaged { file, .. }
        | LogError::WrongPartition { file, .. }
        | LogError::UnknownVersion { file, .. }
        | LogError::StorageFull { file } => file.display().to_string(),
        _ => "the log".to_owned(),
    };
    match error {
        LogError::Damaged { offset, expected, got, hint, .. } => {
            Damaged::new(file, offset, format!("expected {expected}, got {got}; {hint}"))
        }
        other => Damaged::new(file, 0, other.to_string()),
    }
}

/// A run that cannot be read.
pub(super) fn of_run(error: RunError) -> Fault {
    let shown = error.to_string();
    match error {
        RunError::Unreadable { file, offset, source } => {
            of_io(file.display().to_string(), offset, shown, &source)
        }
        RunError::Io { file, source, .. } => of_io(file.display().to_string(), 0, shown, &source),
        other => damaged(other).into(),
    }
}

pub(super) fn of_manifest(fault: ManifestFault) -> Fault {
    match fault {
        ManifestFault::File(error) => of_log(error),
        ManifestFault::Decode { file, message } => {
            let message = format!("{message}; it was written by another version of Gridmill");
            Damaged::new(file, 0, message).into()
        }
        ManifestFault::Revoked => Damaged::new("MANIFEST", 0, fault.to_string()).into(),
    }
}
