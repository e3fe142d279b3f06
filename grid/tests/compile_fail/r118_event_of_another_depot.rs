//! A handler takes the events of its depot.

use gridmill::prelude::*;

#[record]
struct Visit {
    page: Str,
}

#[record]
struct Purchase {
    page: Str,
    cents: u64,
}

const VISITS: Depot<Visit> = Depot::hash_by("web/visits", |visit| visit.page.as_str().into());
const SALES: PState<Map<Str, u64>> = PState::new("web/sales");

struct Web;

impl Module for Web {
    const NAME: &'static str = "web";

    fn define(module: &mut Setup) {
        module.depot(VISITS);
        module.stream("sales", SALES).source(VISITS).each(on_purchase);
    }
}

fn on_purchase(purchase: Purchase, sales: &mut Map<Str, u64>) {
    *sales.entry(purchase.page).or_default() += purchase.cents;
}

fn main() {}
