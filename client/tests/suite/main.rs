//! The client against an engine that the tests play by hand.

mod appends;
mod batches;
mod depots;
mod engine;
mod failures;
mod gate;
mod many;
mod overload;
mod selects;
