//! Reading records in order, while the log grows.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::format::{
    BATCH_HEADER, BatchHeader, DATA_START, DecodeError, RecordMeta, RecordShape, check_record,
};
use super::read_buffer::ReadBuffer;
use super::segment::Segment;
use super::shared::SharedLog;
use crate::{LogError, Mapped, Position};

/// One record, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Where it stands in the log.
    pub position: Position,
    /// Microseconds since 1970, UTC.
    pub time: i64,
    /// Its offset in its depot.
    pub depot_offset: u64,
    /// Which type the payload encodes.
    pub type_id: u32,
    /// The number of its depot, or of another origin.
    pub source: u16,
    /// What sort of record it is.
    pub kind: u8,
    /// Its idempotency id, if it has one.
    pub id: Option<[u8; 16]>,
    /// Its bytes, 16-byte aligned in the file.
    pub payload: &'a [u8],
}

/// Goes through the log record by record, across segments, up to what is visible; call
/// [`next`](Self::next) again when the log has grown. Every record is verified as it is read.
#[derive(Debug)]
pub struct LogScan {
    shared: Arc<SharedLog>,
    segment: Arc<Segment>,
    buffer: ReadBuffer,
    /// Where the next record, or between batches the next batch, begins in the file.
    offset: u64,
    batch_end: u64,
    /// The position of the next record, and the first one that the caller wants.
    next: Position,
    from: Position,
    /// The record at hand, and where in the file it begins.
    current: RecordShape,
    current_start: u64,
}

impl LogScan {
    /// A scan from `from`, starting at a batch of `segment` that is not behind it.
    pub(crate) fn new(
        shared: Arc<SharedLog>,
        segment: Arc<Segment>,
        (offset, number): (u64, u64),
        from: Position,
    ) -> Self {
        let next = Position::new(segment.header.first.epoch(), number);
        debug_assert!((DATA_START..=segment.capacity).contains(&offset), "batches lie elsewhere");
        Self {
            shared,
            buffer: ReadBuffer::default(),
            offset,
            batch_end: offset,
            next,
            from,
            segment,
            current: RecordShape::default(),
            current_start: 0,
        }
    }

