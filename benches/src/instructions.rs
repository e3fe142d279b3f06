//! Appends, applies and publishes so many events, for `benches/instructions.sh` to count what it
//! takes: instructions do not depend on how busy the machine is.

use std::process::ExitCode;

use gridmill::prelude::{Depot, Durability, Grid, Module};
use gridmill_benches::args::Options;
use gridmill_benches::modules::{count, todo};
use gridmill_benches::workloads::events::{Feed, Hits, Todos};

/// Events a call.
const BATCH: usize = 256;

/// Keys or users.
const KEYS: &str = "10000";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let events = arguments.get(1).and_then(|events| events.parse().ok());
    let (Some(workload), Some(events)) = (arguments.first(), events) else {
        eprintln!("usage: instructions count|todo EVENTS");
        return ExitCode::FAILURE;
    };
    match run(workload, events) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(workload: &str, events: usize) -> Result<(), Failure> {
    let arguments = [workload, "--keys", KEYS];
    let options = Options::parse(lexopt::Parser::from_args(arguments))?;
    match workload {
        "todo" => append::<todo::TodoModule, _>(todo::EVENTS, Todos::new(&options), events),
        _ => append::<count::CountModule, _>(count::HITS, Hits::new(&options), events),
    }
}

fn append<M: Module, F: Feed>(
    depot: Depot<F::Event>,
    mut feed: F,
    events: usize,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(async {
        let builder = Grid::builder(folder.path()).partitions(1).threads(1);
        let grid = builder.durability(Durability::Os).module::<M>().start().await?;
        let client = grid.client();
        for first in (0..events).step_by(BATCH) {
            let batch: Vec<_> = (first..events.min(first + BATCH)).map(|_| feed.next()).collect();
            client.append_many(depot, batch).await.map_err(|error| error.to_string())?;
        }
        grid.halt().await;
        Ok(())
    })
}
