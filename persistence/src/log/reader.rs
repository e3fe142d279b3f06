//! The reading half of a log: scans, depots, times, verification.

use std::path::Path;
use std::sync::Arc;

use super::clean;
use super::format::DATA_START;
use super::index::Span;
use super::open::log_dir;
use super::recover::analyse;
use super::scan::{DepotScan, LogScan};
use super::segment::Segment;
use super::shared::SharedLog;
use super::{Recovered, SegmentInfo};
use crate::{LogError, Position, Storage};

/// Reads a log from any thread while its writer goes on. Cheap to clone. Sees what is visible: the
/// durable records, and those that [`LogSyncer::expose`](super::LogSyncer::expose) showed.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<SharedLog>,
}

/// What [`LogReader::verify`] read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segments of the log.
    pub segments: u64,
    /// Batches in them, all whole.
    pub batches: u64,
    /// Records in them, all whole.
    pub records: u64,
    /// Bytes of those batches.
    pub bytes: u64,
    /// Sealed segments whose index has to be rebuilt from the records when it is needed.
    pub without_footer: u64,
}

impl LogReader {
    /// Reads the log in `dir/log` without changing anything, for tools. A torn tail is left where
    /// it is and not read; what the next start would do about it stands in [`Recovered`].
    ///
    /// # Errors
    /// As [`Log::open`](super::Log::open).
    pub fn open_dir(storage: Arc<dyn Storage>, dir: &Path) -> Result<(Self, Recovered), LogError> {
        let dir = log_dir(dir);
        let analysis = analyse(&storage, &dir)?;
        let recovered = Recovered {
            end: analysis.next,
            next_offsets: analysis.next_offsets()?,
            last_time: analysis.last_time()?,
            how: analysis.how,
        };
        let shared = SharedLog::new(storage, dir, analysis.segments, analysis.next);
        Ok((Self { shared: Arc::new(shared) }, recovered))
    }

    /// Whether the last batches end where the log does. A marker of a clean stop that is older or newer
    /// than the segment beside it says another end. Of a log that no writer has open.
    ///
    /// # Errors
    /// [`LogError::Damaged`] where they end elsewhere, [`LogError::Io`], [`LogError::Unreadable`].
    pub fn check_end(&self) -> Result<(), LogError> {
        let last = self.shared.segments.read().last().cloned();
        last.map_or(Ok(()), |last| clean::check_end(&last, self.end()))
    }

    /// The number that all segments of this log carry, and those of no other; `None` without segments.
    pub fn partition(&self) -> Option<u64> {
        self.shared.segments.read().first().map(|segment| segment.header.partition)
    }

    /// The position after the last visible record. A scan may be a moment ahead of it, never
    /// behind.
    pub fn end(&self) -> Position {
        self.shared.visible()
    }

    /// A scan that begins with the first record at or after `from`.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Damaged`] when an index has to be rebuilt and cannot be.
    pub fn scan(&self, from: Position) -> Result<LogScan, LogError> {
        let Some(segment) = self.segment_of(from) else { return self.empty_scan(from) };
        let number = from.number();
        let start = segment.index(|index| index.offset_of_number(number))?;
        Ok(self.scan_at(segment, start, from))
    }

    fn scan_at(&self, segment: Arc<Segment>, start: Option<(u64, u64)>, from: Position) -> LogScan {
        let start = start.unwrap_or((DATA_START, segment.header.first.number()));
        LogScan::new(Arc::clone(&self.shared), segment, start, from)
    }

    /// Only a folder without a log has no segment; it is read like one that is missing.
    fn empty_scan(&self, from: Position) -> Result<LogScan, LogError> {
        let error = std::io::ErrorKind::NotFound.into();
        let dir = self.shared.storage.display(&self.shared.dir);
        let first = self.shared.segments.read().first().cloned();
        let first = first.ok_or_else(|| LogError::io("find a segment in", dir, error))?;
        Ok(self.scan_at(first, None, from))
    }

    /// The newest segment that does not begin behind `position`.
    pub(crate) fn segment_of(&self, position: Position) -> Option<Arc<Segment>> {
        let segments = self.shared.segments.read();
        let after = segments.partition_point(|segment| segment.header.first <= position);
        segments.get(after.checked_sub(1)?).cloned()
    }

    fn all(&self) -> Vec<Arc<Segment>> {
        self.shared.segments.read().clone()
    }

