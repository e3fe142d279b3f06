//! Where a key stands in a sorted list, by its hash: one cache line instead of a search.

/// A slot has the number of an entry in its low bits and bits of the hash above.
const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;

/// More entries than this have no lookup; their owner searches.
const ENTRIES_MAX: usize = NUMBER_MASK as usize;

/// Fewer are found as fast by a search, within a few cache lines.
const ENTRIES_MIN: usize = 32;

/// An open-addressing table, at most half full.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// Entry number plus one and a tag; zero where there is none.
    slots: Box<[u32]>,
}

impl Lookup {
    /// A lookup for entries with these hashes, in their order; `None` where a search is as good.
    pub(crate) fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Option<Self> {
        let count = hashes.len();
        if !(ENTRIES_MIN..ENTRIES_MAX).contains(&count) {
            return None;
        }
        let mut slots = vec![0; (count * 2).next_power_of_two()].into_boxed_slice();
        let mask = slots.len() - 1;
        for (number, hash) in hashes.enumerate() {
            let mut at = home(hash) & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = tag(hash) | (number as u32 + 1);
        }
        Some(Self { slots })
    }

    /// The number of the entry that has this hash and that `is_it` knows.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let (mask, tag) = (self.slots.len() - 1, tag(hash));
        let mut at = home(hash) & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            let number = (slot & NUMBER_MASK) as usize - 1;
            if slot & !NUMBER_MASK == tag && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }
}

/// Where an entry would stand. The lowest bits of a hash choose the partition, so that all keys of
/// one have some of them in common: the place comes from the bits above.
fn home(hash: u64) -> usize {
    (hash >> 24) as usize
}

/// The top bits of a hash; the place in the table comes from those below.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !NUMBER_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_entry_and_nothing_else() {
        // Hashes that all begin at one slot, and share their tag, differ by what the owner says.
        for stride in [1_u64, 0, 0x9e37_79b9_7f4a_7c15] {
            let hash = |number: usize| (number as u64).wrapping_mul(stride);
            let lookup = Lookup::new((0..100).map(hash)).unwrap();
            for number in 0..100 {
                assert_eq!(lookup.find(hash(number), |entry| entry == number), Some(number));
                assert_eq!(lookup.find(hash(number), |_| false), None);
            }
        }
        assert!(Lookup::new([1, 2].into_iter()).is_none());
    }
}
