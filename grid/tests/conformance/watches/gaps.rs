//! Watches that come and go beside a writer at full speed: none misses what it should see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gridmill::client::Client;
use gridmill::prelude::*;

use super::acts::{Test, next};

const KEYS: u64 = 40;
const WATCHERS: u64 = 1_000;

const COUNTS: Depot<(u64, u64)> = Depot::hash_by("gaps/counts", |(key, _)| (*key).into());
const LAST: PState<Map<u64, u64>> = PState::new("gaps/last");
const TIMES: PState<Map<u64, u64>> = PState::new("gaps/times");

struct Gaps;

impl Module for Gaps {
    const NAME: &'static str = "gaps";

    fn define(module: &mut Setup) {
        module.depot(COUNTS);
        module.stream("last", (LAST, TIMES)).source(COUNTS).each(
            |(key, count): (u64, u64), (last, times): (&mut Map<u64, u64>, &mut Map<u64, u64>)| {
                last.insert(key, count);
                *times.entry(key).or_default() += 1;
            },
        );
    }
}

/// What the writer has had answered, by key.
struct Answered(Vec<AtomicU64>);

/// Appends as fast as it goes; each key counts up.
async fn write(client: Client, answered: Arc<Answered>, rounds: u64) -> Test {
    for count in 1..=rounds {
        client.append_many(COUNTS, (0..KEYS).map(|key| (key, count))).await?;
        answered.0.iter().for_each(|it| it.store(count, Ordering::SeqCst));
    }
    Ok(())
}

/// Watches a key for some changes, again and again, and after the end until it has the last count.
async fn come_and_go(
    client: Client,
    number: u64,
    answered: Arc<Answered>,
    over: Arc<AtomicBool>,
    last: u64,
) -> Test<u64> {
    let mut watches = 0;
    loop {
        let key = (number + 7 * watches) % KEYS;
        let is_over = over.load(Ordering::SeqCst);
        let known = answered.0[key as usize].load(Ordering::SeqCst);
        let mut watch = client.watch(LAST.key(key)).await?;
        watches += 1;
        let mut seen = next(&mut watch).await.new.unwrap_or(0);
        assert!(seen >= known, "what was answered before is in the first value");
        for _ in 0..number % 5 {
            if seen == last {
                break;
            }
            let now = next(&mut watch).await.new.expect("counts do not go");
            assert!(now > seen, "{now} comes after {seen}");
            seen = now;
        }
        if is_over {
            while seen < last {
                seen = next(&mut watch).await.new.expect("counts do not go");
            }
            return Ok(watches);
        }
    }
}

async fn beside_a_writer(grid: Grid, rounds: u64, watchers: u64) -> Test<Grid> {
    let client = grid.client();
    let answered = Arc::new(Answered((0..KEYS).map(|_| AtomicU64::new(0)).collect()));
    let over = Arc::new(AtomicBool::new(false));
    let mut kept = Vec::new();
    for key in 0..KEYS {
        kept.push(client.watch(LAST.key(key)).await?);
    }
    let tasks: Vec<_> = (0..watchers)
        .map(|number| {
            let (client, answered, over) =
                (client.clone(), Arc::clone(&answered), Arc::clone(&over));
            tokio::spawn(async move {
                let came = come_and_go(client, number, answered, over, rounds).await;
                came.map_err(|error| error.to_string())
            })
        })
        .collect();
    write(client.clone(), answered, rounds).await?;
    over.store(true, Ordering::SeqCst);
    for task in tasks {
        assert!(task.await?? > 0);
    }
    for watch in &mut kept {
        while watch.value() != Some(&rounds) {
            next(watch).await;
        }
    }
    drop(kept);
    let stats = grid.stats();
    assert_eq!(stats.total(|partition| partition.watches + partition.watched_paths), 0);
    Ok(grid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r078_a_thousand_watches_come_and_go_beside_a_writer() -> Test {
    let builder = Grid::in_memory().partitions(2).check_handlers(false).module::<Gaps>();
    beside_a_writer(builder.start().await?, 3_000, WATCHERS).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r078_the_same_while_all_is_flushed_and_merged() -> Test {
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(2).durability(Durability::Os);
    let builder = builder.overlay_bytes_max(8 << 10).cache_bytes_max(8 << 10);
    let grid = beside_a_writer(builder.module::<Gaps>().start().await?, 1_000, 100).await?;
    let stats = grid.stats();
    assert!(stats.total(|partition| partition.flushes) > 4, "{stats:?}");
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_keeps_nothing() -> Test {
    let builder = Grid::in_memory().partitions(1).check_handlers(false).module::<Gaps>();
    let grid = builder.start().await?;
    let client = grid.client();
    let mut asleep = Vec::new();
    for _ in 0..100 {
        asleep.push(client.watch(LAST.key(1)).await?);
    }
    let mut awake = client.watch(LAST.key(1)).await?;
    next(&mut awake).await;
    for count in 1..=2_000 {
        client.append(COUNTS, (1, count)).await?;
    }
    while awake.value() != Some(&2_000) {
        next(&mut awake).await;
    }
    // Each has its first value, 256 changes, or the value then: see the test of inboxes.
    for watch in &mut asleep {
        let mut items = 0;
        while watch.value() != Some(&2_000) {
            next(watch).await;
            items += 1;
        }
        assert!(items <= 257, "{items} items were kept");
    }
    Ok(())
}