    /// The first offset of `source` that the log holds, and the one after its last visible record;
    /// equal when there is none.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Damaged`] when an index has to be rebuilt and cannot be.
    pub fn depot_bounds(&self, source: u16) -> Result<(u64, u64), LogError> {
        let segments = self.all();
        let mut end = None;
        for segment in segments.iter().rev() {
            end = segment.index(|index| index.span(source))?.map(|span| span.next);
            if end.is_some() {
                break;
            }
        }
        let Some(end) = end else { return Ok((0, 0)) };
        for segment in &segments {
            if let Some(span) = self.filled_span(segment, source)? {
                return Ok((span.first, end));
            }
        }
        Ok((end, end))
    }

    fn filled_span(&self, segment: &Segment, source: u16) -> Result<Option<Span>, LogError> {
        let span = segment.index(|index| index.span(source))?;
        Ok(span.filter(|span| span.first < span.next))
    }

    /// The records of `source` with offsets `from..to`, as far as they are visible now.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Damaged`] when an index has to be rebuilt and cannot be.
    pub fn depot_range(&self, source: u16, from: u64, to: u64) -> Result<DepotScan, LogError> {
        let (_, end) = self.depot_bounds(source)?;
        let wanted = from..to.min(end);
        for segment in self.all() {
            let span = self.filled_span(&segment, source)?;
            if span.is_none_or(|span| span.next <= from) {
                continue;
            }
            let start = segment.index(|index| {
                let offset = index.offset_of_depot(source, from)?;
                index.point_before(offset)
            })?;
            let scan = self.scan_at(segment, start, Position::START);
            return Ok(DepotScan::new(Some(scan), source, wanted));
        }
        Ok(DepotScan::new(None, source, wanted))
    }

    /// The position of the first visible record at or after `time` (microseconds since 1970, UTC);
    /// the end when there is none.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Io`].
    pub fn position_at_time(&self, time: i64) -> Result<Position, LogError> {
        let Some(mut scan) = self.scan_near_time(time)? else { return Ok(self.end()) };
        while let Some(record) = scan.next()? {
            if record.time >= time {
                return Ok(record.position);
            }
        }
        Ok(self.end())
    }

    /// The offset of the first visible record of `source` at or after `time`; the source's end when
    /// there is none.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Io`].
    pub fn depot_offset_at_time(&self, source: u16, time: i64) -> Result<u64, LogError> {
        let (_, end) = self.depot_bounds(source)?;
        let Some(mut scan) = self.scan_near_time(time)? else { return Ok(end) };
        while let Some(record) = scan.next()? {
            if record.time >= time && record.source == source {
                return Ok(record.depot_offset);
            }
        }
        Ok(end)
    }

    /// A scan that begins close before the first record at or after `time`.
    fn scan_near_time(&self, time: i64) -> Result<Option<LogScan>, LogError> {
        for segment in self.all() {
            let (records, last) = segment.index(|index| (index.records, index.last_time))?;
            if records == 0 || last < time {
                continue;
            }
            let number = segment.index(|index| index.number_before_time(time))?;
            let number = number.unwrap_or(segment.header.first.number());
            let from = Position::new(segment.header.first.epoch(), number);
            return self.scan(from).map(Some);
        }
        Ok(None)
    }

    /// The segments of the log, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let info = |segment: &Arc<Segment>| SegmentInfo {
            file: segment.shown.clone(),
            number: segment.number(),
            first: segment.header.first,
            capacity: segment.capacity,
            used: segment.visible_end() - DATA_START,
            sealed: segment.closed_at().is_some(),
        };
        self.shared.segments.read().iter().map(info).collect()
    }

    /// Reads every visible byte of the log and checks it.
    ///
    /// # Errors
    /// [`LogError::Damaged`] names the first damage; [`LogError::Io`].
    pub fn verify(&self) -> Result<VerifyReport, LogError> {
        let mut report = VerifyReport::default();
        let segments = self.all();
        for (at, segment) in segments.iter().enumerate() {
            let next = segment.walk(|batch| {
                report.batches += 1;
                report.records += u64::from(batch.count);
                report.bytes += batch.len;
            })?;
            report.segments += 1;
            check_end(segment, segments.get(at + 1), next)?;
            if segment.closed_at().is_some() && segment.footer()?.is_none() {
                report.without_footer += 1;
            }
        }
        Ok(report)
    }
}

fn check_end(
    segment: &Segment,
    after: Option<&Arc<Segment>>,
    next: Position,
) -> Result<(), LogError> {
    let ended = segment.closed_at() == Some(segment.visible_end());
    match after.filter(|after| ended && after.header.previous_next != next) {
        None => Ok(()),
        Some(after) => {
            let expected = format!("an end at {}", after.header.previous_next);
            Err(segment.damaged(segment.visible_end(), expected, next.to_string()))
        }
    }
}
