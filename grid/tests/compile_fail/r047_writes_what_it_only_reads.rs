//! Only the owner of a PState gets `&mut` to it: `.read()` lends `&`.

use gridmill::prelude::*;

const VISITS: Depot<Str> = Depot::hash_by("web/visits", |page| page.into());
const COUNTS: PState<Map<Str, u64>> = PState::new("web/counts");
const LENGTHS: PState<Map<Str, u64>> = PState::new("web/lengths");

struct Web;

impl Module for Web {
    const NAME: &'static str = "web";

    fn define(module: &mut Setup) {
        module.depot(VISITS);
        module.stream("count", COUNTS).source(VISITS).each(count);
        module.stream("lengths", (LENGTHS, COUNTS.read())).source(VISITS).each(meddle);
    }
}

fn count(page: Str, counts: &mut Map<Str, u64>) {
    *counts.entry(page).or_default() += 1;
}

fn meddle(page: Str, (lengths, counts): (&mut Map<Str, u64>, &mut Map<Str, u64>)) {
    lengths.insert(page.clone(), page.len() as u64);
    counts.remove(page);
}

fn main() {}
