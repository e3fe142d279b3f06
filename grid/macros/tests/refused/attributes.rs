use gridmill_macros::record;

#[record(crate = gridmill_model)]
struct Todo {
    #[serde(skip)]
    done: bool,
}

#[record(crate = gridmill_model, fast)]
struct Other {
    done: bool,
}

fn main() {}
