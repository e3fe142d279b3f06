//! The bytes of a log segment: header, batch, record. `FORMAT.md` describes them one by one.

use crate::Position;
use crate::bytes::{array_at, put, u16_at, u32_at, u64_at};
use crate::planted::{Bug, is_planted};

pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"GRIDMLOG";
pub(crate) const VERSION: u32 = 1;
/// Where the first batch of a segment starts: the header has a page of its own, so that no write of
/// a batch can tear it.
pub(crate) const DATA_START: u64 = 4096;
pub(crate) const ALIGN: usize = 16;
pub(crate) const BATCH_HEADER: usize = 32;
pub(crate) const RECORD_HEADER: usize = 32;
pub(crate) const ID_BYTES: usize = 16;
/// No record has this offset: the one after it could not be told.
pub(crate) const NO_OFFSET: u64 = u64::MAX;
/// Bit of the record flags: an idempotency id follows the header.
pub(crate) const FLAG_ID: u8 = 1;
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"GMb1");
const FOOTER_MAGIC: u32 = u32::from_le_bytes(*b"GMf1");
const SUFFIX: &str = ".seg";

/// The name of segment `number` in the folder of the log.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:010}{SUFFIX}")
}

/// The number in a segment's name, or `None` for a file that is something else.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// Rounds up to the alignment of everything in a segment.
pub(crate) const fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// What the first page of a segment says. Written once, before any batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) partition: u64,
    pub(crate) number: u64,
    /// The position of the first record, and with it the epoch of all.
    pub(crate) first: Position,
    /// The segment before this one, 0 for none, where in it the log ended, and at which position.
    pub(crate) previous: u64,
    pub(crate) previous_end: u64,
    pub(crate) previous_next: Position,
    /// All before this position was durable when the header was written.
    pub(crate) durable_to: Position,
}

/// What is wrong with a piece of a segment, seen from the piece's start.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// Only zeros: nothing was ever written here.
    Blank,
    Version(u32),
    Bad {
        expected: String,
        got: String,
    },
}

fn bad<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T, DecodeError> {
    Err(DecodeError::Bad { expected: expected.into(), got: got.into() })
}

fn check_crc(held: u32, crc: u32) -> Result<(), DecodeError> {
    if held == crc || is_planted(Bug::SkipCrc) {
        return Ok(());
    }
    bad(format!("checksum {crc:#010x}"), format!("{held:#010x}"))
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.assert_follows();
        let mut page = vec![0; DATA_START as usize];
        put(&mut page, 0, &SEGMENT_MAGIC);
        put(&mut page, 8, &VERSION.to_le_bytes());
        let fields = [
            self.partition,
            self.number,
            self.first.to_bits(),
            self.previous,
            self.previous_end,
            self.previous_next.to_bits(),
            self.durable_to.to_bits(),
        ];
        for (index, field) in fields.iter().enumerate() {
            put(&mut page, 16 + 8 * index, &field.to_le_bytes());
        }
        let crc = crc32c::crc32c(&page[16..]);
        put(&mut page, 12, &crc.to_le_bytes());
        debug_assert!(Self::decode(&page).is_ok_and(|read| read == *self), "{self:?} is not read");
        page
    }

    /// What is true of every header that is written. One that was read may say anything.
    fn assert_follows(&self) {
        let (first, end) = (self.first, self.previous_next);
        assert_eq!(
            first.number(),
            end.number(),
            "a segment begins with the record after the last one"
        );
        assert!(end <= first, "an epoch begins at {first}, which was over at {end}");
        assert!(self.durable_to <= first, "{} is durable before it is written", self.durable_to);
        let inside = self.previous == 0 || self.previous_end >= DATA_START;
        assert!(inside, "batches end at byte {} of a segment", self.previous_end);
    }

    pub(crate) fn decode(page: &[u8]) -> Result<Self, DecodeError> {
        if page.len() < DATA_START as usize || page.iter().all(|&byte| byte == 0) {
            return Err(DecodeError::Blank);
        }
        let magic = array_at::<8>(page, 0);
        if magic != SEGMENT_MAGIC {
            return bad(format!("magic {SEGMENT_MAGIC:02x?}"), format!("{magic:02x?}"));
        }
        check_crc(u32_at(page, 12), crc32c::crc32c(&page[16..]))?;
        if u32_at(page, 8) != VERSION {
            return Err(DecodeError::Version(u32_at(page, 8)));
        }
        let field = |index: usize| u64_at(page, 16 + 8 * index);
        Ok(Self {
            partition: field(0),
            number: field(1),
            first: Position::from_bits(field(2)),
            previous: field(3),
            previous_end: field(4),
            previous_next: Position::from_bits(field(5)),
            durable_to: Position::from_bits(field(6)),
        })
    }

    /// What every checksum of the segment starts from, so that bytes of another segment, or of
    /// another partition, never pass.
    pub(crate) fn salt(&self) -> u32 {
        let salt = crc32c::crc32c(&self.partition.to_le_bytes());
        let salt = crc32c::crc32c_append(salt, &self.number.to_le_bytes());
        crc32c::crc32c_append(salt, &self.first.to_bits().to_le_bytes())
    }
}

