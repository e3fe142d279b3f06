//! Which runs of a root are worth merging, and when there are too many of them.
//!
//! Neighbours of similar size are merged, so that an entry is written a few times only. That alone would
//! keep each entry that was overwritten several times; hence all runs become one where much of what they
//! hold lives no more. What lives is estimated, because to know it would be to read them.

use gridmill_persistence::Run;

/// How many neighbours of similar size are merged.
const TIER_RUNS: usize = 4;

/// Runs are of similar size when the largest is at most this many times the smallest.
const TIER_SPREAD: u64 = 4;

/// Runs that a reader has to look through at most, about.
const RUNS_MAX: usize = 16;

/// Bytes of garbage that are not worth a merge.
const SLACK: u64 = 64 << 10;

/// Runs of one root that are worth merging: `count` neighbours from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// What is known of a run without reading it.
#[derive(Clone, Copy, Debug)]
struct Size {
    bytes: u64,
    entries: u64,
    /// The entries that are no deletions.
    values: u64,
}

impl Size {
    fn of(run: &Run) -> Self {
        let (entries, deletions) = (run.len(), run.tombstones());
        Self { bytes: run.bytes(), entries, values: entries.saturating_sub(deletions) }
    }
}

/// The runs of a root, newest first.
#[derive(Debug)]
pub(crate) struct Pile {
    sizes: Vec<Size>,
    /// Bytes of them, about, that live, as their entries are counted.
    counted: u64,
    /// The same, as merges have shown.
    alive: u64,
}

impl Pile {
    /// Of a root with `len` entries. An estimate of what lives is off by the factor `bias`, as far as
    /// merges have shown.
    pub(crate) fn new(runs: &[Run], len: u64, bias: f64) -> Self {
        Self::of(runs.iter().map(Size::of).collect(), len, bias)
    }

    fn of(sizes: Vec<Size>, len: u64, bias: f64) -> Self {
        let bytes: u64 = sizes.iter().map(|size| size.bytes).sum();
        let counted = alive(&sizes, len);
        let alive = ((counted as f64 * bias) as u64).min(bytes);
        Self { sizes, counted, alive }
    }

    /// By how much the count is off, where a merge of all found that so many bytes live. It is never
    /// taken to be too high: that would only keep garbage.
    pub(crate) fn bias(&self, found: u64) -> f64 {
        let (found, counted) = (found + SLACK, self.counted + SLACK);
        (found as f64 / counted as f64).max(1.0)
    }

    /// Bytes of some of the runs.
    pub(crate) fn bytes(&self, tier: Tier) -> u64 {
        self.sizes[tier.first..tier.first + tier.count].iter().map(|size| size.bytes).sum()
    }

    fn all(&self) -> Tier {
        Tier { first: 0, count: self.sizes.len() }
    }

    /// Whether no flush should add to them before merges have had their turn: with the run that a merge
    /// of all is writing they take three times what lives.
    pub(crate) fn is_high(&self) -> bool {
        self.sizes.len() >= RUNS_MAX || self.bytes(self.all()) > 2 * self.alive + SLACK
    }

    /// What to merge next; the oldest runs, but for `free` of them, are being merged already.
    pub(crate) fn pick(&self, free: usize) -> Option<Tier> {
        let all_free = free == self.sizes.len();
        let all = (all_free && self.is_mostly_garbage()).then(|| self.all());
        let similar = || all_free.then(|| self.similar()).flatten();
        let many = || (free > 2 * TIER_RUNS).then_some(Tier { first: 0, count: TIER_RUNS });
        all.or_else(similar).or_else(many)
    }

    /// Whether a third of what the runs hold is dead, but for what the last flush brought.
    fn is_mostly_garbage(&self) -> bool {
        let older: u64 = self.sizes.iter().skip(1).map(|size| size.bytes).sum();
        older > self.alive + self.alive / 2 + SLACK
    }

    /// Neighbours of similar size, youngest first.
    fn similar(&self) -> Option<Tier> {
        let similar = |window: &[Size]| {
            let bytes = window.iter().map(|size| size.bytes);
            let (least, most) =
                bytes.fold((u64::MAX, 0), |(a, b), bytes| (a.min(bytes), b.max(bytes)));
            most <= TIER_SPREAD * least.max(64 << 10)
        };
        let first = self.sizes.windows(TIER_RUNS).position(similar);
        first.map(|first| Tier { first, count: TIER_RUNS })
    }
}

