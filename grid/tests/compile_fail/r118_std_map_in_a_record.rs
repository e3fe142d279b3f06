//! Collections are Gridmill's own.

use std::collections::HashMap;

use gridmill::prelude::*;

#[record]
struct Basket {
    owner: Str,
    items: HashMap<Str, u32>,
}

const TOTALS: PState<Map<Str, HashMap<Str, u64>>> = PState::new("std/totals");

fn main() {}
