//! Segments changed and sealed again: every checksum is right, what it covers is not.

use std::path::{Path, PathBuf};

use gridmill_persistence::{SimStorage, Storage};

use super::DIR;

const DATA_START: usize = 4096;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) fn put(bytes: &mut [u8], at: usize, field: u64) {
    bytes[at..at + 8].copy_from_slice(&field.to_le_bytes());
}

pub(crate) fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("log/{number:010}.seg"))
}

/// All of a file.
pub(crate) fn whole(storage: &SimStorage, path: &Path) -> Vec<u8> {
    let file = storage.open_read(path).expect("open");
    file.map(0..file.len().expect("length")).expect("mapped").to_vec()
}

/// Puts `bytes` into the place of a file.
pub(crate) fn replace(storage: &SimStorage, path: &Path, bytes: &[u8]) {
    if storage.open_read(path).is_ok() {
        storage.remove(path).expect("removed");
    }
    let file = storage.create(path).expect("created");
    file.write_at(0, bytes).expect("written");
}

fn salt(page: &[u8]) -> u32 {
    // Partition, number and first position.
    crc32c::crc32c(&page[16..40])
}

/// Lets `header` change the first page and `batch` each batch (its header and records), and makes all
/// checksums right again. What lies behind the last batch is dropped.
pub(crate) fn reseal(
    bytes: &mut [u8],
    header: impl FnOnce(&mut [u8]),
    mut batch: impl FnMut(&mut [u8]),
) {
    header(&mut bytes[..DATA_START]);
    let crc = crc32c::crc32c(&bytes[16..DATA_START]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    let salt = salt(&bytes[..DATA_START]);
    let mut at = DATA_START;
    while bytes[at..].starts_with(b"GMb1") {
        let end = at + u32_at(bytes, at + 8) as usize;
        batch(&mut bytes[at..end]);
        seal(&mut bytes[at..end], salt);
        at = end;
    }
    bytes[at..].fill(0);
}

/// Sets the depot offset of each record of a batch.
pub(crate) fn set_offsets(batch: &mut [u8], mut offset: impl FnMut(u64) -> u64) {
    let mut at = 32;
    while at < batch.len() {
        let given = offset(u64_at(batch, at + 16));
        put(batch, at + 16, given);
        at = record_end(batch, at);
    }
}

fn record_end(batch: &[u8], at: usize) -> usize {
    let id = if batch[at + 31] & 1 != 0 { 16 } else { 0 };
    at + 32 + id + (u32_at(batch, at + 4) as usize).next_multiple_of(16)
}

fn seal(batch: &mut [u8], salt: u32) {
    let mut position = u64_at(batch, 16);
    let mut at = 32;
    while at < batch.len() {
        let end = record_end(batch, at);
        let seed = salt ^ position as u32 ^ ((position >> 32) as u32).rotate_left(7);
        let crc = crc32c::crc32c_append(seed, &batch[at + 4..end]);
        batch[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        (at, position) = (end, position.wrapping_add(1));
    }
    let crc = crc32c::crc32c_append(salt, &batch[8..32]);
    batch[4..8].copy_from_slice(&crc.to_le_bytes());
}
