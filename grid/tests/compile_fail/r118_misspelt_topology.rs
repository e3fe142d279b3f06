//! A topology that is read by its constant: another name, or another type of its reply, does not compile.

use gridmill::prelude::*;

pub const TILL: Topology<u64> = Topology::new("till");

fn read(receipt: &gridmill::client::Receipt) -> Option<Str> {
    let _ = receipt.reply_of(TIL);
    receipt.reply_of(TILL).unwrap()
}

fn main() {}
