//! Reads: selects, routing, cost of a read, snapshots, many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gridmill::client::ReadError;
use gridmill::prelude::*;

use crate::todo::{EVENTS, TODOS, Todo, TodoEvent, TodoModule};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const VALUES: Depot<(u64, u64)> = Depot::hash_by("reads/values", |value| value.0.into());
const BY_KEY: PState<Map<u64, u64>> = PState::new("reads/by-key");

struct Values;

impl Module for Values {
    const NAME: &'static str = "values";

    fn define(module: &mut Setup) {
        module.depot(VALUES);
        module.stream("keep", BY_KEY).source(VALUES).each(
            |(key, value): (u64, u64), by_key: &mut Map<u64, u64>| {
                by_key.insert(key, value);
            },
        );
    }
}

fn pages_read(grid: &Grid) -> u64 {
    grid.stats().total(|partition| partition.run_pages_read)
}

#[tokio::test]
async fn r060_a_key_among_a_million_costs_a_few_pages() -> Result {
    // The times at 100 million keys belong to the benches; here it is counted what a read touches.
    const KEYS: u64 = 1_000_000;
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(2).module::<Values>();
    let builder = builder.durability(Durability::Os);
    let grid = builder.clone().start().await?;
    let client = grid.client();
    for from in (0..KEYS).step_by(50_000) {
        client.append_many(VALUES, (from..from + 50_000).map(|key| (key, 3 * key))).await?;
    }
    grid.shutdown().await?;

    let grid = builder.start().await?;
    let client = grid.client();
    assert_eq!(grid.stats().total(|partition| partition.replayed), 0);
    let pages = grid.stats().total(|partition| partition.run_bytes).div_ceil(16 << 10);
    assert!(pages > 1_000, "{pages} pages");
    let runs = grid.stats().total(|partition| partition.runs);
    // A start asks some keys of the oldest run where they belong: one page.
    assert!(pages_read(&grid) <= runs, "{} pages", pages_read(&grid));
    for (reads, key) in [0, 77_777, KEYS - 1].into_iter().enumerate() {
        assert_eq!(client.select_one(BY_KEY.key(key)).await?, Some(3 * key));
        // In each run of the key's partition: an index page and an entry page, or a neighbour.
        let most = 4 * runs * (reads as u64 + 1);
        assert!(pages_read(&grid) <= most, "{} pages, {most} at most", pages_read(&grid));
    }
    assert_eq!(client.select_one(BY_KEY.key(KEYS)).await?, None);
    assert_eq!(client.select_all(BY_KEY.len()).await?.iter().sum::<u64>(), KEYS);
    assert!(pages_read(&grid) < pages / 10, "a count reads nothing");
    for key in (0..KEYS).step_by(997) {
        assert_eq!(client.select_one(BY_KEY.key(key)).await?, Some(3 * key));
    }
    Ok(())
}

#[tokio::test]
async fn r062_a_range_costs_what_it_returns() -> Result {
    // The range is one over the sorted root; ranges over subindexed inner maps come with those.
    const KEYS: u64 = 200_000;
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(1).module::<Values>();
    let grid = builder.clone().start().await?;
    grid.client().append_many(VALUES, (0..KEYS).map(|key| (key, key))).await?;
    grid.shutdown().await?;
    let grid = builder.start().await?;
    let client = grid.client();
    let pages = grid.stats().total(|partition| partition.run_bytes).div_ceil(16 << 10);
    let runs = grid.stats().total(|partition| partition.runs);
    let (keys, middle) =
        (|map: Option<Map<u64, u64>>| map.map(|map| map.keys().collect()), KEYS / 2);
    let found: Option<Vec<u64>> = keys(client.select_one(BY_KEY.key_range_from(middle, 3)).await?);
    assert_eq!(found, Some(vec![middle, middle + 1, middle + 2]));
    let found = keys(client.select_one(BY_KEY.key_range_to(middle, 2)).await?);
    assert_eq!(found, Some(vec![middle - 2, middle - 1]));
    let found = client.select(BY_KEY.key_range(10..20).map_vals()).await?;
    assert_eq!(found, (10..20).collect::<Vec<_>>());
    assert_eq!(keys(client.select_one(BY_KEY.last_keys(1)).await?), Some(vec![KEYS - 1]));
    let (read, most) = (pages_read(&grid), 20 * runs);
    assert!(read <= most && most < pages / 4, "{read} of {pages} pages, {most} at most");
    Ok(())
}

