use std::collections::HashMap;

use gridmill_macros::record;
use gridmill_model::prelude::*;

#[record(crate = gridmill_model)]
struct Basket {
    owner: Str,
    items: HashMap<Str, u32>,
}

fn main() {}