/// What precedes the records of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// The whole batch in bytes, this header included.
    pub(crate) len: u32,
    pub(crate) count: u32,
    pub(crate) base: Position,
    pub(crate) durable_to: Position,
}

impl BatchHeader {
    fn encode(&self, salt: u32, out: &mut [u8]) {
        assert!(self.durable_to <= self.base, "{} is durable, not even written", self.base);
        assert!((self.len as usize).is_multiple_of(ALIGN), "a batch of {} bytes", self.len);
        put(out, 0, &BATCH_MAGIC.to_le_bytes());
        put(out, 8, &self.len.to_le_bytes());
        put(out, 12, &self.count.to_le_bytes());
        put(out, 16, &self.base.to_bits().to_le_bytes());
        put(out, 24, &self.durable_to.to_bits().to_le_bytes());
        let crc = crc32c::crc32c_append(salt, &out[8..BATCH_HEADER]);
        put(out, 4, &crc.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Result<Self, DecodeError> {
        let Some(bytes) = bytes.first_chunk::<BATCH_HEADER>() else {
            return Err(DecodeError::Blank);
        };
        let magic = u32_at(bytes, 0);
        if magic != BATCH_MAGIC {
            if bytes.iter().all(|&byte| byte == 0) {
                return Err(DecodeError::Blank);
            }
            return bad(format!("batch magic {BATCH_MAGIC:#010x}"), format!("{magic:#010x}"));
        }
        check_crc(u32_at(bytes, 4), crc32c::crc32c_append(salt, &bytes[8..]))?;
        let header = Self {
            len: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            base: Position::from_bits(u64_at(bytes, 16)),
            durable_to: Position::from_bits(u64_at(bytes, 24)),
        };
        if header.base.has_room_for(u64::from(header.count)) {
            return Ok(header);
        }
        bad("record numbers below 2^48", format!("{} records from {}", header.count, header.base))
    }

    /// Whether a batch may begin here: a quick look before the checksum.
    pub(crate) fn may_start(bytes: &[u8]) -> bool {
        u32_at(bytes, 0) == BATCH_MAGIC
    }
}

/// What the log keeps of a record beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordMeta {
    /// Microseconds since 1970, UTC. Never falls along the log: the caller sees to it.
    pub time: i64,
    /// The record's offset in its depot (or whatever `source` names): grows by one a record. Below
    /// 2^64-1.
    pub depot_offset: u64,
    /// Which type, or variant, the payload encodes.
    pub type_id: u32,
    /// The number of the depot, or of another origin of records.
    pub source: u16,
    /// What sort of record it is; the log gives it no meaning.
    pub kind: u8,
    /// Names an append that may be repeated, so that it counts once.
    pub id: Option<[u8; ID_BYTES]>,
}

impl RecordMeta {
    /// Header, id and padded payload in bytes.
    pub(crate) fn bytes_with(&self, payload: usize) -> usize {
        RECORD_HEADER + self.id.map_or(0, |id| id.len()) + aligned(payload)
    }

    /// Appends a record whose checksum [`finish_batch`] fills in.
    pub(crate) fn encode(&self, payload: &[u8], out: &mut Vec<u8>) {
        let mut header = [0; RECORD_HEADER];
        put(&mut header, 4, &(payload.len() as u32).to_le_bytes());
        put(&mut header, 8, &self.time.to_le_bytes());
        put(&mut header, 16, &self.depot_offset.to_le_bytes());
        put(&mut header, 24, &self.type_id.to_le_bytes());
        put(&mut header, 28, &self.source.to_le_bytes());
        header[30] = self.kind;
        header[31] = if self.id.is_some() { FLAG_ID } else { 0 };
        out.extend_from_slice(&header);
        if let Some(id) = &self.id {
            out.extend_from_slice(id);
        }
        out.extend_from_slice(payload);
        let padding = aligned(payload.len()) - payload.len();
        out.extend_from_slice(&[0; ALIGN][..padding]);
        debug_assert!(out.len().is_multiple_of(ALIGN), "records lie behind {} bytes", out.len());
    }

