use gridmill_macros::record;

#[record(crate = gridmill_model)]
struct Pair<T> {
    left: T,
    right: T,
}

fn main() {}
