//! The hash index: buckets of one cache line, ten entries each, eight of them taken.
//!
//! A bucket holds ten one-byte tags, ten five-byte locations, and 32 bits that say which keys had
//! to move on to the next bucket because this one was full. A key that is not in the run is
//! answered by its bucket alone unless one of about eight tags agrees by chance (3.1 %) or it looks
//! like one that moved on (2.6 %). So the index is its own filter: a Bloom filter in front of it
//! would cost as many cache misses as it saves.

use super::layout::BUCKET;

/// One bucket's bytes.
pub(super) type Bucket = [u8; BUCKET as usize];

const SLOTS: usize = 10;
const SPILL_AT: usize = SLOTS;
const LOCATIONS_AT: usize = SLOTS + 4;
const LOCATION: usize = 5;
const _: () = assert!(LOCATIONS_AT + SLOTS * LOCATION == BUCKET as usize);

/// Locations are counted in units of four bytes and have 40 bits.
pub(super) const LOCATION_MAX: u64 = (1 << 40) - 1;

/// How many buckets a run of `entries` has: eight entries each, so that 6 %
/// of the keys find their home full. Nine would save 0.9 bytes an entry and double that.
pub(super) const fn bucket_count(entries: u64) -> u64 {
    entries.div_ceil(8)
}

/// The top 40 bits of a key's hash: all that the index uses. The low bits choose the partition, so
/// within one partition they carry nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print(u64);

impl Print {
    #[inline]
    pub(super) fn of(hash: u64) -> Self {
        Self(hash >> 24)
    }

    /// Restores a print from the 40 bits that [`Print::bits`] gave.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The bucket to look in first. Scales the top 32 bits to the count.
    #[inline]
    pub(super) fn home(self, buckets: u64) -> u64 {
        ((u128::from(self.0 >> 8) * u128::from(buckets)) >> 32) as u64
    }

    /// Never 0: that marks a free slot.
    #[inline]
    fn tag(self) -> u8 {
        (self.0 as u8).max(1)
    }

    #[inline]
    fn spill_bit(self) -> u32 {
        1 << (self.0 & 31)
    }
}

/// One bit per slot whose tag agrees, at bit `8 * slot + 7`.
#[inline]
pub(super) fn matches(bucket: &Bucket, print: Print) -> u128 {
    const ONES: u128 = u128::from_le_bytes([1; 16]);
    const LOW: u128 = ONES * 0x7f;
    const HIGH: u128 = (ONES << 7) & ((1 << (8 * SLOTS)) - 1);
    let Some(tags) = bucket.first_chunk() else { return 0 };
    let differ = u128::from_le_bytes(*tags) ^ (ONES * u128::from(print.tag()));
    !(((differ & LOW) + LOW) | differ) & HIGH
}

/// The location of the first slot in `hits`, in units.
#[inline]
pub(super) fn first_location(bucket: &Bucket, hits: u128) -> u64 {
    location(bucket, (hits.trailing_zeros() / 8) as usize)
}

/// Reads the eight bytes that end with the location and drops the three before it.
#[inline]
fn location(bucket: &Bucket, slot: usize) -> u64 {
    let at = LOCATIONS_AT + slot.min(SLOTS - 1) * LOCATION + LOCATION - 8;
    bucket[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes) >> 24)
}

/// Whether a key of this print may have moved on to the next bucket.
#[inline]
pub(super) fn spilled(bucket: &Bucket, print: Print) -> bool {
    spill(bucket) & print.spill_bit() != 0
}

#[inline]
fn spill(bucket: &Bucket) -> u32 {
    bucket[SPILL_AT..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The locations that a bucket holds, in units.
pub(super) fn occupied(bucket: &Bucket) -> impl Iterator<Item = u64> {
    (0..SLOTS).filter(|slot| bucket[*slot] != 0).map(|slot| location(bucket, slot))
}

/// An index under construction: 8 bytes an entry.
pub(super) struct Builder {
    buckets: Vec<Bucket>,
}

impl Builder {
    /// An empty index with room for `entries`.
    pub(super) fn new(entries: u64) -> Self {
        Self { buckets: vec![[0; BUCKET as usize]; bucket_count(entries) as usize] }
    }

    /// Files one entry. There is room for all that were announced.
    pub(super) fn insert(&mut self, print: Print, location: u64) {
        debug_assert!(location <= LOCATION_MAX);
        let count = self.buckets.len();
        let mut home = print.home(count as u64) as usize;
        for _ in 0..count {
            if put(&mut self.buckets[home], print, location) {
                return;
            }
            home = if home + 1 == count { 0 } else { home + 1 };
        }
        unreachable!("an index has more slots than entries were announced");
    }

    /// The finished bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buckets.as_flattened()
    }
}

/// Puts an entry in a free slot, or notes that it moves on and says no.
fn put(bucket: &mut Bucket, print: Print, location: u64) -> bool {
    if let Some(slot) = bucket[..SLOTS].iter().position(|tag| *tag == 0) {
        bucket[slot] = print.tag();
        let at = LOCATIONS_AT + slot * LOCATION;
        bucket[at..at + LOCATION].copy_from_slice(&location.to_le_bytes()[..LOCATION]);
        return true;
    }
    let spill = spill(bucket) | print.spill_bit();
    bucket[SPILL_AT..LOCATIONS_AT].copy_from_slice(&spill.to_le_bytes());
    false
}