/// Bytes, about, of `len` entries that live in runs: as if all values of the youngest did.
fn alive(sizes: &[Size], len: u64) -> u64 {
    let (mut left, mut alive) = (len, 0);
    for size in sizes {
        let values = left.min(size.values);
        alive += u128::from(size.bytes) * u128::from(values) / u128::from(size.entries.max(1));
        left -= values;
    }
    u64::try_from(alive).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Pile, RUNS_MAX, Size, Tier};

    const MIB: u64 = 1 << 20;

    /// Runs of so many MiB, each entry a MiB, none a deletion.
    fn pile(mib: &[u64], len: u64) -> Pile {
        let size = |&mib: &u64| Size { bytes: mib * MIB, entries: mib, values: mib };
        Pile::of(mib.iter().map(size).collect(), len, 1.0)
    }

    fn picks(mib: &[u64], len: u64) -> Option<(usize, usize)> {
        pile(mib, len).pick(mib.len()).map(|Tier { first, count }| (first, count))
    }

    #[test]
    fn merges_neighbours_of_similar_size() {
        assert_eq!(picks(&[1, 1, 2], 4), None);
        assert_eq!(picks(&[1, 2, 1, 3], 7), Some((0, 4)));
        assert_eq!(picks(&[1, 40, 50, 40, 60], 191), Some((1, 4)));
    }

    #[test]
    fn never_lets_runs_pile_up() {
        let sizes: Vec<u64> = (0..9).map(|power| 1 << (3 * power)).collect();
        assert_eq!(picks(&sizes, sizes.iter().sum()), Some((0, 4)));
        assert!(!pile(&sizes, sizes.iter().sum()).is_high());
        assert!(pile(&[1; 16], 16).is_high());
    }

    #[test]
    fn merges_all_where_a_third_is_garbage() {
        assert_eq!(picks(&[8, 14], 14), None, "the last flush may be on top");
        assert_eq!(picks(&[8, 6, 14], 14), None);
        assert_eq!(picks(&[8, 8, 14], 14), Some((0, 3)));
        assert!(pile(&[8, 8, 14], 14).is_high(), "with the run that is written, three times 14");
        assert_eq!(picks(&[1, 14], 0), Some((0, 2)), "all was deleted");
        assert_eq!(picks(&[14], 0), None, "one run is merged with the next");
    }

    #[test]
    fn what_deletions_and_small_values_hide_is_garbage() {
        let old = Size { bytes: 5 * MIB, entries: 1000, values: 1000 };
        let tiny = Size { bytes: 24_000, entries: 1000, values: 1000 };
        let deletions = Size { values: 0, entries: 900, ..tiny };
        let picks = |young, len| Pile::of(vec![young, old], len, 1.0).pick(2).is_some();
        assert!(picks(tiny, 1000), "every large value was overwritten");
        assert!(picks(deletions, 100), "nine of ten were deleted");
        assert!(!picks(tiny, 2000), "other keys");
        // A merge showed that it is the small ones that change: no use to merge at every flush.
        assert!(Pile::of(vec![tiny, old], 1000, 200.0).pick(2).is_none());
    }

    #[test]
    fn a_large_merge_is_no_reason_to_let_small_runs_pile_up() {
        let mut sizes = vec![1; 8];
        sizes.extend([50, 100]);
        let pile = pile(&sizes, 100);
        assert_eq!(pile.pick(8), None);
        sizes.insert(0, 1);
        assert_eq!(self::pile(&sizes, 100).pick(9), Some(Tier { first: 0, count: 4 }));
    }

    /// A root whose entries take a KiB each, with its runs and the merge under way.
    struct Root {
        live: usize,
        runs: Vec<Vec<usize>>,
        /// The runs that are being merged, and what they become.
        merging: Option<(Tier, Vec<usize>)>,
        flushed: usize,
        written: usize,
    }

    impl Root {
        fn pile(&self) -> Pile {
            let size = |run: &Vec<usize>| Size {
                bytes: (run.len() as u64) << 10,
                entries: run.len() as u64,
                values: run.len() as u64,
            };
            Pile::of(self.runs.iter().map(size).collect(), self.live as u64, 1.0)
        }

        fn flush(&mut self, keys: BTreeSet<usize>) {
            // As a partition does.
            self.start_merge();
            if self.merging.is_some() && self.pile().is_high() {
                return;
            }
            self.flushed += keys.len();
            self.written += keys.len();
            self.runs.insert(0, keys.into_iter().collect());
            if let Some((tier, _)) = &mut self.merging {
                tier.first += 1;
            }
        }

        fn start_merge(&mut self) {
            if self.merging.is_none()
                && let Some(tier) = self.pile().pick(self.runs.len())
            {
                let inputs = &self.runs[tier.first..tier.first + tier.count];
                let merged: BTreeSet<usize> = inputs.iter().flatten().copied().collect();
                self.written += merged.len();
                self.merging = Some((tier, merged.into_iter().collect()));
            }
        }

        fn end_merge(&mut self) {
            if let Some((Tier { first, count }, merged)) = self.merging.take() {
                self.runs.splice(first..first + count, [merged]);
            }
        }

        fn on_disk(&self) -> usize {
            let merging = self.merging.as_ref().map_or(0, |(_, merged)| merged.len());
            self.runs.iter().map(Vec::len).sum::<usize>() + merging
        }
    }

    // However merges and flushes follow each other, and whatever they overwrite.
    #[test]
    fn three_times_what_lives_and_one_flush_are_enough() {
        let mut seed = 1u64;
        let mut below = |limit: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % limit
        };
        let cases = [
            (2_000, 200, 2_000),
            (2_000, 1_500, 2_000),
            (3_000, 300, 400),
            (3_000, 3_000, 3_000),
            (500, 20, 500),
        ];
        for (live, flush, hot) in cases {
            let (runs, merging) = (vec![(0..live).collect()], None);
            let mut root = Root { live, runs, merging, flushed: 0, written: 0 };
            for _ in 0..1_000 {
                if below(2) == 0 {
                    root.flush((0..flush).map(|_| below(hot)).collect());
                } else {
                    root.end_merge();
                }
                let (bytes, runs) = (root.on_disk(), root.runs.len());
                let slack = 64;
                assert!(bytes <= 3 * live + flush + slack, "{bytes} KiB of {live} in {runs} runs");
                assert!(runs <= RUNS_MAX, "{runs} runs");
            }
            assert!(root.written < 6 * root.flushed, "{} for {}", root.written, root.flushed);
        }
    }
}
