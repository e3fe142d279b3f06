//! The process that runs the bank and is killed: it makes transfers and says what was answered.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gridmill::prelude::*;
use gridmill_examples::Failed;
use tokio::task::JoinSet;

use crate::module::TRANSFERS;
use crate::transfers::{Answer, numbers, transfer};

/// How many make transfers at a time, each one after the other.
const TELLERS: usize = 64;

/// Makes transfers with the numbers of `life` until the process is killed.
pub(crate) async fn run(data: &Path, life: u64) -> Result<(), Failed> {
    let grid = crate::open(data).await?;
    let next = Arc::new(AtomicU64::new(numbers(life).start));
    let mut tellers = JoinSet::new();
    for _ in 0..TELLERS {
        tellers.spawn(work(grid.client(), Arc::clone(&next)));
    }
    while let Some(ended) = tellers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn work(client: Client, next: Arc<AtomicU64>) -> Result<(), Failed> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::of(client.append(TRANSFERS, transfer(number)).await)?;
        // Fails once nobody listens any more: then it is time to go.
        crate::say(&format!("{number} {}", answer.name()))?;
    }
}
