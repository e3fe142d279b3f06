use gridmill_macros::record;
use gridmill_model::prelude::*;

#[record(crate = gridmill_model)]
struct Todo {
    text: Str,
    position: Option<usize>,
}

fn main() {}