    pub(crate) fn decode(record: &[u8]) -> Self {
        let flags = array_at::<1>(record, 31)[0];
        Self {
            time: u64_at(record, 8) as i64,
            depot_offset: u64_at(record, 16),
            type_id: u32_at(record, 24),
            source: u16_at(record, 28),
            kind: array_at::<1>(record, 30)[0],
            id: (flags & FLAG_ID != 0).then(|| array_at(record, RECORD_HEADER)),
        }
    }
}

/// Where the payload of a record lies, and where the record ends, from the record's start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecordShape {
    pub(crate) payload: usize,
    pub(crate) payload_end: usize,
    pub(crate) end: usize,
}

impl RecordShape {
    #[inline]
    pub(crate) fn of(record: &[u8]) -> Self {
        let len = u32_at(record, 4) as usize;
        let id = if array_at::<1>(record, 31)[0] & FLAG_ID != 0 { ID_BYTES } else { 0 };
        let payload = RECORD_HEADER + id;
        Self { payload, payload_end: payload + len, end: payload + aligned(len) }
    }
}

#[inline]
fn record_crc(record: &[u8], position: Position, salt: u32) -> u32 {
    let bits = position.to_bits();
    let seed = salt ^ bits as u32 ^ ((bits >> 32) as u32).rotate_left(7);
    crc32c::crc32c_append(seed, &record[4..])
}

/// Checks the record at the start of `rest`, which ends where its batch ends.
#[inline]
pub(crate) fn check_record(
    rest: &[u8],
    position: Position,
    salt: u32,
) -> Result<RecordShape, DecodeError> {
    let shape = RecordShape::of(rest);
    let Some(record) = rest.get(..shape.end) else {
        return bad(
            format!("a record of at most {} bytes", rest.len()),
            format!("{} bytes", shape.end),
        );
    };
    check_crc(u32_at(record, 0), record_crc(record, position, salt))?;
    if u64_at(record, 16) == NO_OFFSET {
        return bad("an offset below 2^64-1", "2^64-1");
    }
    Ok(shape)
}

/// Completes a batch of encoded records in place: the checksum of each record, then the header.
pub(crate) fn finish_batch(batch: &mut [u8], count: u32, base: Position, to: Position, salt: u32) {
    let mut at = BATCH_HEADER;
    for index in 0..u64::from(count) {
        let end = at + RecordShape::of(&batch[at..]).end;
        let crc = record_crc(&batch[at..end], base.forward(index), salt);
        put(batch, at, &crc.to_le_bytes());
        at = end;
    }
    assert_eq!(at, batch.len(), "a batch consists of its records");
    BatchHeader { len: batch.len() as u32, count, base, durable_to: to }.encode(salt, batch);
}

/// Wraps the index of a sealed segment, behind which the log goes on in segment `successor`, into the block
/// that ends it.
pub(crate) fn encode_footer(index: &[u8], successor: u64, salt: u32) -> Vec<u8> {
    let mut block = vec![0; BATCH_HEADER];
    block.extend_from_slice(index);
    block.resize(aligned(block.len()), 0);
    let len = block.len() as u32;
    put(&mut block, 0, &FOOTER_MAGIC.to_le_bytes());
    put(&mut block, 8, &len.to_le_bytes());
    put(&mut block, 12, &(index.len() as u32).to_le_bytes());
    put(&mut block, 16, &successor.to_le_bytes());
    let crc = crc32c::crc32c_append(salt, &block[8..]);
    put(&mut block, 4, &crc.to_le_bytes());
    debug_assert_eq!(decode_footer(&block, salt), Some((index, successor)));
    block
}

/// The index in the footer at the start of `bytes`, and the number of the next segment, if it is whole.
/// Earlier builds left the number 0.
pub(crate) fn decode_footer(bytes: &[u8], salt: u32) -> Option<(&[u8], u64)> {
    let len = u32_at(bytes, 8) as usize;
    let block = bytes.get(..len).filter(|block| block.len() >= BATCH_HEADER)?;
    let whole = u32_at(block, 0) == FOOTER_MAGIC
        && u32_at(block, 4) == crc32c::crc32c_append(salt, &block[8..]);
    if !whole {
        return None;
    }
    let index = block[BATCH_HEADER..].get(..u32_at(block, 12) as usize)?;
    Some((index, u64_at(block, 16)))
}
