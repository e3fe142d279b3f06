//! The throughput tool; see [`gridmill_benches::args::usage`].

use std::process::ExitCode;

use gridmill_benches::args::Options;
use gridmill_benches::error::BenchError;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gridmill_benches::allocator::keep_freed_memory();
    match Options::from_env().and_then(|options| gridmill_benches::run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(help @ BenchError::Help) => {
            println!("{help}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("gridbench: {error}");
            ExitCode::from(if matches!(error, BenchError::Usage(_)) { 2 } else { 1 })
        }
    }
}
