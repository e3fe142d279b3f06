//! Rows 018-034: depots, where their records go, and when an append is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill::client::{AppendErrorKind, DepotError, ReplyError};
use gridmill::prelude::*;

use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;

const SALES: Depot<(Str, u64)> = Depot::hash_by("depots/sales", |sale| sale.0.as_str().into());
const NOTES: Depot<u64> = Depot::random("depots/notes");
const CLOSED: Depot<u64> = Depot::disallow("depots/closed");
const CHOSEN: Depot<u64> = Depot::custom("depots/chosen", |number, count| {
    if *number == 99 { count } else { (*number % u64::from(count)) as u32 }
});
const SINGLE: Depot<u64> = Depot::random("depots/single").global();
const SUMS: PState<Map<Str, u64>> = PState::new("depots/sums");

/// A depot of each kind; sales are summed up, and the sum is the reply.
struct Depots;

impl Module for Depots {
    const NAME: &'static str = "depots";

    fn define(module: &mut Setup) {
        module.depot(SALES).depot(NOTES).depot(CLOSED).depot(CHOSEN).depot(SINGLE);
        module.stream("sums", SUMS).source(SALES).each_with(
            |(key, amount): (Str, u64), sums: &mut Map<Str, u64>, context: &mut Context<'_>| {
                let sum = sums.entry(key).or_default();
                *sum += amount;
                context.reply(sum);
            },
        );
    }
}

fn sale(number: u64) -> (Str, u64) {
    (Str::from(format!("shop-{}", number % 20)), number)
}

/// All events of a depot, by partition, in the order of their offsets, which have no gaps.
async fn stored<E: Event>(
    client: &Client,
    depot: Depot<E>,
) -> Result<Vec<Vec<E>>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for (partition, range) in (0..).zip(client.depot_info(depot).await?.ranges) {
        assert_eq!(range.start, 0);
        let records = client.depot_read(depot, partition, 0..range.end).await?;
        assert!(records.iter().map(|record| record.offset).eq(0..range.end));
        all.push(records.into_iter().map(|record| record.event).collect());
    }
    Ok(all)
}

#[tokio::test]
async fn r018_append_consume_read() -> Test {
    let grid = Grid::in_memory().module::<Depots>().start().await?;
    let client = grid.client();
    client.append(SALES, ("mill".into(), 3)).await?;
    client.append(SALES, ("mill".into(), 4)).await?;
    assert_eq!(client.select_one(SUMS.key("mill")).await?, Some(7));
    Ok(())
}

#[tokio::test]
async fn r019_random_spreads_evenly() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<Depots>().start().await?;
    grid.client().append_many(NOTES, 0..10_000).await?;
    let counts: Vec<_> = stored(&grid.client(), NOTES).await?.iter().map(Vec::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 10_000);
    // Six standard deviations: by chance it fails less than once in 10^8 runs.
    assert!(counts.iter().all(|count| (2_250..=2_750).contains(count)), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn r020_equal_keys_lie_in_one_partition() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<Depots>().start().await?;
    grid.client().append_many(SALES, (0..200).map(sale)).await?;
    let mut homes = BTreeMap::<Str, BTreeSet<u32>>::new();
    for (partition, events) in (0..).zip(stored(&grid.client(), SALES).await?) {
        for (key, _) in events {
            homes.entry(key).or_default().insert(partition);
        }
    }
    assert_eq!(homes.len(), 20);
    for (key, partitions) in &homes {
        assert_eq!(partitions, &BTreeSet::from([RouteKey::from(key).partition(4)]), "{key}");
    }
    assert!(homes.values().flatten().collect::<BTreeSet<_>>().len() > 1, "the keys are spread");
    Ok(())
}

#[tokio::test]
async fn r021_a_client_may_not_append_to_a_disallowed_depot() -> Test {
    // Appends by topologies come with the flows between partitions.
    let grid = Grid::in_memory().module::<Depots>().start().await?;
    let client = grid.client();
    let refused = client.append(CLOSED, 1).await.expect_err("clients may not append");
    assert_eq!(refused.events, Some(1));
    let many = client.append_many(CLOSED, [1, 2]).await.expect_err("clients may not append");
    assert_eq!(many.not_logged, [(0, 1), (1, 2)]);
    let tried = client.try_append(CLOSED, 1).expect_err("clients may not append");
    let json = client.append_json("depots/closed", "1").await;
    let json = json.expect_err("clients may not append");
    for kind in [refused.kind, many.kind, tried.kind, json] {
        assert!(matches!(kind, AppendErrorKind::Disallowed { .. }), "{kind:?}");
        assert!(kind.to_string().contains("depots/closed"), "{kind}");
    }
    assert_eq!(client.depot_info(CLOSED).await?.records(), 0);
    Ok(())
}

