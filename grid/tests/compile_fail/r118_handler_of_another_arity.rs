//! A handler takes the event and the states; `each_with` adds the context.

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

fn count(page: Str, counts: &mut Map<Str, u64>, context: &mut Context<'_>) {
    counts.insert(page, context.time() as u64);
}

fn main() {}
