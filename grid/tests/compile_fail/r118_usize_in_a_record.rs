//! A record has no `usize`: its width is not that of another machine.

use gridmill::prelude::*;

#[record]
struct Todo {
    text: Str,
    position: usize,
}

const POSITIONS: PState<Map<Str, usize>> = PState::new("todo/positions");

fn main() {}
