//! Watches of all partitions, put together.

use futures::StreamExt;
use gridmill::client::WatchError;
use gridmill::model::aggregate::{Aggregate, Sum};
use gridmill::prelude::*;

use super::acts::{ACTS, Act, Acts, LISTS, Test, push};

#[tokio::test]
async fn r081_all_partitions_are_watched_together() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<Acts>().start().await?;
    let client = grid.client();
    client.append_many(ACTS, (0..20).map(|key| push(key, key))).await?;
    let mut keys = client.watch_all(LISTS.len()).fold(Sum::new())?;
    let first = keys.next().await.expect("an item")?;
    assert_eq!((first.old, first.new), (None, 20));
    client.append_many(ACTS, (20..30).map(|key| push(key, key))).await?;
    let mut last = 20;
    while last < 30 {
        let change = keys.next().await.expect("an item")?;
        assert_eq!(change.old, Some(last));
        assert!(change.new > last && change.new <= 30);
        last = change.new;
    }
    assert_eq!(keys.value(), Some(&30));
    // A change that leaves the whole as it was brings nothing.
    client.append(ACTS, push(3, 3)).await?;
    client.append(ACTS, Act::Clear { key: 3 }).await?;
    assert_eq!(keys.next().await.expect("an item")?.new, 29);
    grid.shutdown().await?;
    assert!(matches!(keys.next().await, Some(Err(WatchError::Read(_)))));
    assert!(keys.next().await.is_none());
    Ok(())
}

#[tokio::test]
async fn r081_what_cannot_be_put_together_ends_the_stream() -> Test {
    let grid = Grid::in_memory().partitions(3).module::<Acts>().start().await?;
    let client = grid.client();
    let mut lists = client.watch_all(LISTS.key(1).sum()).fold(Sum::new())?;
    // Where nothing is the sum is 0, on every partition.
    assert_eq!(lists.next().await.expect("an item")?.new, 0);
    client.append(ACTS, push(1, 5)).await?;
    assert_eq!(lists.next().await.expect("an item")?.new, 5);
    // A total that does not fit is an error of the aggregator.
    let fixed =
        client.watch_all(LISTS.key(1).sum()).fold(Sum::new().of(|n: u64| n + (u64::MAX - 7)))?;
    let items: Vec<_> = fixed.collect().await;
    let [Err(WatchError::Aggregate(error))] = items.as_slice() else { panic!("{items:?}") };
    assert!(error.to_string().contains("a sum"), "{error}");
    Ok(())
}
