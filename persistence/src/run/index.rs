//! The hash index: buckets of one cache line, twelve slots each, of which ten are taken on average.
//!
//! A bucket holds twelve one-byte tags, twelve four-byte locations, and 32 bits that say which keys
//! had to move on to the next bucket because this one was full. A key that is not in the run is
//! answered by its bucket alone unless one of about ten tags agrees by chance (3.9 %) or it looks
//! like one that moved on (3.5 %). So the index is its own filter: a Bloom filter in front of it
//! would cost as many cache misses as it saves. Runs of more than 16 GiB have locations of five
//! bytes, ten a bucket.

use std::ops::Range;

use super::layout::BUCKET;

/// One bucket's bytes.
pub(super) type Bucket = [u8; BUCKET as usize];

/// The greatest location that any bucket can hold.
pub(super) const LOCATION_MAX: u64 = (1 << 40) - 1;

/// How a bucket is divided: tags, the 32 bits, locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    slots: usize,
    /// Bytes of a location.
    width: usize,
    /// Entries for each bucket, on average.
    taken: u64,
    /// The top bit of every tag.
    tops: u128,
}

impl Shape {
    /// Locations of 32 bits. With ten of twelve slots taken, 6.5 % of the keys find their home full.
    const NARROW: Self = Self::new(12, 4, 10);
    /// Locations of 40 bits, for runs that need them.
    const WIDE: Self = Self::new(10, 5, 8);

    const fn new(slots: usize, width: usize, taken: u64) -> Self {
        assert!(slots + 4 + slots * width == BUCKET as usize);
        let tops = (u128::from_le_bytes([1; 16]) << 7) & ((1 << (8 * slots)) - 1);
        Self { slots, width, taken, tops }
    }

    /// The shape for locations below `end`.
    pub(super) fn of(end: u64) -> Self {
        if end <= 1 << 32 { Self::NARROW } else { Self::WIDE }
    }

    /// How many locations a bucket has room for.
    pub(super) fn slots(&self) -> u64 {
        self.slots as u64
    }

    /// How many buckets a run of `entries` has.
    pub(super) fn buckets(&self, entries: u64) -> u64 {
        entries.div_ceil(self.taken)
    }

    /// One bit per slot whose tag agrees, at bit `8 * slot + 7`.
    #[inline]
    pub(super) fn matches(&self, bucket: &Bucket, print: Print) -> u128 {
        const ONES: u128 = u128::from_le_bytes([1; 16]);
        const LOW: u128 = ONES * 0x7f;
        let Some(tags) = bucket.first_chunk() else { return 0 };
        let differ = u128::from_le_bytes(*tags) ^ (ONES * u128::from(print.tag()));
        !(((differ & LOW) + LOW) | differ) & self.tops
    }

    /// The location of the first slot in `hits`.
    #[inline]
    pub(super) fn first_location(&self, bucket: &Bucket, hits: u128) -> u64 {
        self.location(bucket, (hits.trailing_zeros() / 8) as usize)
    }

