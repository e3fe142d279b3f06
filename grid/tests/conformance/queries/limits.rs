//! What a query may take, and that nobody else is held up by one that takes more.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gridmill::client::{AskErrorKind, AskLimits};
use gridmill::model::aggregate::{Collect, Count};
use gridmill::prelude::*;

use super::Result;

const NUMBERS: Depot<(u64, u64)> = Depot::hash_by("limits/numbers", |number| number.0.into());
const BY_KEY: PState<Map<u64, u64>> = PState::new("limits/by-key");

const WAITS: Query<(), u64> = Query::new("limits/waits");
const ENDLESS: Query<u64, u64> = Query::new("limits/endless");
const DEEP: Query<u32, u32> = Query::new("limits/deep");
const WIDE: Query<u64, u64> = Query::new("limits/wide");
const SPINS: Query<(), u64> = Query::new("limits/spins");
const SELECTS: Query<(), u64> = Query::new("limits/selects");
const COUNTS: Query<(), u64> = Query::new("limits/counts");
const COLLECTS: Query<(), u64> = Query::new("limits/collects");
const LISTS: Query<(), u64> = Query::new("limits/lists");
const READS_ON: Query<(), u64> = Query::new("limits/reads-on");
const READS: Part<(), u64> = Part::new("limits/reads");
const COMPUTES: Part<(), u64> = Part::new("limits/computes");

struct Limits;

impl Module for Limits {
    const NAME: &'static str = "limits";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("keep", BY_KEY).source(NUMBERS).each(
            |(key, value): (u64, u64), by_key: &mut Map<u64, u64>| {
                by_key.insert(key, value);
            },
        );
        module
            .query(WAITS, |_: Ask, (): ()| pending())
            .query(ENDLESS, |ask: Ask, n: u64| async move { ask.query(ENDLESS, n + 1).await })
            .query(DEEP, |ask: Ask, n: u32| async move {
                if n == 0 { Ok(0) } else { Ok(ask.query(DEEP, n - 1).await? + 1) }
            })
            .query(WIDE, |ask: Ask, n: u64| async move {
                for _ in 0..n {
                    ask.query(DEEP, 0).await?;
                }
                Ok(n)
            })
            .query(SPINS, |ask: Ask, (): ()| async move { ask.part(COMPUTES).at(1_u64, ()).await })
            .query(READS_ON, |ask: Ask, (): ()| async move { ask.part(READS).at(1_u64, ()).await })
            .query(SELECTS, |ask: Ask, (): ()| async move {
                loop {
                    ask.select_one(BY_KEY.key(1_u64)).await?;
                }
            })
            .query(COUNTS, |ask: Ask, (): ()| async move {
                ask.all(BY_KEY.map_vals()).fold(Count::new()).await
            })
            .query(COLLECTS, |ask: Ask, (): ()| async move {
                Ok(ask.all(BY_KEY.map_vals()).fold(Collect::new()).await?.len() as u64)
            })
            .query(LISTS, |ask: Ask, (): ()| async move {
                Ok(ask.all(BY_KEY.map_vals()).list().await?.len() as u64)
            })
            .part(READS, BY_KEY.read(), |by_key: &Map<u64, u64>, (): (), _: &Span| {
                // It asks nobody whether to go on.
                loop {
                    by_key.get(1_u64);
                }
            })
            .part(COMPUTES, (), |(): (), (): (), span: &Span| {
                loop {
                    span.check()?;
                    std::hint::spin_loop();
                }
            });
    }
}

async fn limits(keys: u64) -> Result<(Grid, Client)> {
    let builder = Grid::in_memory().partitions(2).query_threads(1).check_handlers(false);
    let grid = builder.module::<Limits>().start().await?;
    let client = grid.client();
    client.append_many(NUMBERS, (0..keys).map(|key| (key, key))).await?;
    Ok((grid, client))
}

const SHORT: Duration = Duration::from_millis(40);

fn is_timed_out(error: &AskError) -> bool {
    matches!(error.kind(), AskErrorKind::TimedOut { after } if *after == SHORT)
}

fn limit_of(error: &AskError) -> Option<&'static str> {
    match error.kind() {
        AskErrorKind::Limit { what, .. } => Some(what),
        _ => None,
    }
}

#[tokio::test]
async fn r163_a_query_that_never_ends_times_out() -> Result {
    let (_grid, client) = limits(10).await?;
    for query in [WAITS, SPINS, READS_ON, SELECTS] {
        let asked = client.query(query, ()).timeout(SHORT).await;
        assert!(asked.as_ref().is_err_and(is_timed_out), "{query:?}: {asked:?}");
    }
    // Each of them left the one thread to others.
    assert_eq!(client.query(COUNTS, ()).await?, 10);
    Ok(())
}

