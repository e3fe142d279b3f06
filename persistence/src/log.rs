//! The partition log: what was appended, in order, whole, and never a position twice.
//!
//! A [`Log`] collects records into a batch and writes it with one call; a [`LogSyncer`] makes what
//! was written durable, from any thread; a [`LogReader`] reads it in place while the writer goes
//! on.
//!
//! Invariants: bytes below the visible end of a segment never change. A segment is written by one
//! process run only, or after a stop that is known to be clean. A position names one record
//! forever. Every checksum starts from the segment and the position, so stale bytes are never
//! records.

mod chain;
mod clean;
mod format;
mod index;
mod open;
mod orphans;
mod pages;
mod prepare;
mod read_buffer;
mod reader;
mod recover;
mod rewrite;
mod scan;
mod segment;
mod shared;
mod walk;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use crate::Position;

pub use format::RecordMeta;
pub use open::Recovered;
pub(crate) use read_buffer::first_unreadable;
pub use reader::{LogReader, VerifyReport};
pub use recover::HowStopped;
pub use scan::{DepotScan, LogRecord, LogScan};
pub use shared::LogSyncer;

/// How a log is laid out and what it accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of the first segment: 16 KiB. Each next one is two to four times as large.
    pub segment_bytes_min: u64,
    /// Bytes at which segments stop doubling: 64 MiB. A larger batch gets a segment of its size.
    pub segment_bytes_max: u64,
    /// The largest payload in bytes: 16 MiB. At most 1 GiB.
    pub record_bytes_max: u32,
    /// The largest batch in bytes: 64 MiB. At most 1 GiB.
    pub batch_bytes_max: u32,
    /// Whether written batches stay in memory until they are durable, so that a failed sync can be
    /// recovered from: yes. Turn it off only where nobody waits for a sync.
    pub retain_unsynced: bool,
    /// The number of the partition; another one in the files is refused. Without it a new log draws
    /// a number, and an existing one keeps its own.
    pub partition: Option<u64>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes_min: 16 << 10,
            segment_bytes_max: 64 << 20,
            record_bytes_max: 16 << 20,
            batch_bytes_max: 64 << 20,
            retain_unsynced: true,
            partition: None,
        }
    }
}

/// What one [`Log::write`] put into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The position of the first record.
    pub first: Position,
    /// The position of the last record; `first` when there was none.
    pub last: Position,
    /// How many records.
    pub records: u32,
    /// How many bytes went to the file.
    pub bytes: u64,
}

/// One segment, for people and tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Where the file lies.
    pub file: PathBuf,
    /// The number in its name.
    pub number: u64,
    /// The position of its first record.
    pub first: Position,
    /// The size of its file in bytes.
    pub capacity: u64,
    /// Bytes of batches in it.
    pub used: u64,
    /// Whether the log goes on in a later segment.
    pub sealed: bool,
}

/// The writer of one partition's log. There is one; it belongs to the partition's actor.
///
/// ```
/// use std::path::Path;
/// use std::sync::Arc;
/// use gridmill_persistence::SimStorage;
/// use gridmill_persistence::log::{Log, LogOptions, RecordMeta};
///
/// # fn main() -> Result<(), gridmill_persistence::LogError> {
/// let storage = Arc::new(SimStorage::new());
/// let (mut log, recovered) = Log::open(storage, Path::new("p0"), LogOptions::default())?;
/// assert_eq!(recovered.end, log.next_position());
///
/// let position = log.push(&RecordMeta::default(), b"an event")?;
/// log.write()?;
/// log.syncer().sync()?;
///
/// let mut scan = log.reader().scan(position)?;
/// while let Some(record) = scan.next()? {
///     assert_eq!(record.payload, b"an event");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Log {
    shared: Arc<shared::SharedLog>,
    options: LogOptions,
    /// The batch in the making, beginning with room for its header, and what the index needs of it.
    batch: Vec<u8>,
    summary: index::BatchSummary,
    /// The position of the first record of that batch.
    next: Position,
    segment: Arc<segment::Segment>,
    /// Its file, for writing.
    file: Arc<dyn crate::StorageFile>,
    /// Where in the segment the next batch goes, and the page around it.
    offset: u64,
    pages: pages::PageWriter,
    preparation: prepare::Preparation,
    last_number: u64,
    /// A write into the segment failed: whatever is behind the offset, nothing more goes there.
    broken: bool,
    /// The log was not stopped cleanly and ended at this position: the next batch begins a new epoch, in
    /// a new segment. Until then neither leaves anything in the folder.
    ended: Option<Position>,
    /// The marker of a clean stop still stands and must go before the first write.
    clean_marker: bool,
    /// Files of segments that recovery did not need: prepared ahead, or cut away.
    leftovers: Vec<PathBuf>,
    /// The one of them that the last segment's footer names. Without it, the log would seem to have lost
    /// its end; so it stays until there is a later segment.
    successor: Option<PathBuf>,
}