async fn three_todos() -> Result<(Grid, Client)> {
    let grid = Grid::in_memory().partitions(4).module::<TodoModule>().start().await?;
    let client = grid.client();
    for text in ["a", "b", "c"] {
        client.append(EVENTS, TodoEvent::New { user: "ann".into(), text: text.into() }).await?;
    }
    Ok((grid, client))
}

#[tokio::test]
async fn r068_select_and_select_one() -> Result {
    // Nothing found is `None` here, where Rama has an error; two values are an error as there.
    let (_grid, client) = three_todos().await?;
    let texts = || TODOS.key("ann").all().field(Todo::TEXT);
    assert_eq!(client.select(texts()).await?, ["a", "b", "c"]);
    assert_eq!(client.select_one(texts().filter_eq("b")).await?, Some("b".into()));
    assert_eq!(client.select_one(texts().filter_eq("x")).await?, None);
    assert!(client.select(texts().filter_eq("x")).await?.is_empty());
    let error = client.select_one(texts()).await.expect_err("three values");
    assert!(matches!(error, ReadError::NotOne { .. }), "{error}");
    assert!(error.to_string().contains(r#"todo/todos.key("ann").all()"#), "{error}");
    let error = client.with_limit(2).select(texts()).await.expect_err("more than two");
    assert!(error.to_string().contains("at most 2 results"), "{error}");
    assert_eq!(client.with_limit(3).select(texts()).await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn r069_routing_by_first_key_or_explicit_key() -> Result {
    let (_grid, client) = three_todos().await?;
    let error = client.select(TODOS.map_keys()).await.expect_err("which partition?");
    let ReadError::NoPartition { pstate, partitions, .. } = &error else { panic!("{error}") };
    assert_eq!((pstate.as_str(), *partitions), ("todo/todos", 4));
    let error = client.select_json("todo/todos", r#"["map_keys"]"#).await.expect_err("the same");
    assert!(matches!(error, ReadError::NoPartition { .. }), "{error}");
    assert_eq!(client.select_in("ann", TODOS.map_keys()).await?, ["ann"]);
    let home = RouteKey::from("ann").partition(4);
    assert_eq!(client.select_on(home, TODOS.map_keys()).await?, ["ann"]);
    assert!(client.select_on((home + 1) % 4, TODOS.map_keys()).await?.is_empty());
    assert!(client.select_on((home + 1) % 4, TODOS.key("ann")).await?.is_empty());
    assert_eq!(client.select_all(TODOS.map_keys()).await?, ["ann"]);
    let error = client.select_on(4, TODOS.map_keys()).await.expect_err("0 to 3");
    assert!(matches!(error, ReadError::BadPartition { expected: 4, got: 4, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn r070_only_what_a_path_reaches_travels() -> Result {
    // What would travel to a remote client is the JSON answer.
    let grid = Grid::in_memory().module::<TodoModule>().start().await?;
    let client = grid.client();
    let new = |n: u32| TodoEvent::New { user: "ann".into(), text: format!("todo {n}").into() };
    client.append_many(EVENTS, (0..1_000).map(new)).await?;
    let list = client.select_json("todo/todos", r#"[{"key": "ann"}]"#).await?;
    assert!(list.len() > 10_000, "{}", list.len());
    let count = client.select_json("todo/todos", r#"[{"key": "ann"}, "len"]"#).await?;
    assert_eq!(count, "[1000]");
    let one = r#"[{"key": "ann"}, "all", {"field": "text"}, {"filter_eq": "todo 700"}]"#;
    assert_eq!(client.select_json("todo/todos", one).await?, r#"["todo 700"]"#);
    assert_eq!(client.select_one(TODOS.key("ann").len()).await?, Some(1_000));
    // One number for all users of the partition.
    assert_eq!(
        client.select_in("ann", TODOS.subselect(|it| it.map_vals().len()).sum()).await?,
        [1_000]
    );
    Ok(())
}

const MOVES: Depot<(u32, u32)> = Depot::random("snapshot/moves").global();
const BALANCES: PState<Map<u32, i64>> = PState::new("snapshot/balances").global();
const DONE: PState<u64> = PState::new("snapshot/done").global();

struct Moves;

impl Module for Moves {
    const NAME: &'static str = "moves";

    fn define(module: &mut Setup) {
        module.depot(MOVES);
        module.stream("move", (BALANCES, DONE)).source(MOVES).each(
            |(from, to): (u32, u32), (balances, done): (&mut Map<u32, i64>, &mut u64)| {
                *balances.entry(from).or_default() -= 1;
                *balances.entry(to).or_default() += 1;
                *done += 1;
            },
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r071_a_long_scan_sees_one_moment_and_blocks_no_writer() -> Result {
    // A view cannot be held open from outside: scans are repeated until some had writes land
    // between their first and their last step.
    const ACCOUNTS: u32 = 5_000;
    let grid = Grid::in_memory().module::<Moves>().start().await?;
    let client = grid.client();
    let ring = |n: u32| (n, (n + 1) % ACCOUNTS);
    client.append_many(MOVES, (0..ACCOUNTS).map(ring)).await?;
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (client, stop, written) = (client.clone(), Arc::clone(&stop), Arc::clone(&written));
        tokio::spawn(async move {
            let mut from = 0;
            while !stop.load(Ordering::Relaxed) {
                let to = (from * 7 + 13) % ACCOUNTS;
                client.append(MOVES, (from, to)).await.expect("the grid runs");
                from = to;
                written.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut overtaken = 0;
    while overtaken < 20 {
        let before = written.load(Ordering::Relaxed);
        let balances = client.select(BALANCES.map_vals()).await?;
        let during = written.load(Ordering::Relaxed) - before;
        assert_eq!(balances.len(), ACCOUNTS as usize);
        assert_eq!(balances.iter().sum::<i64>(), 0, "half of a move was seen");
        overtaken += u32::from(during > 0);
        // Once the scan is over, a new one sees what was answered meanwhile.
        assert!(client.select_one(DONE).await? >= Some(before));
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    writer.await?;
    Ok(())
}

#[tokio::test]
async fn r072_a_handler_reads_what_its_path_reaches() -> Result {
    // A local select is a path over the borrowed state: what follows it runs once for each value.
    const FOLLOWS: Depot<(Str, Str)> =
        Depot::hash_by("local/follows", |follow| follow.0.as_str().into());
    const FOLLOWED: PState<Map<Str, List<Str>>> = PState::new("local/followed");
    const PAIRS: PState<Map<Str, List<Str>>> = PState::new("local/pairs");
    type Lists = Map<Str, List<Str>>;
    struct Follows;
    impl Module for Follows {
        const NAME: &'static str = "follows";
        fn define(module: &mut Setup) {
            module.depot(FOLLOWS);
            let follows = module.stream("follow", (FOLLOWED, PAIRS)).source(FOLLOWS);
            follows.each(|(who, whom): (Str, Str), (followed, pairs): (&mut Lists, &mut Lists)| {
                for earlier in FOLLOWED.key(&who).all().select(followed).expect("it fits") {
                    let pair = Str::from(format!("{earlier}+{whom}"));
                    PAIRS.key(&who).after_elem().set(pair).apply(pairs);
                }
                FOLLOWED.key(who).after_elem().set(whom).apply(followed);
            });
        }
    }
    let grid = Grid::in_memory().module::<Follows>().start().await?;
    let client = grid.client();
    client.append(FOLLOWS, ("ann".into(), "bob".into())).await?;
    // Zero values: nothing downstream ran.
    assert_eq!(client.select_one(PAIRS.key("ann")).await?, None);
    client.append(FOLLOWS, ("ann".into(), "cat".into())).await?;
    client.append(FOLLOWS, ("ann".into(), "dan".into())).await?;
    let pairs = client.select(PAIRS.key("ann").all()).await?;
    assert_eq!(pairs, ["bob+cat", "bob+dan", "cat+dan"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r075_thousands_of_calls_at_once() -> Result {
    let grid = Grid::in_memory().module::<Values>().start().await?;
    let client = grid.client();
    let mut calls = tokio::task::JoinSet::new();
    for key in 0..5_000 {
        let client = client.clone();
        calls.spawn(async move {
            client.append(VALUES, (key, key + 1)).await.expect("it is appended");
            client.select_one(BY_KEY.key(key)).await.expect("it is read")
        });
    }
    let mut sum = 0;
    while let Some(found) = calls.join_next().await {
        sum += found?.expect("an append that was answered is seen");
    }
    assert_eq!(sum, (1..=5_000).sum::<u64>());
    assert_eq!(client.select_all(BY_KEY.len()).await?.iter().sum::<u64>(), 5_000);
    Ok(())
}
