//! What becomes of records that handlers cannot handle: policies of sources and stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridmill::persistence::{SimStorage, Storage};
use gridmill::prelude::*;
use gridmill::{GridBuilder, OnFailure, StartError};

use crate::lives::{stop, wait_until};
use crate::rejections::rejection;

type Test = Result<(), Box<dyn std::error::Error>>;

const SECOND: i64 = 1_000_000;

const TASKS: Depot<u64> = Depot::hash_by("policies/tasks", |key| key.into());
/// Of which those at which the handler fails are skipped.
const SKIPPED: Depot<u64> = Depot::hash_by("policies/skipped", |key| key.into());
const SENT: Depot<u64> = Depot::hash_by("policies/sent", |key| key.into());
const DONE: PState<Map<u64, u32>> = PState::new("policies/done");
const STAGE: Stage<u64> = Stage::hash_by("stage", |key| key.into());

/// Keys that the handler can handle.
static MENDED: [AtomicBool; 100] = [const { AtomicBool::new(false) }; 100];

fn mend(key: u64) {
    MENDED[key as usize].store(true, Ordering::SeqCst);
}

fn work(key: u64, done: &mut Map<u64, u32>) {
    *done.entry(key).or_default() += 1;
    assert!(MENDED[key as usize].load(Ordering::SeqCst), "key {key} is too hard");
}

struct Policies;

impl Module for Policies {
    const NAME: &'static str = "policies";

