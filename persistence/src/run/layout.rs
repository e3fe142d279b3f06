//! The numbers and fixed structures of the file, one place for each. `FORMAT.md` draws them.

use std::path::{Path, PathBuf};

/// First bytes of the file.
pub(super) const HEAD_MAGIC: u64 = u64::from_le_bytes(*b"GMRUN\r\n\x1a");
/// First bytes of the footer.
pub(super) const FOOT_MAGIC: u64 = u64::from_le_bytes(*b"GMRUNEND");
/// Version of the format that this build writes and reads.
pub(super) const VERSION: u32 = 1;
/// Length of the header and of the footer.
pub(super) const FRAME: usize = 64;
/// Where a frame keeps the crc32c of the bytes before it.
const FRAME_CRC: usize = FRAME - 4;

/// Bytes under one checksum. One page costs about 0.7 us to verify, once.
pub(super) const PAGE: u64 = 16 << 10;
/// Checksums of pages under one checksum of their own: a table chunk is as long as a page.
pub(super) const CRCS_PER_CHUNK: u64 = PAGE / 4;
/// Entries begin at multiples of this, so that locations can be counted in it.
pub(super) const UNIT: u64 = 4;
/// Length of an entry's fixed head: key length and value length, `u16` each.
pub(super) const ENTRY_HEAD: u64 = 4;
/// In place of the value length: the real one follows as a `u32`.
pub(super) const LEN_FOLLOWS: u16 = u16::MAX;
/// In place of the value length: the key is deleted.
pub(super) const LEN_DELETED: u16 = u16::MAX - 1;
/// Entries between two marks: what a seek scans at most, what a step back re-reads at most.
pub(super) const GROUP: u64 = 16;
/// Bytes of entries after which a group gets a fence key.
pub(super) const FENCE_BYTES: u64 = 16 << 10;
/// Length of a fence's head: group number and key length.
pub(super) const FENCE_HEAD: u64 = 8 + 2;
/// Length of an index bucket: a cache line.
pub(super) const BUCKET: u64 = 64;

/// What a run is called until it is complete.
pub(super) const TEMP_SUFFIX: &str = ".tmp";

const _: () = assert!(PAGE.is_multiple_of(BUCKET) && BUCKET.is_multiple_of(16));
const _: () = assert!((FRAME as u64).is_multiple_of(16), "entries begin aligned for any value");
const _: () = assert!((super::VALUE_BYTES_MAX + super::KEY_BYTES_MAX + 64) < (UNIT as usize) << 24);

/// The name under which the run `path` is written until it is complete.
pub(super) fn temp_path(path: &Path) -> PathBuf {
    suffixed(path, "")
}

/// The name of what the writer of the run `path` cannot keep in memory until then.
pub(super) fn side_path(path: &Path) -> PathBuf {
    suffixed(path, ".side")
}

fn suffixed(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.push(TEMP_SUFFIX);
    PathBuf::from(name)
}

/// `at` rounded up to a multiple of `align`, a power of two.
#[inline]
pub(super) const fn align_up(at: u64, align: u64) -> u64 {
    debug_assert!(align.is_power_of_two());
    (at + align - 1) & !(align - 1)
}

/// The facts known before the first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) value_align: u32,
    pub(super) schema: u64,
}

impl Header {
    pub(super) fn encode(self) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[0..8].copy_from_slice(&HEAD_MAGIC.to_le_bytes());
        frame[8..12].copy_from_slice(&VERSION.to_le_bytes());
        frame[12..16].copy_from_slice(&self.value_align.to_le_bytes());
        frame[16..24].copy_from_slice(&self.schema.to_le_bytes());
        with_checksum(frame)
    }

    pub(super) fn decode(frame: &[u8; FRAME]) -> Self {
        Self { value_align: u32_at(frame, 12), schema: u64_at(frame, 16) }
    }
}

/// Where the meta archive lies; the last bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) meta_at: u64,
    pub(super) meta_len: u64,
    pub(super) meta_crc: u32,
}

impl Footer {
    /// The footer of a file of `meta_at + meta_len + FRAME` bytes.
    pub(super) fn encode(self) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[0..8].copy_from_slice(&FOOT_MAGIC.to_le_bytes());
        frame[8..12].copy_from_slice(&VERSION.to_le_bytes());
        frame[12..16].copy_from_slice(&self.meta_crc.to_le_bytes());
        frame[16..24].copy_from_slice(&self.meta_at.to_le_bytes());
        frame[24..32].copy_from_slice(&self.meta_len.to_le_bytes());
        with_checksum(frame)
    }

    pub(super) fn decode(frame: &[u8; FRAME]) -> Self {
        let meta_crc = u32_at(frame, 12);
        Self { meta_at: u64_at(frame, 16), meta_len: u64_at(frame, 24), meta_crc }
    }
}

/// Puts the checksum of a frame in its place.
fn with_checksum(mut frame: [u8; FRAME]) -> [u8; FRAME] {
    let crc = crc32c::crc32c(&frame[..FRAME_CRC]);
    frame[FRAME_CRC..].copy_from_slice(&crc.to_le_bytes());
    frame
}

/// A frame's magic, version, written checksum and actual checksum.
pub(super) fn frame_facts(frame: &[u8; FRAME]) -> (u64, u32, u32, u32) {
    let actual = crc32c::crc32c(&frame[..FRAME_CRC]);
    (u64_at(frame, 0), u32_at(frame, 8), u32_at(frame, FRAME_CRC), actual)
}

fn u32_at(frame: &[u8; FRAME], at: usize) -> u32 {
    frame[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(frame: &[u8; FRAME], at: usize) -> u64 {
    frame[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
