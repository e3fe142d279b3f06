//! Appends, applies and publishes so many events, for `benches/instructions.sh` to count what it
//! takes: instructions do not depend on how busy the machine is.

use std::process::ExitCode;

use gridmill::prelude::{Depot, Durability, Grid, Module};
use gridmill_benches::args::Options;
use gridmill_benches::modules::{count, todo, transfers};
use gridmill_benches::workloads::events::{Feed, Hits, OPENING, Todos, Transfers};

/// Events a call.
const BATCH: usize = 256;

/// Keys, users or accounts.
const KEYS: &str = "10000";

/// Partitions between which transfers hop.
const SIDES: u32 = 2;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let events = arguments.get(1).and_then(|events| events.parse().ok());
    let (Some(workload), Some(events)) = (arguments.first(), events) else {
        eprintln!("usage: instructions count|todo|hops EVENTS");
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
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let done = async {
        match workload {
            "todo" => {
                let grid = Bench::start::<todo::TodoModule>(1).await?;
                grid.append(todo::EVENTS, Todos::new(&options), events).await?;
                grid.stop().await
            }
            "hops" => {
                let grid = Bench::start::<transfers::TransferModule>(SIDES).await?;
                grid.append(transfers::OPENED, Accounts::default(), options.keys).await?;
                let transfers = Transfers::new(&Options { partitions: SIDES, ..options });
                grid.append(transfers::TRANSFERS, transfers, events).await?;
                grid.stop().await
            }
            _ => {
                let grid = Bench::start::<count::CountModule>(1).await?;
                grid.append(count::HITS, Hits::new(&options), events).await?;
                grid.stop().await
            }
        }
    };
    runtime.block_on(done)
}

/// A grid of one thread in a folder that goes with it.
struct Bench {
    grid: Grid,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start<M: Module>(partitions: u32) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let builder = Grid::builder(folder.path()).partitions(partitions).threads(1);
        let grid = builder.durability(Durability::Os).module::<M>().start().await?;
        Ok(Self { grid, _folder: folder })
    }

    async fn append<F: Feed>(
        &self,
        depot: Depot<F::Event>,
        mut feed: F,
        events: usize,
    ) -> Result<(), Failure> {
        let client = self.grid.client();
        for first in (0..events).step_by(BATCH) {
            let batch: Vec<_> = (first..events.min(first + BATCH)).map(|_| feed.next()).collect();
            client.append_many(depot, batch).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn stop(self) -> Result<(), Failure> {
        self.grid.halt().await;
        Ok(())
    }
}

/// Accounts to open, each with what no transfer uses up.
#[derive(Debug, Default)]
struct Accounts {
    opened: u64,
}

impl Feed for Accounts {
    type Event = (u64, u64);

    fn next(&mut self) -> (u64, u64) {
        self.opened += 1;
        (self.opened - 1, OPENING)
    }
}
