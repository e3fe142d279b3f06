//! What cannot be watched, and how watches end.

use std::sync::Arc;

use gridmill::Local;
use gridmill::client::{Client, ReadError, WatchError};
use gridmill::model::path::PathErrorKind;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

use super::acts::{ACTS, Acts, LISTS, SECRET, Test, is_quiet, next, push};

async fn in_memory() -> Test<(Grid, Client)> {
    let grid = Grid::in_memory().partitions(3).module::<Acts>().start().await?;
    let client = grid.client();
    client.append(ACTS, push(1, 1)).await?;
    client.append(ACTS, push(1, 2)).await?;
    Ok((grid, client))
}

/// A path to two values; the error of the tenth time.
async fn not_one(client: &Client) -> Test<WatchError> {
    let mut all = client.watch(LISTS.key(1).all()).await?;
    let error = all.next().await.expect("an item").expect_err("two values");
    assert!(all.next().await.is_none(), "nothing comes behind the error");
    Ok(error)
}

#[tokio::test]
async fn r080_a_path_that_fails_ten_times_ends_its_watch() -> Test {
    let (grid, client) = in_memory().await?;
    let error = not_one(&client).await?;
    let WatchError::Failed { path, tries: 10, error: ReadError::NotOne { .. } } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, &LISTS.key(1).all().to_string());
    assert!(error.to_string().contains("failed 10 times in a row"), "{error}");
    // It was one value at first, and becomes two: what came before is true.
    let mut one = client.watch(LISTS.key(2).all()).await?;
    assert_eq!(next(&mut one).await.new, None);
    client.append(ACTS, push(2, 5)).await?;
    assert_eq!(next(&mut one).await.new, Some(5));
    client.append(ACTS, push(2, 6)).await?;
    let error = one.next().await.expect("an item").expect_err("two values");
    assert!(matches!(error, WatchError::Failed { .. }), "{error}");
    assert_eq!(one.value(), Some(&5), "what was received stays");
    assert_eq!(grid.stats().total(|partition| partition.watched_paths), 0);
    // In memory too.
    let local = Local::<Acts>::new(2)?;
    local.append(ACTS, push(1, 1))?;
    local.append(ACTS, push(1, 2))?;
    assert!(matches!(not_one(&local.client()).await?, WatchError::Failed { tries: 10, .. }));
    Ok(())
}

#[tokio::test]
async fn r080_code_in_a_path_that_panics_ends_its_watch() -> Test {
    let (_grid, client) = in_memory().await?;
    let path = LISTS.key(1).len().filter(|len: &u64| panic!("no length like {len}"));
    let mut broken = client.watch(path).await?;
    let error = broken.next().await.expect("an item").expect_err("it panics");
    let WatchError::Panicked { tries: 10, message, .. } = &error else { panic!("{error}") };
    assert_eq!(message, "no length like 2");
    // Others of the partition go on.
    let mut list = client.watch(LISTS.key(1).len()).await?;
    assert_eq!(next(&mut list).await.new, Some(2));
    Ok(())
}

#[tokio::test]
async fn r080_a_value_over_the_limit_ends_its_watch() -> Test {
    let (_grid, client) = in_memory().await?;
    let small = client.with_bytes(200);
    let mut list = small.watch(LISTS.key(1)).await?;
    assert_eq!(next(&mut list).await.new, Some([1, 2].into()));
    client.append_many(ACTS, (0..100).map(|value| push(1, value))).await?;
    let error = loop {
        match list.next().await.expect("an item") {
            Ok(change) => assert!(change.new.is_some()),
            Err(error) => break error,
        }
    };
    let WatchError::Failed { error: ReadError::Path(path), .. } = &error else { panic!("{error}") };
    assert_eq!(*path.kind(), PathErrorKind::Limit, "{error}");
    // Who may have more is not concerned.
    let mut list = client.watch(LISTS.key(1)).await?;
    assert_eq!(next(&mut list).await.new.map(|list| list.len()), Some(102));
    Ok(())
}