#[tokio::test]
async fn r022_a_custom_partitioner_chooses() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<Depots>().start().await?;
    let client = grid.client();
    for number in 0..8_u64 {
        let receipt = client.append(CHOSEN, number).await?;
        assert_eq!(u64::from(receipt.partition), number % 4);
    }
    let expected: Vec<_> = (0..4).map(|partition| vec![partition, partition + 4]).collect();
    assert_eq!(stored(&client, CHOSEN).await?, expected);
    let refused = client.append(CHOSEN, 99).await.expect_err("there is no partition 4");
    let AppendErrorKind::BadPartition { expected: 4, got: 4, .. } = refused.kind else {
        panic!("{refused:?}");
    };
    assert_eq!(client.depot_info(CHOSEN).await?.records(), 8, "nothing was logged");
    Ok(())
}

#[tokio::test]
async fn r023_a_global_depot_has_one_partition() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<Depots>().start().await?;
    let client = grid.client();
    let receipt = client.append_many(SINGLE, 0..20).await?;
    assert_eq!(receipt.parts.iter().map(|part| part.partition).collect::<Vec<_>>(), [0]);
    assert_eq!(client.depot_info(SINGLE).await?.partitions, 1);
    assert_eq!(stored(&client, SINGLE).await?, [Vec::from_iter(0..20)]);
    let elsewhere = client.depot_read(SINGLE, 1, 0..0).await;
    assert!(matches!(elsewhere, Err(DepotError::BadPartition { expected: 1, got: 1, .. })));
    Ok(())
}

#[tokio::test]
async fn r024_offsets_count_from_0_through_restarts() -> Test {
    let folder = tempfile::tempdir()?;
    let start = || Grid::builder(folder.path()).partitions(3).module::<Depots>().start();
    let mut expected = vec![Vec::new(); 3];
    for round in 0..4 {
        let grid = start().await?;
        let client = grid.client();
        assert_eq!(stored(&client, SALES).await?, expected, "at start {round}");
        for number in round * 50..round * 50 + 50 {
            let receipt = client.append(SALES, sale(number)).await?;
            let partition = &mut expected[receipt.partition as usize];
            assert_eq!(receipt.offset, partition.len() as u64);
            partition.push(sale(number));
        }
        assert_eq!(stored(&client, SALES).await?, expected, "in round {round}");
        match round % 2 {
            0 => grid.halt().await,
            _ => grid.shutdown().await?,
        }
    }
    assert!(expected.iter().all(|partition| !partition.is_empty()), "all partitions are used");
    Ok(())
}

/// A module whose handler waits at a latch: one each for the three levels.
macro_rules! held_module {
    ($module:ident, $name:literal, $latch:ident, $finished:ident, $depot:ident, $sum:ident) => {
        static $latch: Latch = Latch::new();
        static $finished: AtomicBool = AtomicBool::new(false);
        const $depot: Depot<u64> = Depot::random(concat!($name, "/in")).global();
        const $sum: PState<u64> = PState::new(concat!($name, "/sum")).global();

        struct $module;

        impl Module for $module {
            const NAME: &'static str = $name;

            fn define(module: &mut Setup) {
                module.depot($depot);
                module.stream("sum", $sum).source($depot).each(|amount: u64, sum: &mut u64| {
                    $latch.pass();
                    $finished.store(true, Ordering::SeqCst);
                    *sum += amount;
                });
            }
        }
    };
}

held_module!(HeldNone, "held-none", AT_NONE, NONE_FINISHED, TO_NONE, NONE_SUM);
held_module!(HeldAppended, "held-appended", AT_APPENDED, APPENDED_FINISHED, TO_APPENDED, APP_SUM);
held_module!(HeldProcessed, "held-processed", AT_PROCESSED, PROC_FINISHED, TO_PROCESSED, PROC_SUM);

#[tokio::test]
async fn r027_ack_levels_none() -> Test {
    // A handler that is held by a latch stands for one that sleeps, here and below.
    let grid = Grid::in_memory().module::<HeldNone>().start().await?;
    let client = grid.client();
    let receipt = client.append_with(TO_NONE, 5, Ack::None).await?;
    assert_eq!((receipt.offset, receipt.position), (0, 0), "nothing is known yet");
    let latch = AT_NONE.reached().await;
    // The next one does not even reach the log: the partition is busy.
    client.append_with(TO_NONE, 6, Ack::None).await?;
    assert!(!NONE_FINISHED.load(Ordering::SeqCst), "both were answered before the handler");
    latch.open();
    grid.processed().await;
    assert_eq!(client.select_one(NONE_SUM).await?, Some(11));
    Ok(())
}