    fn define(module: &mut Setup) {
        let again = OnFailure::set_aside().attempts(2).retry_after(Duration::from_secs(1), 3);
        module.depot(TASKS).depot(SKIPPED).depot(SENT);
        module
            .stream("work", DONE)
            .source(TASKS)
            .on_failure(again)
            .each(work)
            .source(SKIPPED)
            .on_failure(OnFailure::skip().attempts(1))
            .each(work)
            .source(SENT)
            .over(())
            .each_with(|key: u64, (): (), flow: &mut Context<'_>| flow.send(STAGE, key + 1))
            .stage(STAGE)
            .on_failure(again)
            .each(work);
    }
}

fn builder(clock: &Clock) -> GridBuilder {
    let builder = Grid::in_memory().partitions(2).threads(1).check_handlers(false);
    builder.clock(clock.clone()).module::<Policies>()
}

async fn done(client: &Client, key: u64) -> Result<u32, Box<dyn std::error::Error>> {
    Ok(client.select_one(DONE.key(key)).await?.unwrap_or(0))
}

/// How many stand in quarantine, and how often the first of them was tried.
fn held(grid: &Grid) -> (usize, u32) {
    let held = grid.quarantine();
    (held.len(), held.first().map_or(0, |held| held.attempts))
}

#[tokio::test]
async fn r031_a_record_that_was_set_aside_is_tried_again_later_and_later() -> Test {
    let clock = Clock::manual(0);
    let grid = builder(&clock).start().await?;
    let client = grid.client();
    let failed = client.append(TASKS, 1).await.unwrap_err();
    let rejection = rejection(failed.kind);
    assert!(rejection.quarantined, "the appender is told at the first failure: {rejection}");
    // Twice at once; again after 1, and after 2 seconds more.
    for (time, tried) in [(SECOND - 1, 2), (SECOND, 4), (3 * SECOND - 1, 4), (3 * SECOND, 6)] {
        wait_until(&clock, &grid, time).await;
        assert_eq!(held(&grid), (1, tried), "at {time}");
        assert_eq!(done(&client, 1).await?, 0);
    }
    mend(1);
    wait_until(&clock, &grid, 7 * SECOND - 1).await;
    assert_eq!(held(&grid), (1, 6));
    wait_until(&clock, &grid, 7 * SECOND).await;
    assert_eq!((held(&grid), done(&client, 1).await?), ((0, 0), 1));
    Ok(())
}

#[tokio::test]
async fn after_so_many_times_a_record_waits_for_somebody() -> Test {
    let clock = Clock::manual(0);
    let grid = builder(&clock).start().await?;
    let client = grid.client();
    client.append(TASKS, 3).await.unwrap_err();
    for second in 1..100 {
        wait_until(&clock, &grid, second * SECOND).await;
    }
    assert_eq!(held(&grid), (1, 8), "twice at once, and three times twice");
    mend(3);
    grid.retry_quarantined(&grid.quarantine()[0]).await?;
    assert_eq!((held(&grid), done(&client, 3).await?), ((0, 0), 1));
    Ok(())
}

#[tokio::test]
async fn retries_go_on_after_restarts() -> Test {
    for (key, cleanly) in [(4, true), (5, false)] {
        let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
        let clock = Clock::manual(0);
        let start = || builder(&clock).storage(Arc::clone(&disk)).start();
        let grid = start().await?;
        grid.client().append(TASKS, key).await.unwrap_err();
        stop(grid, cleanly).await?;
        clock.set(SECOND);
        let grid = start().await?;
        grid.processed().await;
        assert_eq!(held(&grid), (1, 4), "it was due at the start");
        stop(grid, cleanly).await?;
        let grid = start().await?;
        grid.processed().await;
        assert_eq!(held(&grid), (1, 4), "the next time is not yet");
        mend(key);
        wait_until(&clock, &grid, 3 * SECOND).await;
        assert_eq!((held(&grid), done(&grid.client(), key).await?), ((0, 0), 1));
        stop(grid, cleanly).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_skipped_is_handled_never_and_listed_nowhere() -> Test {
    for (key, cleanly) in [(6, true), (7, false)] {
        let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
        let clock = Clock::manual(0);
        let start = || builder(&clock).storage(Arc::clone(&disk)).start();
        let grid = start().await?;
        let client = grid.client();
        let failed = client.append(SKIPPED, key).await.unwrap_err();
        let rejection = rejection(failed.kind);
        let expected =
            format!("the handler failed, and the record is skipped: key {key} is too hard");
        assert_eq!((&*rejection.message, rejection.quarantined), (&*expected, false));
        // By now the handler would not fail: a replay has to skip it all the same.
        mend(key);
        client.append(SKIPPED, key).await?;
        assert_eq!((held(&grid), done(&client, key).await?), ((0, 0), 1));
        drop(client);
        stop(grid, cleanly).await?;
        let grid = start().await?;
        assert_eq!((held(&grid), done(&grid.client(), key).await?), ((0, 0), 1));
        stop(grid, cleanly).await?;
    }
    Ok(())
}

// FLOWS 3, rows 14 and 43: a record that was sent is set aside, listed, handled again, and forgotten as others are.
#[tokio::test]
async fn retry_of_a_hop_source() -> Test {
    let clock = Clock::manual(0);
    let grid = builder(&clock).start().await?;
    let client = grid.client();
    let failed = client.append(SENT, 10).await.unwrap_err();
    let rejection = rejection(failed.kind);
    assert_eq!((rejection.stage.as_deref(), rejection.quarantined), (Some("stage"), true));
    let first = grid.quarantine().remove(0);
    assert_eq!((&*first.depot, first.attempts), ("work#stage", 2));
    assert_eq!(first.partition, RouteKey::from(11_u64).partition(2));
    // By itself, later; others have gone by meanwhile.
    mend(11);
    client.append(SENT, 10).await?;
    wait_until(&clock, &grid, SECOND).await;
    assert_eq!((held(&grid), done(&client, 11).await?), ((0, 0), 2));
    // By somebody, at once.
    client.append(SENT, 12).await.unwrap_err();
    mend(13);
    client.append(SENT, 12).await?;
    grid.retry_quarantined(&grid.quarantine()[0]).await?;
    assert_eq!((held(&grid), done(&client, 13).await?), ((0, 0), 2));
    // Nobody wants it.
    client.append(SENT, 14).await.unwrap_err();
    grid.discard_quarantined(&grid.quarantine()[0]).await?;
    mend(15);
    wait_until(&clock, &grid, 100 * SECOND).await;
    assert_eq!((held(&grid), done(&client, 15).await?), ((0, 0), 0));
    grid.shutdown().await?;
    Ok(())
}

/// Policies that say nothing.
mod wrong {
    use super::*;

    const ONE: Depot<u64> = Depot::random("wrong/one");
    const TWO: Depot<u64> = Depot::random("wrong/two");
    const THREE: Depot<u64> = Depot::random("wrong/three");

    pub(super) struct Wrong;

    impl Module for Wrong {
        const NAME: &'static str = "wrong";

        fn define(module: &mut Setup) {
            let nothing = |_: u64, (): ()| {};
            module.depot(ONE).depot(TWO).depot(THREE);
            module
                .stream("t", ())
                .source(ONE)
                .on_failure(OnFailure::set_aside().attempts(0))
                .each(nothing)
                .source(TWO)
                .on_failure(OnFailure::skip().retry_after(Duration::from_secs(1), 1))
                .each(nothing)
                .source(THREE)
                .on_failure(OnFailure::set_aside().retry_after(Duration::ZERO, 1))
                .each(nothing);
        }
    }
}

#[tokio::test]
async fn policies_that_contradict_themselves_are_refused() -> Test {
    let refused = Grid::in_memory().module::<wrong::Wrong>().start().await.unwrap_err();
    let StartError::Declaration { problems, .. } = &refused else { panic!("{refused}") };
    assert_eq!(
        problems[..],
        [
            "topology `t` reads `wrong/one` with no attempt at all; give `attempts` at least 1",
            "topology `t` reads `wrong/two` with `skip` and `retry_after`; what is skipped is not tried again, drop one \
             of the two",
            "topology `t` reads `wrong/three` with `retry_after` of nothing; give it a time and a number of times",
        ]
    );
    Ok(())
}