#[tokio::test]
async fn r080_the_stream_ends_with_the_grid() -> Test {
    for halted in [false, true] {
        let (grid, client) = in_memory().await?;
        let mut list = client.watch(LISTS.key(1)).await?;
        next(&mut list).await;
        if halted {
            grid.halt().await
        } else {
            grid.shutdown().await?
        }
        let error = list.next().await.expect("an item").expect_err("it has ended");
        assert!(matches!(error, WatchError::Read(ReadError::Stopped { .. })), "{error}");
        assert!(list.next().await.is_none());
        let error = client.watch(LISTS.key(1)).await.expect_err("it has ended");
        assert!(matches!(error, WatchError::Read(ReadError::Stopped { .. })), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_cannot_be_watched() -> Test {
    const GONE: PState<Map<u64, u64>> = PState::new("watch/gone");
    const OTHER: PState<Map<u64, u64>> = PState::new("watch/lists");
    let (_grid, client) = in_memory().await?;
    let read = |error: WatchError| match error {
        WatchError::Read(error) => error,
        other => panic!("{other}"),
    };
    let error = read(client.watch(GONE.key(1)).await.expect_err("there is none"));
    assert!(matches!(error, ReadError::UnknownPState { .. }), "{error}");
    let error = read(client.watch(OTHER.key(1)).await.expect_err("another type"));
    assert!(matches!(error, ReadError::WrongRoot { .. }), "{error}");
    let error = read(client.watch(SECRET.key(1)).await.expect_err("it is private"));
    assert!(matches!(error, ReadError::Private { .. }), "{error}");
    let error = read(client.watch(LISTS.len()).await.expect_err("of which partition?"));
    assert!(matches!(error, ReadError::NoPartition { .. }), "{error}");
    let error = read(client.watch_on(9, LISTS.len()).await.expect_err("there are three"));
    assert!(matches!(error, ReadError::BadPartition { got: 9, .. }), "{error}");
    let error = read(client.watch_all(GONE.len()).list().expect_err("there is none"));
    assert!(matches!(error, ReadError::UnknownPState { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn watches_are_bounded() -> Test {
    let builder = Grid::in_memory().partitions(1).watches_max(2);
    let grid = builder.module::<Acts>().start().await?;
    let client = grid.client();
    let one = client.watch(LISTS.key(1)).await?;
    let _other = client.watch(LISTS.key(1)).await?;
    let error = client.watch(LISTS.key(2)).await.expect_err("two are enough");
    assert!(matches!(error, WatchError::TooMany { partition: 0, limit: 2 }), "{error}");
    drop(one);
    let mut third = client.watch(LISTS.key(2)).await?;
    assert_eq!(next(&mut third).await.new, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_catches_up_is_watched_when_it_has() -> Test {
    const VISITS: Depot<u64> = Depot::random("late/visits").global();
    const OLD: PState<Map<u64, u64>> = PState::new("late/old").global();
    const NEW: PState<Map<u64, u64>> = PState::new("late/new").global();
    static HELD: crate::latch::Latch = crate::latch::Latch::new();
    fn count(visit: u64, counts: &mut Map<u64, u64>) {
        *counts.entry(visit).or_default() += 1;
    }
    struct Before;
    impl Module for Before {
        const NAME: &'static str = "late";
        fn define(module: &mut Setup) {
            module.depot(VISITS);
            module.stream("old", OLD).source(VISITS).each(count);
        }
    }
    struct After;
    impl Module for After {
        const NAME: &'static str = "late";
        fn define(module: &mut Setup) {
            Before::define(module);
            module.stream("new", NEW).source(VISITS).each(|visit, counts: &mut Map<u64, u64>| {
                HELD.pass();
                count(visit, counts);
            });
        }
    }
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(1).storage(storage);
    let grid = builder.clone().module::<Before>().start().await?;
    grid.client().append_many(VISITS, (0..1_000).map(|visit| visit % 10)).await?;
    grid.shutdown().await?;
    let grid = builder.module::<After>().start().await?;
    let opener = HELD.reached().await;
    let client = grid.client();
    let error = client.watch(NEW.key(3)).await.expect_err("it catches up");
    assert!(matches!(error, WatchError::Read(ReadError::CatchingUp { .. })), "{error}");
    // Who allows partial answers waits for the whole one.
    let mut three = client.partial().watch(NEW.key(3)).await?;
    let mut all = client.partial().watch(NEW.len()).await?;
    assert!(is_quiet(&mut three) && is_quiet(&mut all));
    opener.open();
    assert_eq!(next(&mut three).await.new, Some(100));
    assert_eq!(next(&mut all).await.new, Some(10));
    // From then on it is one like any other.
    client.append(VISITS, 3).await?;
    assert_eq!(next(&mut three).await.new, Some(101));
    client.append(VISITS, 77).await?;
    assert_eq!(next(&mut all).await.new, Some(11));
    Ok(())
}