#[tokio::test]
async fn r165_a_recursion_without_end_ends() -> Result {
    let (_grid, client) = limits(0).await?;
    let error = client.query(ENDLESS, 0).await.expect_err("it has no end");
    assert_eq!(limit_of(&error), Some("queries in each other"));
    assert_eq!(error.queries().collect::<Vec<_>>(), ["limits/endless"]);
    assert_eq!(client.query(DEEP, 64).await?, 64);
    assert!(client.query(DEEP, 65).await.is_err());
    let deeper = AskLimits { depth: 200, ..AskLimits::DEFAULT };
    assert_eq!(client.query(DEEP, 150).limits(deeper).await?, 150);
    Ok(())
}

#[tokio::test]
async fn r163_a_query_within_its_limits_answers_and_beyond_them_does_not() -> Result {
    const KEYS: u64 = 20_000;
    let (_grid, client) = limits(KEYS).await?;
    let with = AskLimits::DEFAULT;
    let places = AskLimits { places: 10_000, ..with };
    let bytes = AskLimits { bytes: 10_000, ..with };
    let parts = AskLimits { parts: 10, ..with };
    assert_eq!(client.query(COUNTS, ()).await?, KEYS);
    assert_eq!(client.query(COUNTS, ()).limits(bytes).await?, KEYS, "it keeps a number");
    let error = client.query(COUNTS, ()).limits(places).await.expect_err("too many places");
    assert_eq!(limit_of(&error), Some("places"), "{error}");
    for query in [COLLECTS, LISTS] {
        assert_eq!(client.query(query, ()).await?, KEYS);
        let error = client.query(query, ()).limits(bytes).await.expect_err("too many bytes");
        assert!(error.to_string().contains("10000 bytes"), "{error}");
    }
    assert_eq!(client.query(WIDE, 10).limits(parts).await?, 10);
    let error = client.query(WIDE, 11).limits(parts).await.expect_err("too many queries");
    assert_eq!(limit_of(&error), Some("parts and queries"), "{error}");
    Ok(())
}

#[tokio::test]
async fn r163_what_nobody_waits_for_ends() -> Result {
    let (grid, client) = limits(10).await?;
    for query in [SPINS, READS_ON] {
        let mut asked = Box::pin(client.query(query, ()));
        assert!(futures::poll!(&mut asked).is_pending());
        wait_until(|| grid.stats().queries.running == 1).await;
        drop(asked);
        // The thread is free again long before the query would have timed out.
        assert_eq!(client.query(COUNTS, ()).timeout(Duration::from_secs(5)).await?, 10);
    }
    wait_until(|| grid.stats().total(|partition| partition.held_views) == 0).await;
    Ok(())
}

/// Lets other tasks run until something is so.
async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never so");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn r074_a_long_select_leaves_the_callers_thread_alone() -> Result {
    // On one thread, a task that counts goes on while 300,000 entries are walked.
    const KEYS: u64 = 300_000;
    let (_grid, client) = limits(KEYS).await?;
    let turns = Arc::new(AtomicU64::new(0));
    let counting = {
        let turns = Arc::clone(&turns);
        tokio::spawn(async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        })
    };
    let client = client.with_limit(usize::MAX);
    tokio::task::yield_now().await;
    let before = turns.load(Ordering::Relaxed);
    let found = client.select_all(BY_KEY.map_vals()).await?;
    assert_eq!(found.len() as u64, KEYS);
    assert!(turns.load(Ordering::Relaxed) > before + 10, "the task had its turns");
    let before = turns.load(Ordering::Relaxed);
    let some = client.select_on(0, BY_KEY.map_vals().filter_lt(KEYS)).await?;
    assert_eq!(found.get(..some.len()), Some(&*some), "walked there or here, it is the same");
    assert!(turns.load(Ordering::Relaxed) > before + 10);
    counting.abort();
    Ok(())
}

#[tokio::test]
async fn r074_a_limit_on_results_holds_over_all_partitions() -> Result {
    const KEYS: u64 = 30_000;
    let (_grid, client) = limits(KEYS).await?;
    let exact = client.with_limit(KEYS as usize);
    assert_eq!(exact.select_all(BY_KEY.map_vals()).await?.len() as u64, KEYS);
    let less = client.with_limit(KEYS as usize - 1);
    let error = less.select_all(BY_KEY.map_vals()).await.expect_err("one too many");
    assert!(error.to_string().contains("at most 29999 results"), "{error}");
    Ok(())
}
