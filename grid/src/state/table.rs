//! Errors of runs, in the words of the model.

use std::any::Any;

use gridmill_model::archive::ArchiveError;
use gridmill_model::engine::{Archive, Damaged};
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

/// An archived value in a run, whose parts are made sure of when they are asked for.
pub(crate) fn archive<'a>(run: &'a Run, bytes: &'a [u8]) -> Archive<'a> {
    Archive::new(bytes, run, verify_part, unreadable)
}

fn run_of(keeper: &(dyn Any + Send + Sync)) -> &Run {
    let Some(run) = keeper.downcast_ref::<Run>() else { unreachable!("archives here lie in runs") };
    run
}

fn verify_part(keeper: &(dyn Any + Send + Sync), part: &[u8]) -> Result<(), Damaged> {
    run_of(keeper).verify_part(part).map_err(damaged)
}

fn unreadable(keeper: &(dyn Any + Send + Sync), what: String) -> Damaged {
    let file = run_of(keeper).file().display().to_string();
    Damaged::new(file, 0, format!("a value cannot be read: {what}"))
}

/// A checksum fits but the value does not: the file was written by something else.
pub(crate) fn undecodable(run: &Run, error: &ArchiveError) -> Damaged {
    Damaged::new(run.file().display().to_string(), 0, format!("a value cannot be read: {error}"))
}
