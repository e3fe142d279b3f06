//! What `.read()` lends cannot be changed, not even through a path.

use gridmill::prelude::*;

const COUNTS: PState<Map<Str, u64>> = PState::new("web/counts");

fn meddle(page: Str, (_, counts): (&mut Map<Str, u64>, &Map<Str, u64>)) {
    COUNTS.key(&page).remove().apply(counts);
    *counts.entry(page).or_default() += 1;
}

fn main() {}
