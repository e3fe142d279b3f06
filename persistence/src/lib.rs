//! Bytes that survive: the storage seam, the partition log, immutable runs and the manifest.
//!
//! This crate knows nothing of depots' contents, topologies or views: it keeps bytes, proves that
//! they are the bytes that were written, and says exactly what is wrong when they are not.
//!
//! - [`Storage`] is what the crate asks of a disk: [`FileStorage`] is the real one, [`SimStorage`]
//!   a disk in memory that loses power, fills up and flips bits from a seed.
//! - [`log`] is the partition log: one `pwrite` a batch, never a position twice.
//! - [`run`] is the immutable sorted tables that state is flushed into, read in place.
//! - [`manifest`] writes small files that are complete or absent.
//!
//! The files are described byte by byte in `FORMAT.md` beside this crate's `Cargo.toml`.

#[cfg(not(unix))]
compile_error!(
    "Gridmill does not support Windows: its files need positioned writes, advisory locks and \
     folder syncs as unix has them. Linux is tested, macOS is written for but untested."
);

mod bytes;
mod direct;
mod error;
mod file_storage;
pub mod log;
pub mod manifest;
mod mapped;
#[doc(hidden)]
pub mod planted;
mod position;
pub mod run;
mod sim;
mod storage;
mod zeros;

pub use error::LogError;
pub use file_storage::FileStorage;
pub use log::{
    DepotScan, HowStopped, Log, LogOptions, LogReader, LogRecord, LogScan, LogSyncer, RecordMeta,
    Recovered, SegmentInfo, VerifyReport, Written,
};
pub use position::Position;
pub use run::{Run, RunError, RunInfo, RunOptions, RunRange, RunWriter, Slot};
pub use sim::{Faults, SimStorage};
pub use storage::{LockGuard, Mapped, MappedOwner, Storage, StorageFile};
