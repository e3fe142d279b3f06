//! Why a grid does not start, and why it stops.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogError, Position, RunError};

use crate::machine::manifest::ManifestFault;

/// Why a grid did not start. Nothing was changed, but for what recovery may always do: a torn tail
/// is cut, folders are created.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// What the modules declare does not fit together.
    #[error("module `{module}` cannot be started: {}", problems.join("; "))]
    Declaration {
        /// The module.
        module: String,
        /// What is wrong, each with what to do.
        problems: Vec<String>,
    },
    /// An option has a value that cannot work.
    #[error("option `{option}` is {got}, expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        got: String,
        /// What works.
        expected: String,
    },
    /// Another grid has the folder open.
    #[error(
        "the data folder {folder} is in use by another grid; stop that one, or choose another folder"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A grid of this process was dropped, or its stop was not waited for, and it still works in the
    /// folder.
    #[error(
        "the data folder {folder} is still in use by a grid that this process has dropped: after \
         {waited:?}, one of its threads had not ended; wait for `halt` or `shutdown` instead of \
         dropping a grid, or try again"
    )]
    Leaving {
        /// The folder.
        folder: PathBuf,
        /// How long the start has waited.
        waited: Duration,
    },
    /// The folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder was made with another number of partitions.
    #[error(
        "module `{module}` has {expected} partitions in this folder, {got} were asked for; start it with {expected}"
    )]
    Partitions {
        /// The module.
        module: String,
        /// The number stored in the folder.
        expected: u32,
        /// The number asked for.
        got: u32,
    },
    /// A type has another shape than the one that the folder was written with.
    #[error("{what} `{name}` has changed: {difference}. {advice}")]
    Changed {
        /// `PState` or `event variant`.
        what: &'static str,
        /// Which one.
        name: String,
        /// Where the shapes differ: old and new.
        difference: String,
        /// What to write.
        advice: String,
    },
    /// The folder has something that the code does not declare any more.
    #[error(
        "{what} `{name}` of module `{module}` is in the folder but not in the code; declare it again, or call `module.remove(\"{name}\")` to delete it for good"
    )]
    Missing {
        /// `depot`, `stage`, `topology` or `PState`.
        what: &'static str,
        /// Which one.
        name: String,
        /// The module.
        module: String,
    },
    /// A declaration does not fit what the folder holds.
    #[error("module `{module}`: {problem}")]
    Incompatible {
        /// The module.
        module: String,
        /// What does not fit, and what to do.
        problem: String,
    },
    /// What chooses the partition of events or keys answers otherwise than when they were stored, so that
    /// readers would look for them on another partition.
    #[error(
        "{what} `{name}` of module `{module}` is partitioned otherwise than before: {item} lies on \
         partition {partition} and would go {home} now. Partition it as before; or leave it as it was \
         and declare another {what} beside it"
    )]
    Moved {
        /// `depot` or `PState`.
        what: &'static str,
        /// Which one.
        name: String,
        /// The module.
        module: String,
        /// The event or key that was asked about.
        item: String,
        /// The partition that it lies on.
        partition: u32,
        /// Where it would go: `to partition 5`, or `nowhere` where the function panics.
        home: String,
    },
    /// The last stop was not clean, and another version of the code processed the tail of the log.
    #[error(
        "partition {partition} of module `{module}` stopped uncleanly with {records} records that version {expected} of the module processed; this is version {got}. Start version {expected} once and shut it down, or call `accept_replay_with_new_code()`"
    )]
    OtherVersion {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// How many records would be replayed.
        records: u64,
        /// The version that is stored.
        expected: u32,
        /// The version of the code.
        got: u32,
    },
    /// The process ended again and again while it handled one record.
    #[error("the process ended repeatedly while partition {partition} of module `{module}` handled the record at position {position}; where the handler is mended, start once with `accept_replay_with_new_code()`; or start with `quarantine_at(\"{module}\", {partition}, Position::new({}, {}))` to set the record aside", position.epoch(), position.number())]
    Aborting {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// The record's position.
        position: Position,
    },
    /// A handler is not deterministic, as [`check_handlers`](crate::GridBuilder::check_handlers) found.
    #[error("{message} (partition {partition} of module `{module}`)")]
    NotDeterministic {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// The topology and the PState that the same records gave two contents.
        message: String,
    },
    /// A file holds bytes that were not written there.
    #[error("{damage} (partition {partition} of module `{module}`)")]
    Damaged {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// Where, and what to do.
        damage: Damaged,
    },
    /// A file belongs to another grid, partition or PState, or to another time. Nothing was changed.
    #[error(
        "{} does not belong there: expected {expected}, got {got}; put the files back in their \
         places, or restore the data folder from a backup (partition {partition} of module `{module}`)",
        file.display()
    )]
    Foreign {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// The file.
        file: PathBuf,
        /// What belongs there.
        expected: String,
        /// What lies there.
        got: String,
    },
    /// The folder of a partition that was there is gone. Nothing was changed.
    #[error(
        "partition {partition} of module `{module}` was in this data folder, but {} has no manifest: \
         put it back, or restore the data folder from a backup",
        folder.display()
    )]
    Lost {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// Where its folder was.
        folder: PathBuf,
    },
    /// A partition has what another sent to it for records that the other does not have: the other has lost
    /// something, or its folder is older than the rest. Nothing was changed.
    #[error(
        "partition {partition} of module `{module}` has lost records: what its first {known} records sent has come \
         to partition {witness}, and the log in {} ends at record {end}; restore the data folder from a backup, \
         all partitions as they were at one time",
        folder.display()
    )]
    Behind {
        /// The module.
        module: String,
        /// The partition that lacks records.
        partition: u32,
        /// Its folder.
        folder: PathBuf,
        /// The partition that has what they sent.
        witness: u32,
        /// How many records the log has had at least.
        known: u64,
        /// How many it has.
        end: u64,
    },
    /// A topology is to be removed whose handlers appended events that have not arrived. Nothing was changed.
    #[error(
        "topology `{topology}` of module `{module}` has appended {events} events that are still on their way from \
         partition {partition}; start once with the topology in the code and shut the grid down, and then remove \
         it"
    )]
    InFlight {
        /// The module.
        module: String,
        /// The partition on which they wait.
        partition: u32,
        /// The topology.
        topology: String,
        /// How many they are.
        events: usize,
    },
    /// The log cannot be opened or read.
    #[error("the log of partition {partition} of module `{module}`: {source}")]
    Log {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// What is wrong.
        source: LogError,
    },
    /// A run cannot be opened.
    #[error("a run of partition {partition} of module `{module}`: {source}")]
    Run {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// What is wrong.
        source: RunError,
    },
    /// Something else of a partition's folder does not work.
    #[error("partition {partition} of module `{module}`: {message}")]
    Partition {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The grid's threads cannot be started.
    #[error("the grid's threads cannot be started: {0}")]
    Threads(io::Error),
}

impl StartError {
    pub(crate) fn of_manifest(module: &str, partition: u32, fault: ManifestFault) -> Self {
        let module = module.to_owned();
        match fault {
            ManifestFault::File(source) => Self::Log { module, partition, source },
            other => Self::Partition { module, partition, message: other.to_string() },
        }
    }

    /// Whether it would be the same at another start: bytes on the disk are not what was written, or handlers
    /// do not do the same twice.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::Lost { .. }
            | Self::Behind { .. }
            | Self::NotDeterministic { .. } => true,
            Self::Log { source, .. } => {
                matches!(source, LogError::Damaged { .. } | LogError::WrongPartition { .. })
            }
            Self::Run { source, .. } => matches!(
                source,
                RunError::Damaged { .. } | RunError::NotARun { .. } | RunError::Malformed { .. }
            ),
            _ => false,
        }
    }
}

gridmill_client::debug_as_it_reads!(StartError, ShutdownError);

/// Why a shutdown was not clean. What was acknowledged is safe; the next start replays more.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// A partition could not write everything out.
    #[error("partition {partition} of module `{module}` did not stop cleanly: {message}")]
    Partition {
        /// The module.
        module: String,
        /// The partition.
        partition: u32,
        /// What went wrong.
        message: String,
    },
}
