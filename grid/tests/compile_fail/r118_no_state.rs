//! What stands in a PState is a record or is made of those.

use gridmill::prelude::*;

struct Plain {
    text: String,
}

const PLAIN: PState<Map<Str, Plain>> = PState::new("no/state");
const BY_PLAIN: PState<Map<Plain, u64>> = PState::new("no/key");
const EVENTS: Depot<Plain> = Depot::random("no/events");

struct Broken;

impl Module for Broken {
    const NAME: &'static str = "broken";

    fn define(module: &mut Setup) {
        module.depot(EVENTS);
    }
}

fn main() {}
