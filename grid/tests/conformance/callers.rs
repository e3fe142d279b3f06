//! Those who call a grid: many calls of one task, calls without a runtime, what a caller is told by
//! several handlers, and what a grid leaves behind that is dropped.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};

use futures::stream::{FuturesUnordered, StreamExt};
use gridmill::client::{AppendErrorKind, ReplyError};
use gridmill::prelude::*;
use gridmill::{Local, StartError};

use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;

const NUMBERS: Depot<u64> = Depot::hash_by("callers/numbers", |number| (*number).into());
const COUNTS: PState<Map<u64, u64>> = PState::new("callers/counts");
const EVEN: PState<Map<u64, u64>> = PState::new("callers/even");
const SMALL: PState<Map<u64, u64>> = PState::new("callers/small");

/// Counts numbers and replies with the count, refuses odd ones, and refuses large ones.
struct Callers;

impl Module for Callers {
    const NAME: &'static str = "callers";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("even", EVEN).source(NUMBERS).each(only_even);
        module.stream("count", COUNTS).source(NUMBERS).each_with(
            |number: u64, counts: &mut Map<u64, u64>, context: &mut Context<'_>| {
                let count = counts.entry(number).or_default();
                *count += 1;
                context.reply(&(*count, number as u8));
            },
        );
        module.stream("small", SMALL).source(NUMBERS).each(only_small);
    }
}

fn only_even(number: u64, even: &mut Map<u64, u64>) -> Result<(), u64> {
    even.insert(number, number);
    if number.is_multiple_of(2) { Ok(()) } else { Err(number) }
}

fn only_small(number: u64, small: &mut Map<u64, u64>) -> Result<(), String> {
    small.insert(number, number);
    if number < 1_000_000 { Ok(()) } else { Err(format!("{number} is large")) }
}

/// Counts how often a future is polled.
struct Counted<'a, F>(Pin<Box<F>>, &'a Cell<u64>);

impl<F: Future> Future for Counted<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<F::Output> {
        self.1.set(self.1.get() + 1);
        self.0.as_mut().poll(poller)
    }
}

/// Calls of one task at a time. Under tokio's budget of 128 polls each would be polled dozens of times.
const CALLS: u64 = 10_000;

async fn thousands() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Callers>().start().await?;
    let (client, polls) = (grid.client(), Cell::new(0));
    let append = |n: u64| Counted(Box::pin(client.append(NUMBERS, 2 * n)), &polls);
    let mut appends: FuturesUnordered<_> = (0..CALLS).map(append).collect();
    while let Some(receipt) = appends.next().await {
        assert_eq!(receipt?.reply::<(u64, u8)>("count")?.map(|(count, _)| count), Some(1));
    }
    // One to queue the event, one for the answer, and one in between if the mailbox was full.
    assert!(polls.take() <= 3 * CALLS, "{} polls", polls.get());
    let select = |n: u64| Counted(Box::pin(client.select_one(EVEN.key(2 * n))), &polls);
    let mut selects: FuturesUnordered<_> = (0..CALLS).map(select).collect();
    while let Some(found) = selects.next().await {
        assert!(found?.is_some());
    }
    assert_eq!(polls.get(), CALLS);
    let many = client.append_many(NUMBERS, (0..CALLS).map(|n| 2 * n)).await?;
    assert_eq!(many.reply::<(u64, u8)>(7, "count")?, Some((2, 14)));
    grid.caught_up("count").await;
    grid.processed().await;
    assert_eq!(grid.verify().await.problems, []);
    grid.shutdown().await?;
    Ok(())
}

#[test]
fn r075_thousands_of_calls_of_one_task_complete_on_any_runtime_or_none() -> Test {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(thousands())?;
    futures::executor::block_on(thousands())
}

#[tokio::test]
async fn r075_a_call_is_spawned_as_it_is() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Callers>().start().await?;
    let one = tokio::spawn(grid.client().append(NUMBERS, 2));
    let many = tokio::spawn(grid.client().append_many(NUMBERS, vec![4, 6]));
    let json = tokio::spawn(grid.client().append_json("callers/numbers", "8"));
    assert_eq!((one.await??.offset, many.await??.count, json.await??.offset < 4), (0, 2, true));
    let stored = grid.client().depot_info(NUMBERS).await?.records();
    assert_eq!(stored, 4);
    Ok(())
}

