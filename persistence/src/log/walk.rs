//! Reading a segment from front to back, trusting nothing: for recovery, for verifying and for
//! rebuilding an index.

use super::format::{ALIGN, BATCH_HEADER, BatchHeader, Fault, RecordMeta, check_record};
use super::index::BatchSummary;
use crate::Position;

/// What stands at the walker's place.
#[derive(Debug)]
pub(crate) enum Step {
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
    bytes: &'a [u8],
    pub(crate) offset: usize,
    pub(crate) next: Position,
    salt: u32,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(bytes: &'a [u8], offset: u64, next: Position, salt: u32) -> Self {
        Self { bytes, offset: offset as usize, next, salt }
    }

    /// Looks at the next batch and, when it is whole, goes past it.
    pub(crate) fn step(&mut self) -> Step {
        if self.offset >= self.bytes.len() {
            return Step::End;
        }
        match self.batch() {
            Ok(summary) => {
                self.offset += summary.len as usize;
                self.next = summary.end();
                Step::Batch(summary)
            }
            Err((_, Fault::Blank)) => Step::End,
            Err((offset, Fault::Version(got))) => {
                self.bad(offset, "a batch".into(), format!("version {got}"))
            }
            Err((offset, Fault::Bad { expected, got })) => self.bad(offset, expected, got),
        }
    }

    fn bad(&self, offset: usize, expected: String, got: String) -> Step {
        Step::Bad { offset: offset as u64, expected, got }
    }

    fn batch(&self) -> Result<BatchSummary, (usize, Fault)> {
        let here = |fault| (self.offset, fault);
        let rest = &self.bytes[self.offset..];
        let header = BatchHeader::decode(rest, self.salt).map_err(here)?;
        let batch = rest.get(..header.len as usize);
        let Some(batch) =
            batch.filter(|batch| batch.len() >= BATCH_HEADER && batch.len().is_multiple_of(ALIGN))
        else {
            let expected = format!("a batch of at most {} bytes", rest.len());
            return Err(here(Fault::Bad { expected, got: format!("{} bytes", header.len) }));
        };
        if header.base != self.next {
            let (expected, got) = (self.next.to_string(), header.base.to_string());
            return Err(here(Fault::Bad { expected, got }));
        }
        self.records(batch, &header)
    }

    fn records(&self, batch: &[u8], header: &BatchHeader) -> Result<BatchSummary, (usize, Fault)> {
        let (offset, len) = (self.offset as u64, batch.len() as u64);
        let mut summary = BatchSummary { base: header.base, offset, len, ..Default::default() };
        let mut at = BATCH_HEADER;
        for index in 0..u64::from(header.count) {
            let record = &batch[at..];
            let shape = check_record(record, header.base.forward(index), self.salt)
                .map_err(|fault| (self.offset + at, fault))?;
            let meta = RecordMeta::decode(record);
            summary.add(meta.source, meta.depot_offset, meta.time);
            at += shape.end;
        }
        if at == batch.len() {
            return Ok(summary);
        }
        let (expected, got) = (format!("{} bytes of records", batch.len()), format!("{at} bytes"));
        Err((self.offset, Fault::Bad { expected, got }))
    }
}

/// What lies behind the place where a walk ended.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    /// The highest `durable_to` in any whole batch header, and where that header is.
    pub(crate) durable_to: Position,
    pub(crate) witness: u64,
    /// Where the last byte that is not zero ends.
    pub(crate) written_to: u64,
}

/// Looks through everything from `offset` on for headers that say what was durable. Their checksum
/// starts from the segment's salt, so nothing stale and nothing foreign passes for one.
pub(crate) fn look_beyond(bytes: &[u8], offset: u64, salt: u32) -> Beyond {
    let mut beyond = Beyond { written_to: offset, ..Default::default() };
    let start = offset as usize;
    let cells = bytes.get(start..).unwrap_or_default().chunks(ALIGN).enumerate();
    for (index, cell) in cells.filter(|(_, cell)| cell.iter().any(|&byte| byte != 0)) {
        let at = start + index * ALIGN;
        beyond.written_to = (at + cell.len()) as u64;
        if !BatchHeader::may_start(cell) {
            continue;
        }
        if let Ok(header) = BatchHeader::decode(&bytes[at..], salt)
            && header.durable_to > beyond.durable_to
        {
            (beyond.durable_to, beyond.witness) = (header.durable_to, at as u64);
        }
    }
    beyond
}
