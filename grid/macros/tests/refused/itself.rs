use gridmill_macros::record;
use gridmill_model::prelude::*;

#[record(crate = gridmill_model)]
struct Comment {
    text: Str,
    replies: List<Comment>,
}

fn main() {}
