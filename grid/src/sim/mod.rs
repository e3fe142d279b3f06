//! A grid, its disk, its clients and all that can go wrong, driven from one seed.
//!
//! Partitions, jobs and clients are those of a real grid; what runs next, and what fails, is chosen by a
//! generator. So a run that went wrong is repeated by its number. Steps are atomic here: what happens
//! inside of one, between threads, is for other tests.

mod asking;
mod choices;
mod clients;
mod grid;
mod host;
mod inspect;
mod later;
mod ledger;
mod once;
mod options;
mod oracle;
mod passing;
mod run;
mod tasks;
mod ticking;
mod watching;

pub use options::{Failure, Options, Outcome, Workload};
pub use run::{run, silence_simulated_panics};
