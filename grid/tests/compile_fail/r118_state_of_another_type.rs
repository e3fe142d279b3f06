//! A handler takes the states of its topology's tuple, in their order.

use gridmill::prelude::*;

const VISITS: Depot<Str> = Depot::hash_by("web/visits", |page| page.into());
const COUNTS: PState<Map<Str, u64>> = PState::new("web/counts");
const PAGES: PState<Map<Str, List<Str>>> = PState::new("web/pages");

struct Web;

impl Module for Web {
    const NAME: &'static str = "web";

    fn define(module: &mut Setup) {
        module.depot(VISITS);
        module.stream("swapped", (COUNTS, PAGES)).source(VISITS).each(swapped);
        module.stream("alone", COUNTS).source(VISITS).each(one_too_many);
    }
}

fn swapped(_: Str, (_, _): (&mut Map<Str, List<Str>>, &mut Map<Str, u64>)) {}

fn one_too_many(_: Str, (_, _): (&mut Map<Str, u64>, &mut Map<Str, List<Str>>)) {}

fn main() {}
