//! Errors of runs, in the words of the model.

use gridmill_model::archive::ArchiveError;
use gridmill_model::engine::Damaged;
use gridmill_persistence::{Run, RunError};

/// A run that cannot be read where it should be.
pub(crate) fn damaged(error: RunError) -> Damaged {
    match error {
        RunError::Damaged { file, offset, expected, got, .. } => Damaged::new(
            file.display().to_string(),
            offset,
            format!(
                "expected {expected}, got {got}; restore the file from a backup, or remove the folder's views and let them be rebuilt"
            ),
        ),
        other => Damaged::new(String::new(), 0, other.to_string()),
    }
}

/// A checksum fits but the value does not: the file was written by something else.
pub(crate) fn undecodable(run: &Run, error: &ArchiveError) -> Damaged {
    Damaged::new(run.file().display().to_string(), 0, format!("a value cannot be read: {error}"))
}
