//! What is wrong with a file, in one form: which file, at which byte, what and what to do.

use gridmill_model::engine::Damaged;
use gridmill_persistence::LogError;

use crate::partition::manifest::ManifestFault;

/// A log that cannot be read.
pub(crate) fn of_log(error: LogError) -> Damaged {
    let file = match &error {
        LogError::Damaged { file, .. }
        | LogError::WrongPartition { file, .. }
        | LogError::UnknownVersion { file, .. }
        | LogError::StorageFull { file }
        | LogError::Io { file, .. } => file.display().to_string(),
        _ => "the log".to_owned(),
    };
    match error {
        LogError::Damaged { offset, expected, got, hint, .. } => {
            Damaged::new(file, offset, format!("expected {expected}, got {got}; {hint}"))
        }
        other => Damaged::new(file, 0, other.to_string()),
    }
}

pub(super) fn of_manifest(fault: ManifestFault) -> Damaged {
    match fault {
        ManifestFault::File(error) => of_log(error),
        ManifestFault::Decode { file, message } => {
            let message = format!("{message}; it was written by another version of Gridmill");
            Damaged::new(file, 0, message)
        }
        ManifestFault::Revoked => Damaged::new("MANIFEST", 0, fault.to_string()),
    }
}