    /// The next record; `None` when the visible end is reached, for now.
    ///
    /// # Errors
    /// [`LogError::Damaged`] names the file and the offset; the scan stays before the damage.
    #[expect(clippy::should_implement_trait, reason = "a record borrows from the scan")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<LogRecord<'_>>, LogError> {
        Ok(if self.advance()? { Some(self.record()) } else { None })
    }

    /// The position of the record that [`next`](Self::next) will look at first.
    pub fn position(&self) -> Position {
        self.next.max(self.from)
    }

    /// Goes to the next wanted record, which [`record`](Self::record) then shows.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, LogError> {
        loop {
            if self.offset >= self.batch_end {
                if !self.enter_batch()? {
                    return Ok(false);
                }
                continue;
            }
            let wanted = self.next >= self.from;
            self.take_record()?;
            if wanted {
                return Ok(true);
            }
        }
    }

    #[inline]
    fn take_record(&mut self) -> Result<(), LogError> {
        let rest = self.buffer.at(self.offset..self.batch_end);
        match check_record(rest, self.next, self.segment.salt) {
            Ok(shape) => {
                (self.current, self.current_start) = (shape, self.offset);
                self.offset += shape.end as u64;
                self.next = self.next.next();
                Ok(())
            }
            Err(error) => Err(self.damaged(error)),
        }
    }

    /// What `next` last came to.
    #[inline]
    pub(crate) fn record(&self) -> LogRecord<'_> {
        let (record, meta) = self.current();
        let number = self.next.number().saturating_sub(1);
        LogRecord {
            position: Position::new(self.next.epoch(), number),
            time: meta.time,
            depot_offset: meta.depot_offset,
            type_id: meta.type_id,
            source: meta.source,
            kind: meta.kind,
            id: meta.id,
            payload: &record[self.current.payload..self.current.payload_end],
        }
    }

    #[inline]
    fn current(&self) -> (&[u8], RecordMeta) {
        let start = self.current_start;
        let record = self.buffer.at(start..start + self.current.end as u64);
        (record, RecordMeta::decode(record))
    }

    /// The payload of the record that [`next`](Self::next) last returned, as a view that outlives
    /// the scan.
    pub fn payload(&self) -> Mapped {
        let start = self.current_start;
        let (from, to) = (self.current.payload as u64, self.current.payload_end as u64);
        self.buffer.view(start + from..start + to)
    }

    /// The file, and the byte in it at which the record that [`next`](Self::next) last returned
    /// begins; for messages.
    pub fn place(&self) -> (&Path, u64) {
        (&self.segment.shown, self.current_start)
    }

    /// Looks at the next batch; passes over it when all of it lies before what is wanted.
    fn enter_batch(&mut self) -> Result<bool, LogError> {
        let end = self.segment.visible_end();
        if self.offset >= end {
            return self.leave_segment();
        }
        let head = self.offset..self.offset + BATCH_HEADER as u64;
        self.look_at(&head, end)?;
        let header = BatchHeader::decode(self.buffer.at(head), self.segment.salt)
            .map_err(|error| self.damaged(error))?;
        let batch_end = self.offset + u64::from(header.len);
        self.check_batch(&header, batch_end, end)?;
        let after = header.base.forward(u64::from(header.count));
        if after <= self.from {
            (self.offset, self.batch_end, self.next) = (batch_end, batch_end, after);
            return Ok(true);
        }
        self.look_at(&(self.offset..batch_end), end)?;
        self.offset += BATCH_HEADER as u64;
        self.batch_end = batch_end;
        Ok(true)
    }

    fn check_batch(&self, header: &BatchHeader, batch_end: u64, end: u64) -> Result<(), LogError> {
        if header.base != self.next {
            let (expected, got) = (self.next.to_string(), header.base.to_string());
            return Err(self.damaged(DecodeError::Bad { expected, got }));
        }
        if batch_end > end || (header.len as usize) < BATCH_HEADER {
            let expected = format!("a batch up to byte {end}");
            let got = format!("one up to {batch_end}");
            return Err(self.damaged(DecodeError::Bad { expected, got }));
        }
        Ok(())
    }

    /// Goes on in the next segment where there is one.
    fn leave_segment(&mut self) -> Result<bool, LogError> {
        let Some(end) = self.segment.closed_at() else { return Ok(false) };
        if self.segment.visible_end() > self.offset {
            return Ok(true);
        }
        if self.offset < end {
            return Ok(false);
        }
        let segments = self.shared.segments.read();
        // Past the end: what was read here was written anew in a segment of the same positions.
        let following = if self.offset == end {
            let here = segments.iter().position(|known| Arc::ptr_eq(known, &self.segment));
            here.and_then(|here| segments.get(here + 1))
        } else {
            let next = self.next;
            segments.iter().rev().find(|segment| segment.header.first <= next)
        };
        let Some(segment) = following.cloned() else { return Ok(false) };
        drop(segments);
        let moved = self.offset != end;
        let wanted = if moved { self.next.max(self.from) } else { self.from };
        (self.offset, self.batch_end) = (DATA_START, DATA_START);
        self.buffer.leave();
        (self.next, self.from, self.segment) = (segment.header.first, wanted, segment);
        Ok(true)
    }

    /// Makes the buffer cover `range`, and more of what is visible.
    fn look_at(&mut self, range: &Range<u64>, end: u64) -> Result<(), LogError> {
        if range.end > end {
            let expected = format!("a batch up to byte {end}");
            let got = format!("one up to {}", range.end);
            return Err(self.damaged(DecodeError::Bad { expected, got }));
        }
        self.buffer.cover(&self.segment, range, end)
    }

    #[cold]
    fn damaged(&self, error: DecodeError) -> LogError {
        let (expected, got) = match error {
            DecodeError::Blank => ("a batch".into(), "zeros".into()),
            DecodeError::Version(version) => ("a batch".into(), format!("version {version}")),
            DecodeError::Bad { expected, got } => (expected, got),
        };
        self.segment.damaged(self.offset, format!("{expected} (record {})", self.next), got)
    }
}

/// The records of one source in a range of its offsets.
#[derive(Debug)]
pub struct DepotScan {
    scan: Option<LogScan>,
    source: u16,
    wanted: Range<u64>,
}

impl DepotScan {
    pub(crate) fn new(scan: Option<LogScan>, source: u16, wanted: Range<u64>) -> Self {
        Self { scan, source, wanted }
    }

    /// Where the record that [`next`](Self::next) last returned lies, as [`LogScan::place`] has it.
    pub fn place(&self) -> Option<(&Path, u64)> {
        self.scan.as_ref().map(LogScan::place)
    }

    /// The next record of the range; `None` behind its last one.
    ///
    /// # Errors
    /// [`LogError::Damaged`] names the file and the offset; the scan stays before the damage.
    #[expect(clippy::should_implement_trait, reason = "a record borrows from the scan")]
    pub fn next(&mut self) -> Result<Option<LogRecord<'_>>, LogError> {
        let Some(scan) = self.scan.as_mut().filter(|_| !self.wanted.is_empty()) else {
            return Ok(None);
        };
        loop {
            if !scan.advance()? {
                return Ok(None);
            }
            let (_, meta) = scan.current();
            if meta.source == self.source && meta.depot_offset >= self.wanted.start {
                self.wanted.start = self.wanted.end.min(meta.depot_offset.saturating_add(1));
                if meta.depot_offset < self.wanted.start {
                    return Ok(Some(scan.record()));
                }
                return Ok(None);
            }
        }
    }
}
