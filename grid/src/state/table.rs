//! Errors of runs, in the words of the model.

use gridmill_model::archive::ArchiveError;
use gridmill_model::engine::Damaged;
use gridmill_persistence::{Run, RunError};

/// A run that cannot be read where it should be.
pub(crate) fn damaged(error: RunError) -> Damaged {
    let (file, offset) = match &error {
        RunError::Damaged { file, offset, .. }
        | RunError::Malformed { file, offset, .. }
        | RunError::Unreadable { file, offset, .. } => (file, *offset),
        RunError::NotARun { file, .. }
        | RunError::Version { file, .. }
        | RunError::Io { file, .. } => (file, 0),
        _ => return Damaged::new("a run", 0, error.to_string()),
    };
    let shown = file.display().to_string();
    let message = match &error {
        RunError::Damaged { expected, got, .. } => format!(
            "checksum expected {expected:#010x}, got {got:#010x}; restore the file from a backup, \
             or give the topology and its PStates new names, so that they are filled from the log, and \
             call `module.remove(..)` with the old name of the topology"
        ),
        _ => error.to_string(),
    };
    Damaged::new(shown, offset, message)
}

/// A checksum fits but the value does not: the file was written by something else.
pub(crate) fn undecodable(run: &Run, error: &ArchiveError) -> Damaged {
    Damaged::new(run.file().display().to_string(), 0, format!("a value cannot be read: {error}"))
}
