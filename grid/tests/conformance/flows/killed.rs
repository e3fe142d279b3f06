//! Processes that end while work goes over partitions: killed, or by a handler.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering;

use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use super::breaks::{ABORT_AT, JOBS, Relay, came, job};
use crate::bad_input::{refusal, says};
use crate::crash::{Random, of_parent, run_and_kill, say, spawn};

type Test = Result<(), Box<dyn std::error::Error>>;

const LIVES: u32 = 25;
/// Jobs of one life.
const JOBS_MAX: u64 = 1_000_000;

/// So small that flushes happen all the time.
fn on(folder: &Path) -> GridBuilder {
    let builder = Grid::builder(folder).partitions(4).threads(2);
    builder.overlay_bytes_max(4 << 10).tail_bytes_max(16 << 10).module::<Relay<2>>()
}

/// What the killed process does; a test only because it has to be in this program.
#[tokio::test]
async fn child_that_is_killed() -> Test {
    let Some((folder, life)) = of_parent() else { return Ok(()) };
    say("opening");
    let grid = on(&folder).start().await?;
    say("open");
    let first = u64::from(life) * JOBS_MAX;
    let client = grid.client();
    for number in (first..first + JOBS_MAX).step_by(8) {
        // What is acknowledged is under way for some time yet.
        for number in number..number + 8 {
            client.append_with(JOBS, job(number), Ack::Appended).await?;
            say(&format!("ack {number}"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r218_what_is_acknowledged_arrives_once_whatever_kills_the_process() -> Test {
    let folder = tempfile::tempdir()?;
    let (mut acked, mut random) = (HashSet::new(), Random(218));
    for life in 0..LIVES {
        let lines = if random.below(5) == 0 { random.below(2) } else { 2 + random.below(200) };
        let path = folder.path().to_path_buf();
        let child = "flows::killed::child_that_is_killed";
        let run = tokio::task::spawn_blocking(move || run_and_kill(child, &path, life, lines));
        acked.extend(run.await?);
    }
    let grid = on(folder.path()).start().await?;
    grid.processed().await;
    let came = came(&grid.client()).await?;
    assert!(acked.len() > 500, "{} acknowledged", acked.len());
    assert!(acked.iter().all(|number| came.contains_key(number)), "all of them arrive");
    for (number, copies) in &came {
        assert_eq!(copies, &[0, 1], "job {number} arrives whole, once, and in order");
    }
    assert!(grid.verify().await.problems.is_empty());
    Ok(())
}

const POISON: u64 = 40;

/// Its handler ends the process, as one does that overflows its stack.
#[tokio::test]
async fn child_that_aborts() -> Test {
    let Some((folder, _)) = of_parent() else { return Ok(()) };
    ABORT_AT.store(POISON, Ordering::SeqCst);
    let grid = on(&folder).start().await?;
    for number in 0..=POISON {
        grid.client().append_with(JOBS, job(number), Ack::Appended).await?;
    }
    grid.processed().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn aborting_hop_is_named() -> Test {
    let folder = tempfile::tempdir()?;
    // The first meets the record, three more meet it in their replay.
    for life in 0..4 {
        let path = folder.path().to_path_buf();
        let run = move || spawn("flows::killed::child_that_aborts", &path, life).wait();
        assert!(!tokio::task::spawn_blocking(run).await??.success(), "life {life}");
    }
    let refused = refusal(on(folder.path())).await;
    let StartError::Aborting { module, partition, position } = &refused else {
        panic!("{refused}")
    };
    let target = RouteKey::from(job(POISON).to).partition(4);
    assert_eq!((module.as_str(), *partition), ("relay", target), "where it arrives");
    says(&refused, &["quarantine_at"]);
    let grid = on(folder.path()).quarantine_at(module, *partition, *position).start().await?;
    grid.processed().await;
    let held = grid.quarantine();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].topology.as_str(), held[0].position), ("relay", *position));
    let came = came(&grid.client()).await?;
    // Its other copy was not what ended the process; it had no chance until now.
    assert_eq!(came.get(&POISON), Some(&vec![1]));
    assert!((0..POISON).all(|number| came.get(&number) == Some(&vec![0, 1])));
    Ok(())
}
