//! Rows 001-014: how records run, and what readers see of them.

use std::collections::BTreeSet;

use gridmill::client::{AppendErrorKind, ReadError};
use gridmill::prelude::*;

use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;

const HITS: Depot<(Str, u64)> = Depot::hash_by("hits/seen", |hit| hit.0.as_str().into());
const COUNT: PState<Map<Str, u64>> = PState::new("hits/count");
const ORDER: PState<Map<Str, List<u64>>> = PState::new("hits/order");

/// Counts hits and keeps their numbers in order.
struct Hits;

impl Module for Hits {
    const NAME: &'static str = "hits";

    fn define(module: &mut Setup) {
        module.depot(HITS);
        module.stream("count", (COUNT, ORDER)).source(HITS).each(hit);
    }
}

fn hit((key, number): (Str, u64), (count, order): (&mut Map<Str, u64>, &mut Map<Str, List<u64>>)) {
    *count.entry(key.clone()).or_default() += 1;
    order.entry(key.clone()).or_default().push_back(number);
    assert!(key != "poison", "this key is poison");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r001_concurrent_increments_all_count() -> Test {
    let grid = Grid::in_memory().module::<Hits>().start().await?;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let client = grid.client();
        appends.spawn(async move { client.append(HITS, ("page".into(), number)).await });
    }
    while let Some(appended) = appends.join_next().await {
        appended??;
    }
    assert_eq!(grid.client().select_one(COUNT.key("page")).await?, Some(1000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r002_pstates_written_together_are_seen_together() -> Test {
    const RECORDS: u64 = 4_000;
    let grid = Grid::in_memory().module::<Hits>().start().await?;
    let client = grid.client();
    client.append(HITS, ("page".into(), 0)).await?;
    let reader = tokio::spawn({
        let client = grid.client();
        async move {
            let (mut last, mut views) = (0, BTreeSet::new());
            while last < RECORDS {
                // Whichever of the two were published first, one of these would go back.
                let before = client.select_one(COUNT.key("page")).await?.unwrap_or(0);
                let between = client.select_one(ORDER.key("page").len()).await?.unwrap_or(0);
                let after = client.select_one(COUNT.key("page")).await?.unwrap_or(0);
                assert!(before <= between && between <= after, "{before} {between} {after}");
                last = after;
                views.insert(after);
            }
            Ok::<_, ReadError>(views.len())
        }
    });
    for start in (1..RECORDS).step_by(50) {
        let numbers = start..RECORDS.min(start + 50);
        client.append_many(HITS, numbers.map(|number| ("page".into(), number))).await?;
    }
    assert!(reader.await?? > 1, "the reader has to have seen the PStates change");
    Ok(())
}

#[tokio::test]
async fn r003_one_client_to_one_partition_keeps_order() -> Test {
    let grid = Grid::in_memory().module::<Hits>().start().await?;
    let client = grid.client();
    let mut answers = Vec::new();
    for number in 1..=1000 {
        answers.push(client.try_append(HITS, ("page".into(), number))?);
    }
    for (offset, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await?.offset, offset as u64);
    }
    let order = client.select_one(ORDER.key("page")).await?.expect("it was written");
    assert!(order.iter().copied().eq(1..=1000), "{order:?}");
    Ok(())
}

const VISITS: Depot<u32> = Depot::hash_by("places/visits", |user| (*user).into());
const NAMES: Depot<Str> = Depot::hash_by("places/names", |name| name.as_str().into());
const OF_VISITS: PState<Map<u64, u32>> = PState::new("places/of-visits");
const OF_NAMES: PState<Map<Str, u32>> = PState::new("places/of-names");
const TOURS: Depot<(Str, Str)> = Depot::hash_by("places/tours", |tour| tour.0.as_str().into());
const SEEN_THERE: PState<Map<Str, Str>> = PState::new("places/seen-there").local();

/// Notes on which partition a record is handled.
struct Places;

impl Module for Places {
    const NAME: &'static str = "places";

    fn define(module: &mut Setup) {
        module.depot(VISITS).depot(NAMES).depot(TOURS);
        module
            .stream("places", (OF_VISITS, OF_NAMES))
            .source(VISITS)
            .each_with(
                |user: u32, (visits, _): (&mut Map<u64, u32>, &mut Map<Str, u32>), context| {
                    visits.insert(user.into(), context.partition());
                },
            )
            .source(NAMES)
            .each_with(
                |name: Str, (_, names): (&mut Map<u64, u32>, &mut Map<Str, u32>), context| {
                    names.insert(name, context.partition());
                },
            )
            .source(TOURS)
            .each(
                |(from, to): (Str, Str), (_, names): (&mut Map<u64, u32>, &mut Map<Str, u32>)| {
                    names.insert(from, 1);
                    names.insert(to, 2);
                },
            );
        module.stream("tours", SEEN_THERE).source(TOURS).each(
            |(from, to): (Str, Str), seen: &mut Map<Str, Str>| {
                SEEN_THERE.key(to).set(from).apply(seen);
            },
        );
    }
}

#[tokio::test]
async fn r007_depot_pstate_and_route_agree_on_the_partition() -> Test {
    let grid = Grid::in_memory().partitions(8).module::<Places>().start().await?;
    let client = grid.client();
    let mut used = BTreeSet::new();
    for number in 0..50_u32 {
        let home = RouteKey::from(number).partition(8);
        assert_eq!(client.append(VISITS, number).await?.partition, home);
        // The PState's keys are wider than the depot's: integers route alike.
        for partition in 0..8 {
            let found = client.select_on(partition, OF_VISITS.key(u64::from(number))).await?;
            assert_eq!(found, if partition == home { vec![home] } else { vec![] });
        }
        assert_eq!(client.select_one(OF_VISITS.key(u64::from(number))).await?, Some(home));

        let name = Str::from(format!("user-{number}"));
        let home = RouteKey::from(&name).partition(8);
        assert_eq!(client.append(NAMES, name.clone()).await?.partition, home);
        assert_eq!(client.select_one(OF_NAMES.key(&name)).await?, Some(home));
        assert_eq!(client.select_in(&name, OF_NAMES.key(&name)).await?, [home]);
        used.insert(home);
    }
    assert_eq!(used.len(), 8, "50 names are spread over all partitions");
    Ok(())
}

#[tokio::test]
async fn r008_key_of_another_partition_is_refused() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Places>().start().await?;
    let client = grid.client();
    let of = |partition: u32| {
        let names = (0..100).map(|number| Str::from(format!("town-{number}")));
        names.filter(move |name| RouteKey::from(name).partition(2) == partition)
    };
    let (here, there) = (of(0).next().expect("a name"), of(1).next().expect("a name"));
    let refused = client.append(TOURS, (here.clone(), there.clone())).await;
    let Err(AppendErrorKind::Rejected(rejected)) = refused.map_err(|error| error.kind) else {
        panic!("a hashed PState does not take the key of another partition");
    };
    let rejection = &rejected.rejections[0];
    assert_eq!((rejection.topology.as_str(), rejection.quarantined), ("places", true));
    for part in ["belongs to partition 1", "runs on partition 0", ".local()"] {
        assert!(rejection.message.contains(part), "{}", rejection.message);
    }
    assert!(client.select_all(OF_NAMES.map_keys()).await?.is_empty(), "its write is undone");
    // A local PState takes any key; it is found on the partition that wrote it and nowhere else.
    assert_eq!(client.select_on(0, SEEN_THERE.key(&there)).await?, [here.as_str()]);
    assert!(client.select_on(1, SEEN_THERE.key(&there)).await?.is_empty());
    assert!(matches!(
        client.select_one(SEEN_THERE.key(&there)).await,
        Err(ReadError::NoPartition { .. })
    ));
    let both = of(0).nth(1).expect("another name of partition 0");
    client.append(TOURS, (here, both)).await?;
    Ok(())
}

const ORDERS: Depot<u64> = Depot::random("one/orders").global();
const TOTAL: PState<(u64, u32)> = PState::new("one/total").global();

struct One;

impl Module for One {
    const NAME: &'static str = "one";

    fn define(module: &mut Setup) {
        module.depot(ORDERS);
        module.stream("total", TOTAL).source(ORDERS).each_with(
            |order: u64, total: &mut (u64, u32), context| {
                *total = (total.0 + order, context.partition());
            },
        );
    }
}

#[tokio::test]
async fn r009_global_objects_live_on_partition_0() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<One>().start().await?;
    let client = grid.client();
    for order in 1..=10 {
        assert_eq!(client.append(ORDERS, order).await?.partition, 0);
    }
    assert_eq!(client.depot_info(ORDERS).await?.partitions, 1);
    assert_eq!(client.select_one(TOTAL).await?, Some((55, 0)));
    let elsewhere = client.select_on(1, TOTAL).await;
    let Err(ReadError::BadPartition { expected, got, .. }) = elsewhere else {
        panic!("a global PState has one partition: {elsewhere:?}");
    };
    assert_eq!((expected, got), (1, 1));
    Ok(())
}

