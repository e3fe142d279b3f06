use gridmill_macros::record;

#[record(crate = gridmill_model, key)]
enum Shape {
    Circle { radius: u32 },
    Square,
}

fn main() {}
