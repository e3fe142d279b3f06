//! Going through the batches of a segment whose end is not known, or not believed.

use super::format::{
    ALIGN, BATCH_HEADER, BatchHeader, DATA_START, DecodeError, RecordMeta, check_record,
};
use super::index::BatchSummary;
use super::read_buffer::ReadBuffer;
use super::segment::Segment;
use crate::{LogError, Position};

/// What stands at the walker's place.
#[derive(Debug)]
pub(crate) enum WalkStep {
    /// A whole batch, every record of it verified.
    Batch(BatchSummary),
    /// Zeros, or the limit: nothing more was written.
    End,
    /// Something that is not a whole batch, and where in the segment.
    Bad { offset: u64, expected: String, got: String },
}

/// Goes from batch to batch. The limit is where the segment is known to end, or its length.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    segment: &'a Segment,
    buffer: ReadBuffer,
    limit: u64,
    pub(crate) offset: u64,
    pub(crate) next: Position,
    /// What was durable when the last of the batches passed was written.
    pub(crate) durable_to: Position,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(segment: &'a Segment, limit: u64) -> Self {
        let (buffer, next) = (ReadBuffer::default(), segment.header.first);
        let durable_to = segment.header.durable_to;
        Self { segment, buffer, limit, offset: DATA_START, next, durable_to }
    }

    /// The same, from the batch at `offset` on, which begins with the record `next`.
    pub(crate) fn beginning_at(self, offset: u64, next: Position) -> Self {
        debug_assert!((DATA_START..=self.limit).contains(&offset), "batches lie elsewhere");
        Self { offset, next, ..self }
    }

    /// Looks at the next batch and, when it is whole, goes past it.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(crate) fn step(&mut self) -> Result<WalkStep, LogError> {
        if self.offset >= self.limit {
            return Ok(WalkStep::End);
        }
        let header_end = self.limit.min(self.offset + BATCH_HEADER as u64);
        self.buffer.cover(self.segment, &(self.offset..header_end), self.limit)?;
        let decoded =
            BatchHeader::decode(self.buffer.at(self.offset..header_end), self.segment.salt);
        let header = match decoded {
            Ok(header) => header,
            Err(error) => return Ok(step_of(self.offset, error)),
        };
        let len = u64::from(header.len);
        let room = self.limit - self.offset;
        if len > room || len < BATCH_HEADER as u64 || !len.is_multiple_of(ALIGN as u64) {
            let expected = format!("a batch of at most {room} bytes");
            return Ok(bad(self.offset, expected, format!("{len} bytes")));
        }
        if header.base != self.next {
            return Ok(bad(self.offset, self.next.to_string(), header.base.to_string()));
        }
        self.buffer.cover(self.segment, &(self.offset..self.offset + len), self.limit)?;
        Ok(match self.records(&header) {
            Ok(summary) => {
                self.offset += summary.len;
                debug_assert!(
                    self.offset <= self.limit,
                    "a batch reaches over byte {}",
                    self.limit
                );
                self.next = summary.end();
                self.durable_to = self.durable_to.max(header.durable_to);
                WalkStep::Batch(summary)
            }
            Err((offset, error)) => step_of(offset, error),
        })
    }

    fn records(&self, header: &BatchHeader) -> Result<BatchSummary, (u64, DecodeError)> {
        let (offset, len) = (self.offset, u64::from(header.len));
        let batch = self.buffer.at(offset..offset + len);
        let mut summary = BatchSummary { base: header.base, offset, len, ..Default::default() };
        let mut at = BATCH_HEADER;
        for index in 0..u64::from(header.count) {
            let record = &batch[at..];
            let shape = check_record(record, header.base.forward(index), self.segment.salt)
                .map_err(|error| (offset + at as u64, error))?;
            let meta = RecordMeta::decode(record);
            summary.add(meta.source, meta.depot_offset, meta.time);
            at += shape.end;
        }
        if at == batch.len() {
            return Ok(summary);
        }
        let (expected, got) = (format!("{len} bytes of records"), format!("{at} bytes"));
        Err((offset, DecodeError::Bad { expected, got }))
    }
}

fn step_of(offset: u64, error: DecodeError) -> WalkStep {
    match error {
        DecodeError::Blank => WalkStep::End,
        DecodeError::Version(got) => bad(offset, "a batch".into(), format!("version {got}")),
        DecodeError::Bad { expected, got } => bad(offset, expected, got),
    }
}

fn bad(offset: u64, expected: String, got: String) -> WalkStep {
    WalkStep::Bad { offset, expected, got }
}

/// What lies behind the place where a walk ended.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    /// The highest `durable_to` in any whole batch header.
    pub(crate) durable_to: Position,
    /// Where the last byte that is not zero ends.
    pub(crate) written_to: u64,
}

/// Looks through all of a segment from `offset` on for headers that say what was durable. Their checksum
/// starts from the segment's salt, so nothing stale and nothing foreign passes for one.
///
/// # Errors
/// Where the file cannot be read.
pub(crate) fn look_beyond(segment: &Segment, offset: u64) -> Result<Beyond, LogError> {
    let mut beyond = Beyond { written_to: offset, ..Default::default() };
    let (mut buffer, end) = (ReadBuffer::default(), segment.capacity);
    for at in (offset..end).step_by(ALIGN) {
        let header_end = end.min(at + BATCH_HEADER as u64);
        buffer.cover(segment, &(at..header_end), end)?;
        let bytes = buffer.at(at..header_end);
        let cell = &bytes[..bytes.len().min(ALIGN)];
        if cell.iter().all(|&byte| byte == 0) {
            continue;
        }
        beyond.written_to = at + cell.len() as u64;
        if !BatchHeader::may_start(cell) {
            continue;
        }
        if let Ok(header) = BatchHeader::decode(bytes, segment.salt) {
            beyond.durable_to = beyond.durable_to.max(header.durable_to);
        }
    }
    Ok(beyond)
}
