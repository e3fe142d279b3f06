//! What a query sees of partitions that change meanwhile, and for how long that is kept for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridmill::client::{AskErrorKind, ReadError};
use gridmill::model::aggregate::Sum;
use gridmill::prelude::*;

use super::Result;

/// From one account to another of the same partition's; the sum of all stays 0.
const MOVES: Depot<(i64, i64)> = Depot::hash_by("views/moves", |_| 1_u64.into());
const FILLS: Depot<(u64, Bytes)> = Depot::hash_by("views/fills", |fill| fill.0.into());
const ACCOUNTS: PState<Map<i64, i64>> = PState::new("views/accounts").local();
const COUNT: PState<u64> = PState::new("views/count").local();
const BLOBS: PState<Map<u64, Bytes>> = PState::new("views/blobs");

const SUMS: Query<(), List<i64>> = Query::new("views/sums");
const SUM: Part<(), i64> = Part::new("views/sum");
const COUNTED: Part<(), (u64, u64)> = Part::new("views/counted");
const FITS: Query<(), bool> = Query::new("views/fits");
const HOLDS: Query<u64, u64> = Query::new("views/holds");
const FRESH: Query<u64, u64> = Query::new("views/fresh");

struct Views;

impl Module for Views {
    const NAME: &'static str = "views";

    fn define(module: &mut Setup) {
        module.depot(MOVES).depot(FILLS);
        module.stream("move", (ACCOUNTS, COUNT)).source(MOVES).each(
            |(from, to): (i64, i64), (accounts, count): (&mut Map<i64, i64>, &mut u64)| {
                *accounts.entry(from).or_default() -= 1;
                *accounts.entry(to).or_default() += 1;
                *count += 1;
            },
        );
        module.stream("fill", BLOBS).source(FILLS).each(
            |(key, blob): (u64, Bytes), blobs: &mut Map<u64, Bytes>| {
                blobs.insert(key, blob);
            },
        );
        module
            .query(SUMS, |ask: Ask, (): ()| async move {
                // Twice, with whatever comes between: the same.
                let once = ask.part(SUM).everywhere(()).list().await?;
                let again = ask.all(ACCOUNTS.map_vals()).fold(Sum::new()).await?;
                Ok(once.into_iter().chain([again]).collect())
            })
            .part(SUM, ACCOUNTS.read(), |accounts: &Map<i64, i64>, (): (), _: &Span| {
                Ok(accounts.values().map(|value| *value).sum())
            })
            .query(FITS, |ask: Ask, (): ()| async move {
                let (count, moved) = ask.part(COUNTED).at(1_u64, ()).await?;
                let again = ask.part(COUNTED).at(1_u64, ()).await?;
                Ok(count == moved && again == (count, moved))
            })
            .part(
                COUNTED,
                (COUNT.read(), ACCOUNTS.read()),
                |(count, accounts): (&u64, &Map<i64, i64>), (): (), _: &Span| {
                    let taken = accounts.values().filter(|value| **value < 0).map(|value| -*value);
                    Ok((*count, taken.sum::<i64>() as u64))
                },
            )
            .query(HOLDS, |ask: Ask, key: u64| async move {
                loop {
                    ask.select_one(BLOBS.key(key)).await?;
                }
            })
            .query(FRESH, |ask: Ask, key: u64| async move {
                for _ in 0..1_000 {
                    ask.fresh().select_one(BLOBS.key(key)).await?;
                }
                Ok(key)
            });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r071_a_query_sees_each_partition_as_of_one_moment() -> Result {
    let builder = Grid::in_memory().partitions(2).check_handlers(false);
    let grid = builder.module::<Views>().start().await?;
    let (client, stop) = (grid.client(), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            // From accounts below 1,000 to those from there on.
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return Ok::<i64, Box<dyn std::error::Error + Send + Sync>>(n);
                }
                client.append(MOVES, (n % 997, 1_000 + n % 991)).await?;
            }
            Ok(0)
        })
    };
    for _ in 0..200 {
        let sums = client.query(SUMS, ()).await?;
        assert!(sums.iter().all(|sum| *sum == 0), "{sums:?}");
        assert!(client.query(FITS, ()).await?);
    }
    stop.store(true, Ordering::Relaxed);
    let moved = writer.await?.map_err(|error| error.to_string())?;
    assert!(moved > 0, "writers went on");
    assert!(client.query(FITS, ()).await?);
    Ok(())
}

#[tokio::test]
async fn r071_a_query_sees_what_was_appended_before_it() -> Result {
    let grid = Grid::in_memory().partitions(4).module::<Views>().start().await?;
    let client = grid.client();
    for n in 0..100_u64 {
        client.append(MOVES, (1, 2)).await?;
        let count = client.select_in(1_u64, COUNT).await?;
        assert_eq!(count, [n + 1]);
        assert!(client.query(FITS, ()).await?);
    }
    Ok(())
}

/// A grid whose changes have little room.
async fn small() -> Result<(Grid, Client)> {
    let builder = Grid::in_memory().partitions(1).check_handlers(false);
    let builder = builder.overlay_bytes_max(4 << 20).durability(Durability::Os);
    let grid = builder.module::<Views>().start().await?;
    let client = grid.client();
    Ok((grid, client))
}

/// Writes so many MiB.
async fn fill(client: &Client, mebibytes: u64) -> Result {
    for n in 0..mebibytes {
        let fills = (0..16).map(|key| (key, Bytes::from(vec![n as u8; 64 << 10])));
        client.append_many(FILLS, fills).await?;
    }
    Ok(())
}

#[tokio::test]
async fn r071_a_view_that_keeps_too_much_is_let_go_of() -> Result {
    let (grid, client) = small().await?;
    fill(&client, 1).await?;
    let view = client.view_of(1_u64);
    let before = view.select_one(BLOBS.key(1_u64)).await?.expect("it is there");
    let stats = grid.stats();
    assert_eq!(stats.total(|partition| partition.held_views), 1);
    assert!(stats.modules[0].partitions[0].oldest_view.is_some());
    client.append_many(FILLS, (0..4).map(|key| (key, Bytes::from(vec![7; 64 << 10])))).await?;
    let kept = grid.stats().total(|partition| partition.pinned_bytes);
    assert!((256 << 10..1 << 20).contains(&kept), "{kept} bytes");
    // However long it takes until somebody looks, writers go on.
    let error = loop {
        fill(&client, 4).await?;
        match view.select_one(BLOBS.key(1_u64)).await {
            Ok(now) => assert_eq!(now.as_ref(), Some(&before), "it is of one moment"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::LetGo { partition: 0, .. }), "{error}");
    fill(&client, 4).await?;
    assert_eq!(grid.stats().total(|partition| partition.pinned_bytes), 0, "it is given back");
    drop(view);
    assert_eq!(client.view_of(1_u64).select(BLOBS.key(1_u64)).await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r071_a_query_that_keeps_too_much_is_told() -> Result {
    let (grid, client) = small().await?;
    fill(&client, 1).await?;
    let holding = tokio::spawn({
        let client = client.clone();
        async move { client.query(HOLDS, 1).timeout(Duration::from_secs(60)).await }
    });
    while !holding.is_finished() {
        fill(&client, 1).await?;
    }
    let error = holding.await?.expect_err("it never ends");
    let kind = error.kind();
    assert!(matches!(kind, AskErrorKind::Read(ReadError::LetGo { .. })), "{error}");
    assert_eq!((error.query(), error.partition()), ("views/holds", Some(0)));
    // One that looks anew each time keeps nothing.
    assert_eq!(client.query(FRESH, 1).await?, 1);
    grid.shutdown().await?;
    Ok(())
}