#[tokio::test]
async fn r027_ack_levels_appended() -> Test {
    let grid = Grid::in_memory().module::<HeldAppended>().start().await?;
    let client = grid.client();
    let append = tokio::spawn({
        let client = client.clone();
        async move { client.append_with(TO_APPENDED, 5, Ack::Appended).await }
    });
    let latch = AT_APPENDED.reached().await;
    append.await??;
    assert!(!APPENDED_FINISHED.load(Ordering::SeqCst), "it was answered before the handler");
    assert_eq!(client.depot_read(TO_APPENDED, 0, 0..1).await?[0].event, 5, "it is durable");
    assert_ne!(client.select_one(APP_SUM).await?, Some(5));
    latch.open();
    grid.processed().await;
    assert_eq!(client.select_one(APP_SUM).await?, Some(5));
    Ok(())
}

#[tokio::test]
async fn r027_ack_levels_processed() -> Test {
    let grid = Grid::in_memory().module::<HeldProcessed>().start().await?;
    let client = grid.client();
    let append = tokio::spawn({
        let client = client.clone();
        async move {
            let appended = client.append(TO_PROCESSED, 5).await;
            (appended, PROC_FINISHED.load(Ordering::SeqCst))
        }
    });
    let latch = AT_PROCESSED.reached().await;
    // It is durable long before it is processed.
    while client.depot_info(TO_PROCESSED).await?.records() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!append.is_finished(), "its handler has not finished");
    latch.open();
    let (appended, finished) = append.await?;
    appended?;
    assert!(finished, "it was answered after the handler");
    assert_eq!(client.select_one(PROC_SUM).await?, Some(5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r029_read_after_ack() -> Test {
    let grid = Grid::in_memory().module::<Depots>().start().await?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..20 {
        let client = grid.client();
        writers.spawn(async move {
            let key = Str::from(format!("writer-{writer}"));
            for round in 1..=500 {
                client.append(SALES, (key.clone(), 1)).await.expect("it is appended");
                let seen = client.select_one(SUMS.key(&key)).await.expect("it is read");
                assert_eq!(seen, Some(round), "of writer {writer}");
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer?;
    }
    Ok(())
}

#[tokio::test]
async fn r030_handlers_reply_to_the_appender() -> Test {
    // A reply is what a handler gives to its context; it comes under the topology's name.
    let grid = Grid::in_memory().module::<Depots>().start().await?;
    let client = grid.client();
    let receipt = client.append(SALES, ("mill".into(), 3)).await?;
    assert_eq!(receipt.reply::<u64>("sums")?, Some(3));
    let wrong = receipt.reply::<u8>("sums").expect_err("it replied with another type");
    assert!(matches!(wrong, ReplyError::WrongType { .. }), "{wrong}");
    let misspelt = receipt.reply::<u64>("sum").expect_err("there is no such topology");
    let known = vec!["sums".to_owned()];
    assert_eq!(misspelt, ReplyError::UnknownTopology { topology: "sum".to_owned(), known });
    let receipt = client.append_with(SALES, ("mill".into(), 4), Ack::Appended).await?;
    assert!(receipt.replies.is_empty(), "{receipt:?}");
    grid.processed().await;
    let many = client.append_many(SALES, [("mill".into(), 1), ("mill".into(), 2)]).await?;
    let replies = many.replies.iter().map(|(index, reply)| (*index, reply.topology.as_str()));
    assert!(replies.eq([(0, "sums"), (1, "sums")]), "{many:?}");
    let receipt = client.append(NOTES, 1).await?;
    assert!(receipt.replies.is_empty(), "no topology reads this depot");
    assert!(receipt.reply::<u64>("sums").is_err(), "no topology reads this depot");
    Ok(())
}

#[tokio::test]
async fn r034_partition_info_and_range_reads() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Depots>().start().await?;
    let client = grid.client();
    client.append_many(CHOSEN, (0..20).map(|number| number * 2)).await?;
    let info = client.depot_info(CHOSEN).await?;
    let ranges: Vec<_> = info.ranges.iter().map(|range| (range.start, range.end)).collect();
    assert_eq!((info.partitions, ranges.as_slice()), (2, &[(0, 20), (0, 0)][..]));
    let some = client.depot_read(CHOSEN, 0, 5..8).await?;
    let some: Vec<_> = some.into_iter().map(|record| (record.offset, record.event)).collect();
    assert_eq!(some, [(5, 10), (6, 12), (7, 14)]);
    assert!(client.depot_read(CHOSEN, 0, 20..20).await?.is_empty());
    assert!(client.depot_read(CHOSEN, 1, 0..0).await?.is_empty());
    for (partition, (from, to)) in [(0, (0, 21)), (0, (21, 22)), (0, (8, 5)), (1, (0, 1))] {
        let refused = client.depot_read(CHOSEN, partition, from..to).await;
        let Err(DepotError::OutOfRange { start: 0, end, from: asked, .. }) = refused else {
            panic!("{from}..{to} of partition {partition}: {refused:?}");
        };
        assert_eq!((end, asked), (ranges[partition as usize].1, from));
    }
    let nowhere = client.depot_read(CHOSEN, 2, 0..1).await;
    assert!(matches!(nowhere, Err(DepotError::BadPartition { expected: 2, got: 2, .. })));
    Ok(())
}
