//! Benchmarks of Gridmill: criterion benches of each stage, and `gridbench`, the throughput tool.
//!
//! `gridbench` does the same operations with Gridmill and with its peers, in turns, within one run:
//! ratios can be trusted where absolute figures cannot. See [`args::usage`].

pub mod allocator;
pub mod args;
pub mod draw;
pub mod error;
pub mod measure;
pub mod modules;
pub mod peers;
mod plot;
pub mod report;
pub mod usage;
pub mod workloads;

use args::Options;
use error::{Result, failed};

/// Runs what the options say, prints the table and writes the files.
///
/// # Errors
/// Whatever ended the run, also a wrong result.
pub fn run(options: &Options) -> Result<()> {
    if let Some(folder) = &options.settled {
        return workloads::print_settled(options, folder);
    }
    let report = workloads::run(options)?;
    print!("{}", report.table());
    if let Some(file) = &options.json {
        let object = report.to_json(options).to_string();
        std::fs::write(file, object)
            .map_err(|error| format!("{}: {error}", file.display()))
            .map_err(failed("writing the JSON"))?;
    }
    if let Some(file) = &options.plot {
        plot::plot(&report, &format!("gridbench {}", options.workload), file)?;
    }
    Ok(())
}
