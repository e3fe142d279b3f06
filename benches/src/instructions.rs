//! Appends, applies and publishes so many events, for `benches/instructions.sh` to count what it
//! takes: instructions do not depend on how busy the machine is.

use std::process::ExitCode;

use gridmill::prelude::{Durability, Grid};
use gridmill_benches::modules::count::{CountModule, HITS, Hit};

/// Events a call.
const BATCH: u64 = 256;

/// Keys that are hit in turn.
const KEYS: u64 = 10_000;

fn main() -> ExitCode {
    let events = std::env::args().nth(1).and_then(|events| events.parse().ok());
    let Some(events) = events else {
        eprintln!("usage: instructions EVENTS");
        return ExitCode::FAILURE;
    };
    match run(events) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(events: u64) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(async {
        let builder = Grid::builder(folder.path()).partitions(1).threads(1);
        let builder = builder.durability(Durability::Os).module::<CountModule>();
        let grid = builder.start().await?;
        let client = grid.client();
        for first in (0..events).step_by(BATCH as usize) {
            let hit = |n: u64| Hit { key: n.wrapping_mul(7919) % KEYS, note: "".into() };
            let hits = (first..(first + BATCH).min(events)).map(hit);
            client.append_many(HITS, hits).await.map_err(|error| error.to_string())?;
        }
        grid.halt().await;
        Ok(())
    })
}