/// What is told of number `n`, which two handlers refuse and one replies to.
fn check_refused(kind: AppendErrorKind, n: u64, offset: u64) -> Test {
    let AppendErrorKind::Rejected(rejected) = kind else { panic!("{kind}") };
    let message =
        format!("rejected by topology `even`: {n}; rejected by topology `small`: {n} is large");
    assert_eq!(rejected.to_string(), message);
    assert_eq!(rejected.rejections.len(), 2);
    assert_eq!(rejected.by("even")?.expect("it refused").decode::<u64>()?, Some(n));
    let text = rejected.by("small")?.expect("it refused").decode::<String>()?;
    assert_eq!(text, Some(format!("{n} is large")));
    assert_eq!(rejected.by("count")?, None);
    assert_eq!(rejected.receipt.offset, offset);
    assert_eq!(rejected.receipt.reply::<(u64, u8)>("count")?, Some((1, n as u8)));
    assert_eq!(rejected.receipt.reply::<u64>("even")?, None, "it did not reply");
    // The bytes of the reply are those of other types, too.
    let wrong = rejected.receipt.reply::<u8>("count").expect_err("another type");
    assert!(matches!(wrong, ReplyError::WrongType { .. }), "{wrong}");
    let known = ["even", "count", "small"].map(str::to_owned).to_vec();
    let misspelt = ReplyError::UnknownTopology { topology: "counts".to_owned(), known };
    assert_eq!(rejected.receipt.reply::<(u64, u8)>("counts"), Err(misspelt.clone()));
    assert_eq!(rejected.by("counts"), Err(misspelt));
    Ok(())
}

#[tokio::test]
async fn r223_what_one_handler_refuses_does_not_hide_what_others_say() -> Test {
    let n = 1_000_001;
    let grid = Grid::in_memory().partitions(1).module::<Callers>().start().await?;
    let client = grid.client();
    client.append(NUMBERS, 2).await?;
    let error = client.append(NUMBERS, n).await.expect_err("two handlers refuse it");
    check_refused(error.kind, n, 1)?;
    let kind = client.append_json("callers/numbers", "1000003").await.expect_err("the same");
    check_refused(kind, 1_000_003, 2)?;
    // It is where the error says, and only those who refused it have undone what they wrote.
    assert_eq!(client.depot_read(NUMBERS, 0, 1..2).await?[0].event, n);
    let found = (client.select_one(EVEN.key(n)).await?, client.select_one(COUNTS.key(n)).await?);
    assert_eq!(found, (None, Some(1)));

    let local = Local::<Callers>::new(1)?;
    let error = local.append(NUMBERS, n).expect_err("two handlers refuse it");
    check_refused(error.kind, n, 0)
}

static AT_DROP: Latch = Latch::new();

/// Holds its partition's thread at a latch.
struct Held;

impl Module for Held {
    const NAME: &'static str = "callers";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("count", COUNTS).source(NUMBERS).each(
            |number: u64, counts: &mut Map<u64, u64>| {
                AT_DROP.pass();
                *counts.entry(number).or_default() += 1;
            },
        );
    }
}

// Row 024: a grid that is dropped lets go of its folder when its last thread has ended. Who starts
// there meanwhile waits for that; the folder of a grid that runs is refused at once.
#[tokio::test]
async fn r024_a_start_waits_for_a_grid_that_was_dropped() -> Test {
    let folder = tempfile::tempdir()?;
    let start = || Grid::builder(folder.path()).partitions(2).module::<Held>().start();
    let grid = start().await?;
    let pending = grid.client().try_append(NUMBERS, 1)?;
    let latch = AT_DROP.reached().await;
    let error = start().await.expect_err("a grid runs there");
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    drop(grid);
    let mut started = Box::pin(start());
    assert!(futures::poll!(&mut started).is_pending(), "a handler still runs");
    latch.open();
    let grid = started.await?;
    let error = pending.await.expect_err("nobody knows");
    assert!(matches!(error.kind, AppendErrorKind::Unknown { .. }), "{error}");
    assert!(grid.client().append(NUMBERS, 2).await.is_ok());
    // Following the advice of the error for one that takes too long: `halt` frees the folder.
    grid.halt().await;
    start().await?.shutdown().await?;
    Ok(())
}