static HELD: Latch = Latch::new();
const STEPS: Depot<Str> = Depot::hash_by("views/steps", |key| key.as_str().into());
const FIRST: PState<Map<Str, u64>> = PState::new("views/first");
const SECOND: PState<Map<Str, u64>> = PState::new("views/second");

/// Writes, waits at a latch, and writes what it reads of its own write.
struct Views;

impl Module for Views {
    const NAME: &'static str = "views";

    fn define(module: &mut Setup) {
        module.depot(STEPS);
        module.stream("views", (FIRST, SECOND)).source(STEPS).each(
            |key: Str, (first, second): (&mut Map<Str, u64>, &mut Map<Str, u64>)| {
                *first.entry(key.clone()).or_default() += 1;
                if key == "held" {
                    HELD.pass();
                }
                let own = first.get(&key).map_or(0, |own| *own);
                second.insert(key, own);
            },
        );
    }
}

#[tokio::test]
async fn r010_own_writes_are_read_at_once_by_nobody_else() -> Test {
    let grid = Grid::in_memory().module::<Views>().start().await?;
    let client = grid.client();
    let append = tokio::spawn({
        let client = client.clone();
        async move { client.append(STEPS, "held".into()).await }
    });
    let latch = HELD.reached().await;
    assert_eq!(client.select_one(FIRST.key("held")).await?, None);
    assert!(client.select_all(FIRST.map_keys()).await?.is_empty());
    assert!(!append.is_finished(), "its handler has not finished");
    latch.open();
    append.await??;
    assert_eq!(client.select_one(FIRST.key("held")).await?, Some(1));
    assert_eq!(client.select_one(SECOND.key("held")).await?, Some(1), "it read its own write");
    Ok(())
}

