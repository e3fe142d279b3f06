//! Watches through restarts of partitions.

use std::sync::Arc;

use gridmill::GridBuilder;
use gridmill::persistence::{Faults, SimStorage};
use gridmill::prelude::*;

use crate::disk::Disk;

use super::acts::{ACTS, Acts, LISTS, Test, next, push};

fn on(disk: &Disk) -> GridBuilder {
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone()));
    builder.partitions(1).threads(1).module::<Acts>()
}

/// A sync that fails, without room to write anew: the partition restarts, and again, until there is room.
async fn restart(disk: &Disk, client: &Client, value: u64) -> Test {
    disk.sim.set_faults(Faults { fail_sync: Some(1), space_left: Some(0), ..Faults::default() });
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.append(ACTS, push(1, value)).await }
    });
    for _ in 0..3 {
        disk.failed().await;
    }
    disk.sim.set_space_left(None);
    // It is in the log, or was not logged.
    let _ = waiting.await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r084_watches_go_on_when_their_partition_restarts() -> Test {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).start().await?;
    let client = grid.client();
    client.append(ACTS, push(1, 0)).await?;
    let mut list = client.watch(LISTS.key(1)).await?;
    let mut other = client.watch(LISTS.key(2)).await?;
    assert_eq!(next(&mut list).await.new, Some([0].into()));
    assert_eq!(next(&mut other).await.new, None);
    restart(&disk, &client, 1).await?;
    // One that begins where the partition has just begun again.
    let mut third = client.watch(LISTS.key(3)).await?;
    assert_eq!(next(&mut third).await.new, None);
    client.append(ACTS, push(1, 2)).await?;
    client.append(ACTS, push(2, 3)).await?;
    client.append(ACTS, push(3, 4)).await?;
    while list.value().and_then(List::back) != Some(&2) {
        let change = next(&mut list).await;
        assert!(!change.resync, "its subscriber need not know of it");
    }
    assert_eq!(next(&mut other).await.new, Some([3].into()));
    assert_eq!(next(&mut third).await.new, Some([4].into()));
    assert!(grid.stats().total(|partition| partition.restarts) > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r011_a_storm_of_restarts_takes_no_value_back() -> Test {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).start().await?;
    let client = grid.client();
    client.append(ACTS, push(1, 0)).await?;
    let mut watches = Vec::new();
    for _ in 0..20 {
        watches.push(client.watch(LISTS.key(1)).await?);
    }
    let watching = watches.into_iter().map(|mut watch| {
        tokio::spawn(async move {
            let mut last = List::new();
            while last.back() != Some(&u64::MAX) {
                // That it goes on from the one before, and positions ascend, is asserted there.
                let now = next(&mut watch).await.new.unwrap_or_default();
                assert!(now.len() > last.len(), "lists only grow: {now:?} comes after {last:?}");
                assert!(last.iter().eq(now.iter().take(last.len())), "{now:?} has {last:?}");
                last = now;
            }
            last
        })
    });
    let watching: Vec<_> = watching.collect();
    for round in 0..8 {
        for value in 0..5 {
            client.append(ACTS, push(1, 100 * round + value)).await?;
        }
        restart(&disk, &client, 100 * round + 50).await?;
    }
    let restarts = grid.stats().total(|partition| partition.restarts);
    assert!(restarts >= 8, "{restarts} restarts");
    client.append(ACTS, push(1, u64::MAX)).await?;
    let expected = client.select_one(LISTS.key(1)).await?;
    for watched in watching {
        assert_eq!(Some(watched.await?), expected);
    }
    Ok(())
}

#[tokio::test]
async fn r084_a_new_start_goes_on_from_what_was_there() -> Test {
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(2).storage(storage).module::<Acts>();
    let grid = builder.clone().start().await?;
    grid.client().append_many(ACTS, (0..10).map(|key| push(key, key))).await?;
    grid.halt().await;
    let grid = builder.start().await?;
    let client = grid.client();
    for key in 0..10 {
        let mut list = client.watch(LISTS.key(key)).await?;
        let first = next(&mut list).await;
        assert_eq!((first.resync, first.new), (true, Some([key].into())));
        client.append(ACTS, push(key, 99)).await?;
        assert_eq!(next(&mut list).await.new, Some([key, 99].into()));
    }
    Ok(())
}
