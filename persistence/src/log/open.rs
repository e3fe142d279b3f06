//! Opening a log: recovery, and the new epoch that follows an unclean stop.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clean;
use super::format::{BATCH_HEADER, DATA_START, SegmentHeader, segment_name};
use super::index::{BatchSummary, SegmentIndex};
use super::pages::Pages;
use super::prepare::Preparation;
use super::recover::{Analysis, HowStopped, analyse};
use super::segment::{Segment, create_file};
use super::shared::Shared;
use super::{Log, LogOptions};
use crate::{LogError, Position, Storage};

/// What [`Log::open`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The position that the next record will get. Everything in the log is before it.
    pub end: Position,
    /// How the log had been stopped.
    pub how: HowStopped,
    /// Where each source (depot number) goes on.
    pub next_offsets: BTreeMap<u16, u64>,
    /// The time of the last record, in microseconds since 1970, UTC; 0 without records.
    pub last_time: i64,
}

/// The folder of segments in a partition's folder.
pub(crate) fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

impl Log {
    /// Opens the log in `dir/log`, making it where there is none. After an unclean stop the tail is
    /// verified, made durable, and a new epoch begun before this returns; after a clean one nothing
    /// is read but headers. The caller holds the lock of the folder.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when bytes that were durable are not whole (nothing is changed then),
    /// [`LogError::WrongPartition`], [`LogError::UnknownVersion`], [`LogError::EpochsExhausted`],
    /// [`LogError::StorageFull`], [`LogError::Io`].
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, Recovered), LogError> {
        let dir = log_dir(dir);
        let made = storage.create_dir_all(&dir);
        made.map_err(|error| LogError::io("create", storage.display(&dir), error))?;
        let mut analysis = analyse(&*storage, &dir, |storage, path| storage.open(path))?;
        check_partition(&analysis, &options)?;
        clean::check_end(&analysis)?;
        let (next_offsets, last_time) = (analysis.next_offsets()?, analysis.last_time()?);
        if analysis.how != HowStopped::Clean {
            begin_epoch(&*storage, &dir, &options, &mut analysis)?;
        }
        remove_garbage(&*storage, &dir, &analysis)?;
        let how = analysis.how.clone();
        let log = Self::over(storage, dir, options, analysis)?;
        Ok((log.0, Recovered { end: log.1, how, next_offsets, last_time }))
    }

    fn over(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        options: LogOptions,
        analysis: Analysis,
    ) -> Result<(Self, Position), LogError> {
        let next = analysis.next;
        let Some(segment) = analysis.segments.last().cloned() else {
            let error = std::io::ErrorKind::NotFound.into();
            return Err(LogError::io("open", storage.display(&dir), error));
        };
        let (offset, mut pages) = (segment.visible_end(), Pages::default());
        pages.seek(&segment, offset).map_err(|source| segment.io("read", source))?;
        let log = Self {
            offset,
            pages,
            clean_marker: analysis.how == HowStopped::Clean,
            last_number: analysis.highest_number.max(segment.number()),
            shared: Arc::new(Shared::new(storage, dir, analysis.segments, next)),
            options: options.bounded(),
            batch: vec![0; BATCH_HEADER],
            summary: BatchSummary::default(),
            next,
            segment,
            preparation: Preparation::default(),
            broken: false,
        };
        Ok((log, next))
    }
}

fn check_partition(analysis: &Analysis, options: &LogOptions) -> Result<(), LogError> {
    let (Some(expected), Some(last)) = (options.partition, analysis.segments.last()) else {
        return Ok(());
    };
    let got = last.header.partition;
    if got == expected {
        return Ok(());
    }
    Err(LogError::WrongPartition { file: last.shown.clone(), expected, got })
}

/// Begins the epoch after the last one in a new segment: the recovered one is never appended to, so
/// what a power loss may bring back in it can never be taken for a record.
fn begin_epoch(
    storage: &dyn Storage,
    dir: &Path,
    options: &LogOptions,
    analysis: &mut Analysis,
) -> Result<(), LogError> {
    // What a killed process wrote and did not sync must be on the disk before it is built on. After
    // a clean stop there is nothing of that kind: its marker was written after the last sync.
    for segment in &analysis.segments[analysis.unproven.min(analysis.segments.len())..] {
        segment.file.sync().map_err(|source| segment.io("sync", source))?;
    }
    let first = first_of_epoch(storage, dir, analysis)?;
    let last = analysis.segments.last();
    let end = last.map_or(0, |last| last.visible_end());
    let number = analysis.highest_number + 1;
    let header = SegmentHeader {
        partition: last.map_or_else(|| options.new_partition(), |last| last.header.partition),
        number,
        first,
        previous: last.map_or(0, |last| last.number()),
        previous_end: end,
        previous_next: analysis.next,
        durable_to: first,
    };
    let path = dir.join(segment_name(number));
    let capacity = options.segment_bytes_min.max(2 * DATA_START);
    let file = create_file(storage, &path, capacity, Some(&header))
        .map_err(|source| LogError::io("create", storage.display(&path), source))?;
    let index = last.map(|last| last.index(SegmentIndex::successor)).transpose()?;
    let mut segment = Segment::new(header, path, storage, file, capacity, DATA_START)
        .with_index(Some(index.unwrap_or_else(SegmentIndex::first)));
    if let Some(last) = last {
        segment.bytes_before = last.bytes_before + (end - DATA_START);
        last.close(end);
        last.write_footer();
    }
    analysis.segments.push(Arc::new(segment));
    analysis.next = first;
    Ok(())
}

fn first_of_epoch(
    storage: &dyn Storage,
    dir: &Path,
    analysis: &Analysis,
) -> Result<Position, LogError> {
    if analysis.segments.is_empty() {
        return Ok(Position::START);
    }
    let epoch = analysis.next.epoch().checked_add(1);
    let epoch = epoch.ok_or_else(|| LogError::EpochsExhausted { dir: storage.display(dir) })?;
    Ok(Position::new(epoch, analysis.next.number()))
}

fn remove_garbage(storage: &dyn Storage, dir: &Path, analysis: &Analysis) -> Result<(), LogError> {
    for path in &analysis.garbage {
        let removed = storage.remove(path);
        removed.map_err(|source| LogError::io("remove", storage.display(path), source))?;
    }
    if analysis.garbage.is_empty() {
        return Ok(());
    }
    let synced = storage.sync_dir(dir);
    synced.map_err(|source| LogError::io("sync", storage.display(dir), source))
}

impl LogOptions {
    /// Lengths are 32 bits in the files: larger limits are cut to what fits with room to spare.
    fn bounded(self) -> Self {
        const MOST: u32 = 1 << 30;
        Self {
            record_bytes_max: self.record_bytes_max.min(MOST),
            batch_bytes_max: self.batch_bytes_max.min(MOST),
            ..self
        }
    }

    /// A number that tells this log's files from all others'.
    fn new_partition(&self) -> u64 {
        self.partition.unwrap_or_else(|| RandomState::new().hash_one("partition"))
    }
}
