//! A module whose topologies send, for tests.

use std::sync::Arc;

use gridmill_model::{Depot, Map, PState, Stage};

use crate::module::{Module, Plan, Setup};
use crate::topology::Context;

pub(crate) const NUMBERS: Depot<u64> = Depot::random("f/numbers");
pub(crate) const COPIES: Depot<u64> = Depot::random("f/copies");
pub(crate) const SEEN: PState<Map<u64, u64>> = PState::new("f/seen").local();
pub(crate) const ECHO: Stage<u64> = Stage::all("echo");
const SIDE: Stage<u64> = Stage::here("side");
const OTHERS: PState<Map<u64, u64>> = PState::new("f/others").local();
const PLAINS: PState<Map<u64, u64>> = PState::new("f/plains").local();

/// The numbers of its topologies.
pub(crate) const FIRST: usize = 0;
pub(crate) const PLAIN: usize = 1;
pub(crate) const SECOND: usize = 2;

fn first(module: &mut Setup) {
    module
        .stream("first", SEEN)
        .appends(COPIES)
        .source(NUMBERS)
        .each_with(|number: u64, _: &mut Map<u64, u64>, flow: &mut Context<'_>| {
            flow.send(ECHO, number);
            flow.send(ECHO, number + 1_000);
            flow.append_here(COPIES, number);
        })
        .stage(ECHO)
        .each(|number: u64, seen: &mut Map<u64, u64>| *seen.entry(number).or_default() += 1);
}

fn plain(module: &mut Setup) {
    let plain = module.stream("plain", PLAINS).source(COPIES);
    plain.each(|number: u64, plains: &mut Map<u64, u64>| *plains.entry(number).or_default() += 1);
}

fn second(module: &mut Setup) {
    module
        .stream("second", OTHERS)
        .source(NUMBERS)
        .each(|number: u64, others: &mut Map<u64, u64>| *others.entry(number).or_default() += 1)
        .stage(SIDE)
        .each(|_: u64, _: &mut Map<u64, u64>| {});
}

/// Defines the module `flows`, another form of it each time.
macro_rules! form {
    ($(#[$doc:meta])* $name:ident, $module:ident => $define:block) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Module for $name {
            const NAME: &'static str = "flows";

            fn define($module: &mut Setup) $define
        }
    };
}

form!(
    /// `first` sends two records to each partition and appends one event where it is; `plain` reads these.
    Flows, module => {
    module.depot(NUMBERS).depot(COPIES);
    first(module);
    plain(module);
    second(module);
});

form!(WithoutFirst, module => {
    module.depot(NUMBERS).depot(COPIES).remove("first").remove("f/seen");
    plain(module);
    second(module);
});

form!(WithoutPlain, module => {
    module.depot(NUMBERS).depot(COPIES).remove("plain").remove("f/plains");
    first(module);
    second(module);
});

pub(crate) fn plan() -> Arc<Plan> {
    plan_of::<Flows>()
}

pub(crate) fn plan_of<M: Module>() -> Arc<Plan> {
    Arc::new(Plan::of::<M>().expect("it is declared well"))
}
