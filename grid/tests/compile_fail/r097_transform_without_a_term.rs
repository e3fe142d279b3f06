//! A path changes something only with `set`, `update` or `remove` at its end.

use gridmill::prelude::*;

const COUNTS: PState<Map<Str, u64>> = PState::new("web/counts");

fn visit(counts: &mut Map<Str, u64>) {
    COUNTS.key("home").apply(counts);
}

fn main() {}
