//! Single appends that wait in a mailbox together are logged together, and each has its own answer.

use std::sync::Arc;

use gridmill::client::AppendErrorKind;
use gridmill::persistence::{Faults, SimStorage};
use gridmill::prelude::*;

use crate::disk::Disk;
use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;

const NUMBERS: Depot<u64> = Depot::hash_by("together/numbers", |number| (*number).into());
const LETTERS: Depot<char> = Depot::hash_by("together/letters", |letter| u64::from(*letter).into());
const EVEN: PState<Map<u64, u64>> = PState::new("together/even");
static AT_ANSWERS: Latch = Latch::new();
static AT_LOSSES: Latch = Latch::new();
static AT_TURNS: Latch = Latch::new();
static AT_SYNC: Latch = Latch::new();

/// Replies with twice the number and refuses odd ones. The first number waits at the latch.
fn on_number(
    number: u64,
    even: &mut Map<u64, u64>,
    context: &mut Context<'_>,
    latch: &Latch,
) -> Result<(), String> {
    if number == 0 {
        latch.pass();
    }
    if number % 2 == 1 {
        return Err(format!("{number} is odd"));
    }
    even.insert(number, context.offset());
    context.reply(&(2 * number));
    Ok(())
}

struct Answers;

impl Module for Answers {
    const NAME: &'static str = "together";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("even", EVEN).source(NUMBERS).each_with(
            |number: u64, even: &mut Map<u64, u64>, context: &mut Context<'_>| {
                on_number(number, even, context, &AT_ANSWERS)
            },
        );
    }
}

struct Losses;

impl Module for Losses {
    const NAME: &'static str = "together";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("even", EVEN).source(NUMBERS).each_with(
            |number: u64, even: &mut Map<u64, u64>, context: &mut Context<'_>| {
                on_number(number, even, context, &AT_LOSSES)
            },
        );
    }
}

#[tokio::test]
async fn each_of_them_hears_of_its_own_event() -> Test {
    let grid = Grid::in_memory().partitions(1).module::<Answers>().start().await?;
    let client = grid.client();
    let held = client.try_append(NUMBERS, 0)?;
    let latch = AT_ANSWERS.reached().await;
    let durable = client.append_with(NUMBERS, 1, Ack::Appended);
    let answers: Vec<_> =
        (2..100).map(|number| client.try_append(NUMBERS, number)).collect::<Result<_, _>>()?;
    let (durable, ()) = tokio::join!(durable, async { latch.open() });
    assert!(durable?.replies.is_empty(), "what a handler says to it is not waited for");
    assert_eq!(held.await?.reply::<u64>("even")?, Some(0));
    for (number, answer) in (2..).zip(answers) {
        match answer.await {
            Ok(receipt) => {
                assert_eq!(receipt.reply::<u64>("even")?, Some(2 * number));
                let (logged, next) = (receipt.offset, receipt.offset + 1);
                assert_eq!(client.select_one(EVEN.key(number)).await?, Some(logged));
                let records = client.depot_read(NUMBERS, 0, logged..next).await?;
                assert!(records.iter().map(|record| record.event).eq([number]));
                assert_eq!(records[0].position, receipt.position);
            }
            Err(error) => {
                let AppendErrorKind::Rejected(rejected) = error.kind else { panic!("{error}") };
                assert_eq!(rejected.rejections[0].message, format!("{number} is odd"));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_of_them_gets_its_own_event_back() -> Test {
    let sim = SimStorage::new();
    let builder = Grid::builder("sim").storage(Arc::new(sim.clone())).partitions(1);
    let grid = builder.module::<Losses>().start().await?;
    let client = grid.client();
    let held = client.try_append(NUMBERS, 0)?;
    let latch = AT_LOSSES.reached().await;
    let answers: Vec<_> =
        (2..100).map(|number| client.try_append(NUMBERS, number)).collect::<Result<_, _>>()?;
    sim.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
    latch.open();
    held.await?;
    for (number, answer) in (2..).zip(answers) {
        let error = answer.await.expect_err("the write failed");
        assert!(error.kind.is_not_logged(), "{error}");
        assert_eq!(error.events, Some(number));
    }
    assert_eq!(client.append(NUMBERS, 2).await?.offset, 1, "nothing of them is in the depot");
    Ok(())
}

struct Turns;

impl Module for Turns {
    const NAME: &'static str = "together";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS).depot(LETTERS);
        module.stream("even", EVEN).source(NUMBERS).each_with(
            |number: u64, even: &mut Map<u64, u64>, context: &mut Context<'_>| {
                on_number(number, even, context, &AT_TURNS)
            },
        );
    }
}

// The log refuses what is written after a sync that failed, until it has gone on in a new segment. What
// was refused is logged there as it was sent.
#[tokio::test]
async fn a_failed_sync_keeps_the_order_of_those_that_wait() -> Test {
    let disk = Disk::new(SimStorage::new());
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(1);
    let grid = builder.module::<Turns>().start().await?;
    let client = grid.client();
    disk.hold_syncs(&AT_SYNC);
    // So many that their sync runs beside the handler.
    let first = client.append_many_with(NUMBERS, (0..40).map(|number| 2 * number), Ack::Appended);
    let mut first = Box::pin(first);
    assert!(futures::poll!(&mut first).is_pending());
    let (handler, sync) = (AT_TURNS.reached().await, AT_SYNC.reached().await);
    let mut answers = Vec::new();
    for (number, letter) in (50..60).zip('a'..) {
        // Events of another depot between them: each has to be put back by itself.
        answers
            .push((client.try_append(NUMBERS, 2 * number)?, client.try_append(LETTERS, letter)?));
    }
    disk.sim.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    sync.open();
    disk.failed().await;
    handler.open();
    first.await?;
    for (turn, (number, letter)) in (0..).zip(answers) {
        assert_eq!((number.await?.offset, letter.await?.offset), (40 + turn, turn));
    }
    let letters = client.depot_read(LETTERS, 0, 0..10).await?;
    assert!(letters.iter().map(|record| record.event).eq('a'..='j'));
    Ok(())
}
