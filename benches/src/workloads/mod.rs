//! What `gridbench` can do.

pub mod appends;
mod beside;
mod cores;
mod count;
pub mod events;
mod fan;
mod hops;
mod log;
mod memory;
mod open;
mod query;
mod read;
mod replay;
mod todo;

pub(crate) use memory::print_settled;

use crate::args::{Of, Options};
use crate::error::{BenchError, Result};
use crate::measure::{Subject, measure};
use crate::report::Report;

/// What a workload does unless told otherwise.
pub(crate) struct Defaults {
    /// Keys or users.
    pub(crate) keys: usize,
    /// Partitions of the grid.
    pub(crate) partitions: u32,
    /// Events a call.
    pub(crate) batch: usize,
    /// Calls that wait for their answer at a time.
    pub(crate) in_flight: usize,
    /// Payload of an event.
    pub(crate) event_bytes: usize,
}

/// The defaults of the workload `name`.
pub(crate) fn defaults(name: &str, of: Of) -> Result<Defaults> {
    let (keys, partitions, batch, in_flight, event_bytes) = match name {
        // Records of 128 bytes with their headers.
        "log" => (1_000_000, 1, 256, 1, 96),
        // As many calls as Postgres has connections.
        "todo" => (100_000, 2, 256, 32, 0),
        "count" => (1_000_000, 2, 4096, 8, 0),
        "hops" => (10_000, 2, 256, 64, 0),
        // Followers; a call is one post.
        "fan" => (10_000, 8, 1, 8, 0),
        // A part on each of eight partitions.
        "query" => (1_000_000, 8, 4096, 4, 0),
        "read" => (1_000_000, 2, 1024, 4, 0),
        "replay" if of == Of::Todo => (100_000, 2, 4096, 4, 0),
        "open" | "memory" | "replay" => (1_000_000, 2, 4096, 4, 0),
        other => return Err(BenchError::Usage(format!("there is no workload `{other}`"))),
    };
    Ok(Defaults { keys, partitions, batch, in_flight, event_bytes })
}

/// Runs the workload that the options name.
///
/// # Errors
/// Whatever ended the run, also a wrong result.
pub fn run(options: &Options) -> Result<Report> {
    match options.workload.as_str() {
        "log" => log::run(options),
        "todo" => todo::run(options),
        "count" => count::run(options),
        "hops" => hops::run(options),
        "fan" => fan::run(options),
        "query" => query::run(options),
        "read" => read::run(options),
        "replay" => replay::run(options),
        "open" => open::run(options),
        "memory" => memory::run(options),
        other => Err(BenchError::Usage(format!("there is no workload `{other}`"))),
    }
}

/// Runs Gridmill and its peers in turns.
fn compare(mut subjects: Vec<Box<dyn Subject>>, options: &Options) -> Result<Report> {
    let seen = measure(&mut subjects, options.warm_up, options.time)?;
    let mut report = Report::default();
    for (subject, seen) in subjects.iter().zip(seen) {
        report.line(subject.name(), seen);
    }
    Ok(report)
}

/// Gridmill, and every peer that was asked for.
fn with_peers(
    gridmill: impl Subject + 'static,
    options: &Options,
    mut peer: impl FnMut(&str) -> Result<Option<Box<dyn Subject>>>,
) -> Result<Vec<Box<dyn Subject>>> {
    let mut subjects: Vec<Box<dyn Subject>> = vec![Box::new(gridmill)];
    for name in &options.peers {
        let workload = &options.workload;
        let none = || BenchError::Usage(format!("workload `{workload}` has no peer `{name}`"));
        subjects.push(peer(name)?.ok_or_else(none)?);
    }
    Ok(subjects)
}
