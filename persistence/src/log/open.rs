//! Opening a log: recovery, and the new epoch that follows an unclean stop.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clean;
use super::format::{BATCH_HEADER, DATA_START, SegmentHeader, segment_name};
use super::index::{BatchSummary, SegmentIndex};
use super::pages::PageWriter;
use super::prepare::Preparation;
use super::read_buffer::first_unreadable;
use super::recover::{Analysis, HowStopped, analyse};
use super::segment::{Segment, create_file};
use super::shared::SharedLog;
use super::{Log, LogOptions};
use crate::{LogError, Position, Storage};

/// A log that is opened has numbers left for so many records: more than are ever written before it is
/// opened again, so that writing need not count them.
const ROOM: u64 = 1 << 47;

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
    /// verified and made durable before this returns, and the next record begins a new epoch; after a clean
    /// one nothing is read but headers and the last batches. Files that are no part of the log stay until the
    /// first write. The caller holds the lock of the folder.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when bytes that were durable are not whole (nothing is changed then),
    /// [`LogError::WrongPartition`], [`LogError::UnknownVersion`], [`LogError::StorageFull`],
    /// [`LogError::Unreadable`], [`LogError::Io`].
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, Recovered), LogError> {
        let dir = log_dir(dir);
        let made = storage.create_dir_all(&dir);
        made.map_err(|error| LogError::io("create", storage.display(&dir), error))?;
        let mut analysis = analyse(&storage, &dir)?;
        check_partition(&analysis, &options)?;
        check_room(&analysis)?;
        if let (HowStopped::Clean, Some(last)) = (&analysis.how, analysis.segments.last()) {
            clean::check_end(last, analysis.next)?;
        }
        let (next_offsets, last_time) = (analysis.next_offsets()?, analysis.last_time()?);
        let ended = begin(&storage, &dir, &options, &mut analysis)?;
        let how = analysis.how.clone();
        let (log, end) = Self::over(storage, dir, options, analysis, ended)?;
        Ok((log, Recovered { end, how, next_offsets, last_time }))
    }

    fn over(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        options: LogOptions,
        analysis: Analysis,
        ended: Option<Position>,
    ) -> Result<(Self, Position), LogError> {
        let next = analysis.next;
        let goes_on = ended.is_none_or(|end| end <= next && end.number() == next.number());
        assert!(goes_on, "a log that ended at {ended:?} goes on at {next}");
        let Some(segment) = analysis.segments.last().cloned() else {
            let error = std::io::ErrorKind::NotFound.into();
            return Err(LogError::io("open", storage.display(&dir), error));
        };
        let file = storage.open(&segment.path).map_err(|source| segment.io("open", source))?;
        segment.hold(Arc::clone(&file));
        let (offset, mut pages) = (segment.visible_end(), PageWriter::default());
        if ended.is_none() {
            pages.seek(&*file, offset).map_err(|source| {
                let page = offset - offset % DATA_START;
                let at = first_unreadable(&*file, page..offset);
                LogError::unreadable(segment.shown.clone(), at, source)
            })?;
        }
        let named = match ended {
            Some(_) => segment.footer_at(offset)?.map(|footer| segment.sibling(footer.successor)),
            None => None,
        };
        let mut leftovers = analysis.garbage;
        let successor = leftovers.extract_if(.., |path| named.as_ref() == Some(path)).next();
        let log = Self {
            offset,
            pages,
            clean_marker: analysis.how == HowStopped::Clean,
            last_number: analysis.highest_number.max(segment.number()),
            shared: Arc::new(SharedLog::new(storage, dir, analysis.segments, next)),
            options: options.bounded(),
            batch: vec![0; BATCH_HEADER],
            summary: BatchSummary::default(),
            next,
            segment,
            file,
            preparation: Preparation::default(),
            leftovers,
            successor,
            broken: false,
            ended,
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

fn check_room(analysis: &Analysis) -> Result<(), LogError> {
    match analysis.segments.last() {
        Some(last) if !analysis.next.has_room_for(ROOM) => {
            let got = format!("an end at {}", analysis.next);
            Err(last.damaged(0, "record numbers below 2^47".into(), got))
        }
        _ => Ok(()),
    }
}

/// Lets the log go on: a new one in its first segment, one that was stopped cleanly in its last. Otherwise
/// its next batch begins a new epoch in a new segment, and the position at which the log ended is returned:
/// the last segment is never appended to, so that what a power loss may bring back in it can never be taken
/// for a record.
fn begin(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    options: &LogOptions,
    analysis: &mut Analysis,
) -> Result<Option<Position>, LogError> {
    let Some(last) = analysis.segments.last() else {
        begin_log(storage, dir, options, analysis)?;
        return Ok(None);
    };
    let end = analysis.next;
    if analysis.how == HowStopped::Clean {
        let epoch = last.header.first.epoch();
        return Ok((end.epoch() != epoch).then(|| Position::new(epoch, end.number())));
    }
    // What a killed process wrote and did not sync must be on the disk before it is built on. After
    // a clean stop there is nothing of that kind: its marker was written after the last sync.
    let (segments, proven) = (&analysis.segments, analysis.proven);
    let mut first = segments.partition_point(|segment| segment.header.first < proven);
    if segments.get(first).is_none_or(|segment| segment.header.first > proven) {
        // It is in the middle of the one before.
        first = first.saturating_sub(1);
    }
    for segment in &segments[first..] {
        segment.write_again(proven)?;
    }
    // Epochs end at 65,535. From there on a position may name two records, one of which was lost before
    // it was durable; their segments, and with them their checksums, still differ.
    let epoch = end.epoch().saturating_add(1);
    analysis.next = Position::new(epoch, end.number());
    Ok(Some(end))
}

fn begin_log(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    options: &LogOptions,
    analysis: &mut Analysis,
) -> Result<(), LogError> {
    let (number, first) = (analysis.highest_number + 1, Position::START);
    let header = SegmentHeader {
        partition: options.new_partition(),
        number,
        first,
        previous: 0,
        previous_end: 0,
        previous_next: first,
        durable_to: first,
    };
    let path = dir.join(segment_name(number));
    let capacity = options.segment_bytes_min.max(2 * DATA_START);
    create_file(&**storage, &path, capacity, Some(&header))
        .map_err(|source| LogError::io("create", storage.display(&path), source))?;
    let segment = Segment::new(header, path, Arc::clone(storage), capacity, DATA_START)
        .with_index(Some(SegmentIndex::first()));
    analysis.segments.push(Arc::new(segment));
    analysis.next = first;
    Ok(())
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
