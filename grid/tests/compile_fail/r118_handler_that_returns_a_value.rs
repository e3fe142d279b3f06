//! A handler returns nothing, or a `Result` that can refuse the event.

use gridmill::prelude::*;

const VISITS: Depot<Str> = Depot::hash_by("web/visits", |page| page.into());
const COUNTS: PState<Map<Str, u64>> = PState::new("web/counts");

struct Web;

impl Module for Web {
    const NAME: &'static str = "web";

    fn define(module: &mut Setup) {
        module.depot(VISITS);
        module.stream("count", COUNTS).source(VISITS).each(count);
    }
}

fn count(page: Str, counts: &mut Map<Str, u64>) -> u64 {
    counts.insert(page, 1).unwrap_or_default()
}

fn main() {}