    /// Reads the eight bytes that end with the location and drops those before it.
    #[inline]
    fn location(&self, bucket: &Bucket, slot: usize) -> u64 {
        let at = self.location_at(slot.min(self.slots - 1)) + self.width - 8;
        let bytes = bucket.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes) >> (64 - 8 * self.width))
    }

    #[inline]
    fn location_at(&self, slot: usize) -> usize {
        self.slots + 4 + slot * self.width
    }

    /// Whether a key of this print may have moved on to the next bucket.
    #[inline]
    pub(super) fn spilled(&self, bucket: &Bucket, print: Print) -> bool {
        self.spill(bucket) & print.spill_bit() != 0
    }

    #[inline]
    fn spill(&self, bucket: &Bucket) -> u32 {
        let bytes = bucket.get(self.slots..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// How many locations a bucket holds.
    pub(super) fn occupied(&self, bucket: &Bucket) -> u64 {
        bucket[..self.slots].iter().filter(|tag| **tag != 0).count() as u64
    }

    /// Puts an entry in a free slot, or notes that it moves on and says no.
    fn put(&self, bucket: &mut Bucket, print: Print, location: u64) -> bool {
        debug_assert!(location < 1 << (8 * self.width), "{location} in {} bytes", self.width);
        if let Some(slot) = bucket[..self.slots].iter().position(|tag| *tag == 0) {
            bucket[slot] = print.tag();
            let at = self.location_at(slot);
            bucket[at..at + self.width].copy_from_slice(&location.to_le_bytes()[..self.width]);
            return true;
        }
        let spill = self.spill(bucket) | print.spill_bit();
        bucket[self.slots..self.slots + 4].copy_from_slice(&spill.to_le_bytes());
        false
    }
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
        debug_assert!(bits < 1 << 40, "a print has 40 bits");
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

/// An entry on its way to a bucket with room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    print: Print,
    location: u64,
    /// The bucket that it comes to next.
    bucket: u64,
}

impl Moving {
    /// An entry that goes to its home, in an index of so many buckets.
    #[inline]
    pub(super) fn home(print: Print, location: u64, buckets: u64) -> Self {
        debug_assert!(location <= LOCATION_MAX);
        Self { print, location, bucket: print.home(buckets) }
    }

    /// The entry, past the last bucket, on its way from the first one on.
    pub(super) fn wrapped(self) -> Self {
        Self { bucket: 0, ..self }
    }

    #[inline]
    pub(super) fn location(&self) -> u64 {
        self.location
    }
}

/// Buckets in a row of an index under construction.
pub(super) struct Slice {
    shape: Shape,
    first: u64,
    buckets: Vec<Bucket>,
}

impl Slice {
    /// The buckets of these numbers, empty.
    pub(super) fn new(shape: Shape, numbers: Range<u64>) -> Self {
        let buckets = vec![[0; BUCKET as usize]; (numbers.end - numbers.start) as usize];
        Self { shape, first: numbers.start, buckets }
    }

    /// Files an entry that comes to one of these buckets or the one after them; gives it back where it
    /// has to go on behind them.
    #[inline]
    pub(super) fn file(&mut self, mut entry: Moving) -> Option<Moving> {
        debug_assert!(self.first <= entry.bucket, "entries move on, never back");
        let from = (entry.bucket - self.first) as usize;
        for bucket in self.buckets.iter_mut().skip(from) {
            if self.shape.put(bucket, entry.print, entry.location) {
                return None;
            }
            entry.bucket += 1;
        }
        Some(entry)
    }

    /// The finished bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buckets.as_flattened()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the entries of an index that is looked into by `print` may be.
    fn found(shape: Shape, built: &Slice, print: Print) -> Vec<u64> {
        let count = built.buckets.len();
        let (mut home, mut found) = (print.home(count as u64) as usize, Vec::new());
        loop {
            let bucket = &built.buckets[home];
            let mut hits = shape.matches(bucket, print);
            while hits != 0 {
                found.push(shape.first_location(bucket, hits));
                hits &= hits - 1;
            }
            if !shape.spilled(bucket, print) {
                return found;
            }
            home = (home + 1) % count;
        }
    }

    #[test]
    fn both_shapes_lead_to_every_entry() {
        for (shape, base) in [(Shape::of(1 << 32), 0), (Shape::of((1 << 32) + 1), 1 << 39)] {
            let print = |n: u64| Print::of(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let buckets = shape.buckets(1000);
            let mut built = Slice::new(shape, 0..buckets);
            for n in 0..1000 {
                let past = built.file(Moving::home(print(n), base + n, buckets));
                past.map(|past| built.file(past.wrapped()));
            }
            assert!((0..1000).all(|n| found(shape, &built, print(n)).contains(&(base + n))));
            let all: u64 = built.buckets.iter().map(|bucket| shape.occupied(bucket)).sum();
            assert_eq!(all, 1000);
        }
    }
}
