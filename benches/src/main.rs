//! The throughput tool; see [`gridmill_benches::args::USAGE`].

use std::process::ExitCode;

use gridmill_benches::args::Options;

// A faster allocator is the binary's choice, not the library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Options::from_env().and_then(|options| gridmill_benches::run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
