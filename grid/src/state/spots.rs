//! Where the entries of a delta lie, in the order of the hashes of their keys.
//!
//! Hashes are spread evenly, so that a directory of their top bits leads to within a few spots of the
//! one that is looked for, and two indexes are merged by comparing numbers alone.

/// Where an entry lies: in which of the delta's blocks, and at which place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) hash: u64,
    pub(super) block: u32,
    pub(super) entry: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Spots {
    sorted: Vec<Spot>,
    /// For every value of the hashes' top bits, where its spots begin; the end of all as the last.
    starts: Vec<u32>,
}

/// Spots that share their top bits, about.
const GROUP: usize = 2;

impl Spots {
    /// The spots of one block whose entries have these hashes.
    pub(super) fn of_block(hashes: &[u64]) -> Self {
        let spot = |(entry, &hash)| Spot { hash, block: 0, entry: entry as u32 };
        let mut spots: Vec<Spot> = hashes.iter().enumerate().map(spot).collect();
        spots.sort_unstable_by_key(|spot| spot.hash);
        Self::of_sorted(spots)
    }

    fn of_sorted(sorted: Vec<Spot>) -> Self {
        let buckets = (sorted.len() / GROUP).next_power_of_two();
        let mut starts = vec![0; buckets + 1];
        for (spot, end) in sorted.iter().zip(1..) {
            starts[bucket(spot.hash, buckets) + 1] = end;
        }
        // A group without spots begins where the one before it ends.
        let mut end = 0;
        for start in &mut starts {
            end = end.max(*start);
            *start = end;
        }
        Self { sorted, starts }
    }

    /// All spots with this hash.
    pub(super) fn with_hash(&self, hash: u64) -> impl Iterator<Item = &Spot> {
        let bucket = bucket(hash, self.starts.len() - 1);
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        self.sorted[range].iter().filter(move |spot| spot.hash == hash)
    }

    /// Both as one, where `newer` has its blocks before the `blocks` of `older`. Of two spots of one
    /// key, which have to have the same hash first and then be the `same`, the newer one stays.
    pub(super) fn merge(
        newer: &Self,
        older: &Self,
        blocks: u32,
        same: impl Fn(&Spot, &Spot) -> bool,
    ) -> Self {
        let behind = |spot: &Spot| Spot { block: spot.block + blocks, ..*spot };
        let mut merged = Vec::with_capacity(newer.len() + older.len());
        let (mut new, mut old) = (newer.sorted.as_slice(), older.sorted.as_slice());
        while let ([next, ..], [prior, ..]) = (new, old) {
            if next.hash == prior.hash {
                let (stay, rest) = split_hash(new);
                let (go, others) = split_hash(old);
                merged.extend_from_slice(stay);
                let others_keys = go.iter().filter(|old| !stay.iter().any(|new| same(new, old)));
                merged.extend(others_keys.map(behind));
                (new, old) = (rest, others);
                continue;
            }
            // Which of two hashes is less cannot be predicted: one is taken without a branch.
            let is_new = usize::from(next.hash < prior.hash);
            merged.push([behind(prior), *next][is_new]);
            (new, old) = (&new[is_new..], &old[1 - is_new..]);
        }
        merged.extend_from_slice(new);
        merged.extend(old.iter().map(behind));
        Self::of_sorted(merged)
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn get(&self, number: u32) -> &Spot {
        &self.sorted[number as usize]
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Spot> {
        self.sorted.iter()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.sorted.as_slice()) + size_of_val(self.starts.as_slice())
    }
}

/// The top bits of a hash, as the number of one of `buckets`, a power of two.
fn bucket(hash: u64, buckets: usize) -> usize {
    // Two steps, because with one bucket all 64 bits go.
    (hash >> 1 >> (63 - buckets.trailing_zeros())) as usize
}

/// The spots that have the hash of the first, and the rest.
fn split_hash(spots: &[Spot]) -> (&[Spot], &[Spot]) {
    let same = |spot: &&Spot| spot.hash == spots[0].hash;
    spots.split_at(spots.iter().take_while(same).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries that have a hash, and in which block.
    fn found(spots: &Spots, hash: u64) -> Vec<(u32, u32)> {
        let mut found: Vec<_> =
            spots.with_hash(hash).map(|spot| (spot.block, spot.entry)).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn finds_what_is_there() {
        for stride in [0, 1, 1 << 40, 0x9e37_79b9_7f4a_7c15] {
            for count in [0, 1, 2, 3, 100, 1000_u64] {
                let hash = |number: u64| number.wrapping_mul(stride);
                let hashes: Vec<u64> = (0..count).map(hash).collect();
                let spots = Spots::of_block(&hashes);
                for number in 0..count {
                    assert!(found(&spots, hash(number)).contains(&(0, number as u32)));
                }
                assert!(found(&spots, 77 << 8 | 3).is_empty());
            }
        }
    }

    #[test]
    fn of_one_key_the_newer_stays_and_of_two_keys_with_one_hash_both() {
        let newer = Spots::of_block(&[1, 5, 5, u64::MAX]);
        let older = Spots::of_block(&[5, 5, 7, u64::MAX]);
        // Entries 1 of both and entries 3 of both have the same keys.
        let same = |new: &Spot, old: &Spot| new.entry == old.entry;
        let merged = Spots::merge(&newer, &older, 10, same);
        assert_eq!(merged.len(), 6);
        assert_eq!(found(&merged, 1), [(0, 0)]);
        assert_eq!(found(&merged, 5), [(0, 1), (0, 2), (10, 0)]);
        assert_eq!(found(&merged, 7), [(10, 2)]);
        assert_eq!(found(&merged, u64::MAX), [(0, 3)]);
    }
}