#[tokio::test]
async fn r012_a_panic_leaves_no_trace_of_what_was_written() -> Test {
    let grid = Grid::in_memory().partitions(1).module::<Hits>().start().await?;
    let client = grid.client();
    let keys = ["before", "poison", "after", "before"];
    let events = keys.iter().zip(0..).map(|(key, number)| (Str::new(key), number));
    let receipt = client.append_many(HITS, events).await?;
    let rejected: Vec<_> = receipt.rejections.iter().collect();
    let [(1, rejection)] = rejected[..] else { panic!("only the second failed: {rejected:?}") };
    assert!(rejection.quarantined && rejection.message.contains("this key is poison"));
    assert_eq!(client.select(COUNT.map_keys()).await?, ["after", "before"]);
    assert_eq!(client.select(COUNT.map_vals()).await?, [1, 2]);
    assert_eq!(client.select(ORDER.map_keys()).await?, ["after", "before"]);
    assert_eq!(client.select(ORDER.key("before").all()).await?, [0, 3]);
    Ok(())
}

const TRANSFERS: Depot<(Str, i64)> = Depot::hash_by("ledger/in", |entry| entry.0.as_str().into());
const DEBIT: PState<Map<Str, i64>> = PState::new("ledger/debit");
const CREDIT: PState<Map<Str, i64>> = PState::new("ledger/credit");
const BEFORE: PState<Map<Str, List<i64>>> = PState::new("ledger/before");
const AFTER: PState<Map<Str, List<i64>>> = PState::new("ledger/after");

/// A topology whose two PStates always add up to nothing, and one before and after it that look.
struct Ledger;

type Audit<'a> = (&'a mut Map<Str, List<i64>>, &'a Map<Str, i64>, &'a Map<Str, i64>);

impl Module for Ledger {
    const NAME: &'static str = "ledger";

    fn define(module: &mut Setup) {
        module.depot(TRANSFERS);
        let (debit, credit) = (DEBIT.read(), CREDIT.read());
        module.stream("before", (BEFORE, debit, credit)).source(TRANSFERS).each(audit);
        module.stream("ledger", (DEBIT, CREDIT)).source(TRANSFERS).each(book);
        module.stream("after", (AFTER, debit, credit)).source(TRANSFERS).each(audit);
    }
}

fn book((key, amount): (Str, i64), (debit, credit): (&mut Map<Str, i64>, &mut Map<Str, i64>)) {
    *debit.entry(key.clone()).or_default() += amount;
    *credit.entry(key).or_default() -= amount;
}

fn audit((key, _): (Str, i64), (seen, debit, credit): Audit<'_>) {
    let of = |map: &Map<Str, i64>| map.get(&key).map_or(0, |amount| *amount);
    let (debit, credit) = (of(debit), of(credit));
    // Out of step is written down as what cannot be right.
    let found = if debit + credit == 0 { debit } else { i64::MIN };
    seen.entry(key).or_default().push_back(found);
}

#[tokio::test]
async fn r014_two_pstates_of_another_topology_keep_their_invariant() -> Test {
    let grid = Grid::in_memory().module::<Ledger>().start().await?;
    let client = grid.client();
    let amounts = [5, -3, 40, 0, -8];
    let entries = amounts.iter().cycle().take(500).map(|&amount| ("cash".into(), amount));
    client.append_many(TRANSFERS, entries).await?;
    let mut sum = 0;
    let mut sums = vec![0];
    sums.extend(amounts.iter().cycle().take(500).map(|amount| {
        sum += amount;
        sum
    }));
    // A topology sees the earlier ones after, the later ones before, the same record.
    assert_eq!(client.select(BEFORE.key("cash").all()).await?, sums[..500]);
    assert_eq!(client.select(AFTER.key("cash").all()).await?, sums[1..]);
    Ok(())
}
