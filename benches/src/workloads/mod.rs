//! What `gridbench` can do.

pub mod appends;
mod count;
pub mod events;
mod log;
mod memory;
mod open;
mod read;
mod replay;
mod todo;

use crate::args::Options;
use crate::error::{BenchError, Result};
use crate::measure::{Subject, measure};
use crate::report::Report;

/// Runs the workload that the options name.
///
/// # Errors
/// Whatever ended the run, also a wrong result.
pub fn run(options: &Options) -> Result<Report> {
    match options.workload.as_str() {
        "log" => log::run(options),
        "todo" => todo::run(options),
        "count" => count::run(options),
        "read" => read::run(options),
        "replay" => replay::run(options),
        "open" => open::run(options),
        "memory" => memory::run(options),
        other => Err(BenchError::Usage(format!("there is no workload `{other}`"))),
    }
}

/// Runs Gridmill and its peers in turns.
fn compare(mut subjects: Vec<Box<dyn Subject>>, options: &Options) -> Result<Report> {
    let seen = measure(&mut subjects, options.time())?;
    let names = subjects.iter().map(|subject| subject.name().to_owned()).collect();
    Ok(Report::new(names, seen))
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
