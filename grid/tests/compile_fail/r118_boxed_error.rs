//! What a handler's `Err` holds reaches the appender, so it has to be sent.

use std::error::Error;

use gridmill::prelude::*;

const NUMBERS: Depot<u64> = Depot::random("boxed/numbers");
const SUM: PState<u64> = PState::new("boxed/sum").global();

struct Boxed;

impl Module for Boxed {
    const NAME: &'static str = "boxed";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("sum", SUM).source(NUMBERS).each(add);
    }
}

fn add(number: u64, sum: &mut u64) -> Result<(), Box<dyn Error>> {
    *sum += u64::from(u32::try_from(number)?);
    Ok(())
}

fn main() {}
