//! The rows of watches, in a grid and in memory.

use std::collections::VecDeque;

use futures::StreamExt;
use gridmill::Local;
use gridmill::client::Client;
use gridmill::model::diff::EditKind;
use gridmill::prelude::*;

use super::acts::{ACTS, Act, Acts, LISTS, Test, is_quiet, next, push};

async fn in_memory() -> Test<(Grid, Client)> {
    let grid = Grid::in_memory().partitions(3).module::<Acts>().start().await?;
    let client = grid.client();
    Ok((grid, client))
}

#[tokio::test]
async fn r076_a_watched_value_follows_writes_without_a_query() -> Test {
    let (_grid, client) = in_memory().await?;
    client.append(ACTS, push(7, 1)).await?;
    let mut list = client.watch(LISTS.key(7)).await?;
    assert_eq!(list.value(), None, "nothing was taken out yet");
    assert_eq!(next(&mut list).await.new, Some([1].into()));
    let receipt = client.append(ACTS, push(7, 2)).await?;
    let change = next(&mut list).await;
    assert!(change.covers(&receipt) && change.at > receipt.position);
    assert_eq!(list.value(), Some(&[1, 2].into()));
    assert_eq!((list.at(), list.partition()), (change.at, receipt.partition));
    Ok(())
}

#[tokio::test]
async fn r077_one_key_more_in_a_large_map_is_a_small_diff() -> Test {
    const NAMES: Depot<(u64, u64)> = Depot::hash_by("large/names", |_| 1_u64.into());
    const MAPS: PState<Map<u64, Map<u64, u64>>> = PState::new("large/maps");
    struct Large;
    impl Module for Large {
        const NAME: &'static str = "large";
        fn define(module: &mut Setup) {
            module.depot(NAMES);
            module.stream("maps", MAPS).source(NAMES).each(
                |(from, to): (u64, u64), maps: &mut Map<u64, Map<u64, u64>>| {
                    maps.entry(1).or_default().extend((from..to).map(|n| (n, n)));
                },
            );
        }
    }
    let grid = Grid::in_memory().partitions(2).module::<Large>().start().await?;
    let client = grid.client();
    client.append(NAMES, (0, 100_000)).await?;
    let mut map = client.watch(MAPS.key(1)).await?;
    assert_eq!(next(&mut map).await.new.map(|map| map.len()), Some(100_000));
    client.append(NAMES, (100_000, 100_001)).await?;
    let change = next(&mut map).await;
    let [edit] = change.diff.edits() else { panic!("{:?}", change.diff) };
    let EditKind::KeyAdded { key, value } = edit.kind() else { panic!("{edit:?}") };
    assert_eq!((key.decode::<u64>()?, value.decode::<u64>()?), (100_000, 100_000));
    assert!(change.diff.bytes() <= 64, "{} bytes", change.diff.bytes());
    assert_eq!(change.new.map(|map| map.len()), Some(100_001));
    Ok(())
}

#[tokio::test]
async fn r078_items_chain_and_the_first_has_no_old_value() -> Test {
    let (_grid, client) = in_memory().await?;
    let mut list = client.watch(LISTS.key(3)).await?;
    let first = next(&mut list).await;
    assert!(first.resync && first.old.is_none() && first.new.is_none() && first.diff.is_empty());
    for value in 0..20 {
        client.append(ACTS, push(3, value)).await?;
        // `next` asserts that the diff leads from the old value to the new one.
        let change = next(&mut list).await;
        assert!(!change.resync);
        assert_eq!(change.new.map(|list| list.len() as u64), Some(value + 1));
    }
    client.append(ACTS, Act::Clear { key: 3 }).await?;
    let gone = next(&mut list).await;
    assert_eq!(gone.diff.edits()[0].kind(), EditKind::Removed);
    // What leaves the value as it was brings nothing: the next item is of what comes after it.
    client.append(ACTS, Act::Touch { key: 3 }).await?;
    client.append(ACTS, push(4, 4)).await?;
    client.append(ACTS, push(3, 9)).await?;
    assert_eq!(next(&mut list).await.new, Some([9].into()));
    assert!(is_quiet(&mut list));
    Ok(())
}

#[tokio::test]
async fn r079_who_does_not_keep_up_goes_on_from_the_value_then() -> Test {
    let (grid, client) = in_memory().await?;
    let mut slow = client.watch(LISTS.key(5)).await?;
    let mut quick = client.watch(LISTS.key(5)).await?;
    next(&mut slow).await;
    next(&mut quick).await;
    for value in 0..1_000 {
        client.append(ACTS, push(5, value)).await?;
        next(&mut quick).await;
    }
    // Its changes were let go of; the others had all of them.
    let resync = next(&mut slow).await;
    assert!(resync.resync);
    let mut len = resync.new.map_or(0, |list| list.len());
    while len < 1_000 {
        let change = next(&mut slow).await;
        assert!(!change.resync);
        len = change.new.map_or(0, |list| list.len());
    }
    assert!(is_quiet(&mut slow));
    let stats = grid.stats();
    assert_eq!(stats.total(|partition| partition.watches), 2);
    assert_eq!(stats.total(|partition| partition.watched_paths), 1);
    Ok(())
}

