//! Which entries of the levels make up a range of minutes.
//!
//! An entry of level n covers 4^n minutes, from a multiple of that on. A range is cut at the edges of the largest
//! entries that lie in it, and what is left on both sides at those of the next smaller ones: at most three entries of a
//! level on each side, and as many levels as the range has pairs of bits.

use std::ops::Range;

/// How many levels there are: an entry of the last one covers almost eight years.
pub(crate) const LEVELS: u8 = 12;

/// The number of the entry of a level in which a minute lies.
pub(crate) fn bucket(level: u8, minute: i64) -> i64 {
    minute >> (2 * level)
}

/// The entries, by level and number, that make up `minutes`: those of one level are one or two ranges.
pub(crate) fn spans(minutes: Range<i64>) -> Vec<(u8, Range<i64>)> {
    let (mut left, mut right) = (minutes.start, minutes.end.max(minutes.start));
    let mut spans = Vec::new();
    for level in 0..LEVELS {
        let is_last = level + 1 == LEVELS;
        // What the next level has whole is left to it.
        let (inner, outer) = (left.div_euclid(4) + i64::from(left.rem_euclid(4) > 0), right >> 2);
        if is_last || inner >= outer {
            spans.push((level, left..right));
            break;
        }
        spans.push((level, left..inner * 4));
        spans.push((level, outer * 4..right));
        (left, right) = (inner, outer);
    }
    spans.retain(|(_, buckets)| !buckets.is_empty());
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes_of((level, buckets): &(u8, Range<i64>)) -> Range<i64> {
        buckets.start << (2 * level)..buckets.end << (2 * level)
    }

    #[test]
    fn spans_have_each_minute_of_the_range_once() {
        for start in -70..70 {
            for end in start..start + 300 {
                let mut minutes: Vec<i64> = spans(start..end).iter().flat_map(minutes_of).collect();
                minutes.sort_unstable();
                assert_eq!(minutes, (start..end).collect::<Vec<_>>(), "{start}..{end}");
            }
        }
    }

    #[test]
    fn ten_years_are_less_than_a_hundred_entries() {
        let ten_years = 10 * 365 * 24 * 60;
        for start in (0..1_000_000).step_by(9_997) {
            let entries: i64 = spans(start..start + ten_years)
                .iter()
                .map(|(_, buckets)| buckets.end - buckets.start)
                .sum();
            assert!(entries < 100, "{entries} entries from {start} on");
        }
    }
}