#[tokio::test]
async fn r081_views_and_parts_are_watched() -> Test {
    let (_grid, client) = in_memory().await?;
    for value in 1..=4 {
        client.append(ACTS, push(6, value)).await?;
    }
    let mut len = client.watch(LISTS.key(6).len()).await?;
    let mut sum = client.watch(LISTS.key(6).sum()).await?;
    let mut last = client.watch(LISTS.key(6).last_n(2)).await?;
    let mut some = client.watch(LISTS.key(6).nth(1)).await?;
    let mut range = client.watch_in(6, LISTS.key_range(6..7).len()).await?;
    let mut keys = client.watch_in(6, LISTS.len()).await?;
    let mut both =
        client.watch(LISTS.key(6).filter_selected(|it| it.all().filter_gt(9)).len()).await?;
    assert_eq!(next(&mut len).await.new, Some(4));
    assert_eq!(next(&mut sum).await.new, Some(10));
    assert_eq!(next(&mut last).await.new, Some([3, 4].into()));
    assert_eq!(next(&mut some).await.new, Some(2));
    assert_eq!(next(&mut range).await.new, Some(1));
    assert_eq!(next(&mut keys).await.new, Some(1));
    assert_eq!(next(&mut both).await.new, None);
    client.append(ACTS, push(6, 10)).await?;
    assert_eq!(next(&mut len).await.new, Some(5));
    assert_eq!(next(&mut sum).await.new, Some(20));
    assert_eq!(next(&mut last).await.new, Some([4, 10].into()));
    assert_eq!(next(&mut both).await.new, Some(5));
    client.append(ACTS, Act::Empty { key: 6 }).await?;
    assert_eq!(next(&mut len).await.new, Some(0));
    assert_eq!(next(&mut sum).await.new, Some(0));
    assert_eq!(next(&mut range).await.new, Some(0));
    assert_eq!(next(&mut keys).await.new, Some(0));
    assert_eq!(next(&mut some).await.new, None);
    Ok(())
}

#[tokio::test]
async fn what_nobody_watches_is_not_evaluated_and_one_path_is_evaluated_once() -> Test {
    let (grid, client) = in_memory().await?;
    let evaluations = || grid.stats().total(|partition| partition.evaluations);
    client.append(ACTS, push(1, 1)).await?;
    assert_eq!(evaluations(), 0);
    let mut watches = VecDeque::new();
    for _ in 0..100 {
        let mut watch = client.watch(LISTS.key(1)).await?;
        next(&mut watch).await;
        watches.push_back(watch);
    }
    let before = evaluations();
    for value in 0..50 {
        client.append(ACTS, push(2, value)).await?;
    }
    assert_eq!(evaluations(), before, "another key was written");
    client.append(ACTS, push(1, 2)).await?;
    for watch in &mut watches {
        assert_eq!(next(watch).await.new, Some([1, 2].into()));
    }
    assert_eq!(evaluations(), before + 1, "one evaluation for all");
    // A dropped one is gone at once, and costs nothing any more.
    watches.clear();
    let stats = grid.stats();
    assert_eq!(stats.total(|partition| partition.watches + partition.watched_paths), 0);
    client.append(ACTS, push(1, 3)).await?;
    assert_eq!(evaluations(), before + 1);
    Ok(())
}

#[tokio::test]
async fn a_watch_is_a_stream() -> Test {
    let (_grid, client) = in_memory().await?;
    let lens = client.watch(LISTS.key(8).len()).await?;
    let lens = lens.filter_map(|change| async move { change.ok()?.new }).take(4);
    let mut lens = std::pin::pin!(lens);
    for expected in 0..4 {
        assert_eq!(lens.next().await, Some(expected));
        client.append(ACTS, push(8, expected)).await?;
    }
    assert_eq!(lens.next().await, None);
    Ok(())
}

#[test]
fn local_shows_changes_before_the_call_returns() -> Test {
    futures::executor::block_on(async {
        let local = Local::<Acts>::new(3)?;
        let client = local.client();
        local.append(ACTS, push(7, 1))?;
        let mut list = client.watch(LISTS.key(7)).await?;
        let mut keys = client.watch_all(LISTS.len()).list()?;
        assert_eq!(next(&mut list).await.new, Some([1].into()));
        for watch in &mut keys {
            next(watch).await;
        }
        for value in 2..20 {
            let receipt = local.append(ACTS, push(7, value))?;
            let change = next(&mut list).await;
            assert!(change.covers(&receipt));
            assert_eq!(change.new.map(|list| list.len() as u64), Some(value));
            assert!(is_quiet(&mut list), "one item each");
        }
        assert!(keys.iter_mut().all(is_quiet));
        local.append(ACTS, Act::Empty { key: 7 })?;
        assert_eq!(next(&mut list).await.new, None);
        Ok(())
    })
}
