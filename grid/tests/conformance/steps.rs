//! Row 229: a batch that touches more memory than there is room for is applied in steps, between which its
//! changes are written out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gridmill::client::ManyReceipt;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;
type Lists = Map<Str, List<u64>>;

const NUMBERS: Depot<u64> = Depot::random("steps/numbers");
const LISTS: PState<Lists> = PState::new("steps/lists");

/// Refuses every seventh number, and fails at one.
fn keep(number: u64, lists: &mut Lists, context: &mut Context<'_>) -> Result<(), String> {
    assert_ne!(number, 13, "no thirteen, please");
    lists.entry("all".into()).or_default().push_back(number);
    if number % 7 == 3 {
        return Err("one of seven".to_owned());
    }
    context.reply(&number);
    Ok(())
}

/// What the list has of `numbers`.
fn kept(numbers: std::ops::Range<u64>) -> Vec<u64> {
    numbers.filter(|number| number % 7 != 3 && *number != 13).collect()
}

async fn list(client: &Client) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let list = client.select_one(LISTS.key("all")).await?;
    Ok(list.into_iter().flatten().collect())
}

/// Eight records a step, the fewest, and a flush after each.
async fn start<M: Module>(disk: &Arc<SimStorage>) -> Result<Grid, Box<dyn std::error::Error>> {
    let builder = Grid::in_memory().storage(Arc::clone(disk) as _).partitions(1).threads(1);
    Ok(builder.overlay_bytes_max(1).module::<M>().start().await?)
}

/// Everybody who appended has an answer, at the place of the event.
fn check_answers(receipt: &ManyReceipt, numbers: std::ops::Range<u64>) -> Test {
    let mut answers = 0;
    for (index, number) in numbers.enumerate() {
        let reply = receipt.reply::<u64>(index, "steps")?;
        let rejected = receipt.rejections.iter().filter(|(of, _)| *of == index).collect::<Vec<_>>();
        match number {
            13 => assert!(rejected.len() == 1 && rejected[0].1.quarantined, "{rejected:?}"),
            _ if number % 7 == 3 => assert_eq!(rejected[0].1.message, "one of seven"),
            _ => assert_eq!((reply, rejected.len()), (Some(number), 0)),
        }
        answers += usize::from(reply.is_some()) + rejected.len();
    }
    assert_eq!(answers as u64, receipt.count, "one each");
    assert_eq!(answers, receipt.replies.len() + receipt.rejections.len(), "and no more");
    Ok(())
}

struct Plain;

impl Module for Plain {
    const NAME: &'static str = "steps";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("steps", LISTS).source(NUMBERS).each_with(keep);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r229_readers_see_whole_steps() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Plain>(&disk).await?;
    let client = grid.client();
    let appends = tokio::spawn(client.append_many(NUMBERS, 0..40));
    let (whole, mut seen) = (kept(0..40), 0);
    while !appends.is_finished() {
        let now = list(&client).await?;
        assert!(whole.starts_with(&now), "{now:?}: what is refused is never seen");
        assert!(now.len() >= seen, "{now:?}: there were {seen}");
        seen = now.len();
        tokio::task::yield_now().await;
    }
    check_answers(&appends.await??, 0..40)?;
    assert_eq!(list(&client).await?, whole);
    let flushes = grid.stats().total(|partition| partition.flushes);
    assert!(flushes > 3, "{flushes} flushes for forty records that each are too much");
    grid.halt().await;
    let grid = start::<Plain>(&disk).await?;
    assert_eq!(list(&grid.client()).await?, whole);
    assert_eq!(grid.quarantine().len(), 1);
    Ok(())
}

/// The first two times that a handler meets 30.
static UNSTABLE: AtomicU64 = AtomicU64::new(0);

/// A handler that is found to be unstable in the middle of a batch, and is not when it is tried again.
struct Unstable;

impl Module for Unstable {
    const NAME: &'static str = "steps";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("steps", LISTS).source(NUMBERS).each_with(
            |number: u64, lists: &mut Lists, context: &mut Context<'_>| {
                if number == 30 {
                    let times = UNSTABLE.fetch_add(1, Ordering::Relaxed).min(2);
                    lists.entry("times".into()).or_default().push_back(times);
                }
                keep(number, lists, context)
            },
        );
    }
}

#[tokio::test]
async fn r229_a_restart_in_the_middle_of_a_batch_loses_no_answer() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Unstable>(&disk).await?;
    let client = grid.client();
    check_answers(&client.append_many(NUMBERS, 0..40).await?, 0..40)?;
    assert_eq!(list(&client).await?, kept(0..40));
    let times = client.select_one(LISTS.key("times")).await?;
    assert_eq!(times, Some([2].into_iter().collect()), "it died, and did it again");
    let stats = grid.stats();
    assert_eq!(stats.total(|partition| partition.restarts), 1);
    let replayed = stats.total(|partition| partition.replayed);
    assert!((1..40).contains(&replayed), "{replayed} records came after what was written out");
    Ok(())
}

static POISON: AtomicBool = AtomicBool::new(true);
static LATCH: Latch = Latch::new();

/// Waits in the middle of a batch, and is repaired meanwhile.
struct Waits;

impl Module for Waits {
    const NAME: &'static str = "steps";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("steps", LISTS).source(NUMBERS).each_with(
            |number: u64, lists: &mut Lists, context: &mut Context<'_>| {
                if number == 45 {
                    LATCH.pass();
                }
                if number == 13 && !POISON.load(Ordering::Relaxed) {
                    lists.entry("all".into()).or_default().push_back(number);
                    return Ok(());
                }
                keep(number, lists, context)
            },
        );
    }
}

#[tokio::test]
async fn r229_a_retry_comes_after_the_whole_batch() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Waits>(&disk).await?;
    let client = grid.client();
    client.append(NUMBERS, 13).await.expect_err("it panics");
    let record = grid.quarantine().remove(0);
    POISON.store(false, Ordering::Relaxed);
    let appends = tokio::spawn(client.append_many(NUMBERS, 20..60));
    let opener = LATCH.reached().await;
    while list(&client).await?.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(kept(20..45).starts_with(&list(&client).await?), "the steps before");
    let mut retry = Box::pin(grid.retry_quarantined(&record));
    assert!(futures::poll!(&mut retry).is_pending(), "a handler holds its partition");
    opener.open();
    retry.await?;
    check_answers(&appends.await??, 20..60)?;
    let mut all = kept(20..60);
    all.push(13);
    assert_eq!(list(&client).await?, all);
    grid.halt().await;
    let grid = start::<Waits>(&disk).await?;
    assert_eq!(list(&grid.client()).await?, all, "a replay does the same");
    assert!(grid.quarantine().is_empty());
    Ok(())
}

static HELD: Latch = Latch::new();

/// Keeps odd numbers; waits at the first.
struct Odd;

impl Module for Odd {
    const NAME: &'static str = "steps";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("steps", LISTS).source(NUMBERS).each(|number: u64, lists: &mut Lists| {
            if number == 1 {
                HELD.pass();
            }
            if number % 2 == 1 {
                lists.entry("all".into()).or_default().push_back(number);
            }
        });
    }
}

// The last step changes nothing, so that nothing has to be written out after it: nothing else would have the
// partition look at its mailbox.
#[tokio::test]
async fn r229_who_comes_during_a_batch_is_not_forgotten() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Odd>(&disk).await?;
    let client = grid.client();
    let batch = tokio::spawn(client.append_many(NUMBERS, [1, 2, 2, 2, 2, 2, 2, 2, 2]));
    let opener = HELD.reached().await;
    let mut single = Box::pin(client.append(NUMBERS, 3));
    assert!(futures::poll!(&mut single).is_pending());
    opener.open();
    batch.await??;
    single.await?;
    assert_eq!(list(&client).await?, [1, 3]);
    grid.shutdown().await?;
    Ok(())
}

type Beside<'a> = (&'a mut Set<u64>, &'a mut Option<Str>, &'a mut Lists);

const SEEN: PState<Set<u64>> = PState::new("steps/seen");
const LAST: PState<Option<Str>> = PState::new("steps/last");

/// Changes its roots that are one value in some records only.
fn note(number: u64, (seen, last, lists): Beside<'_>) {
    seen.insert(number % 40);
    if number.is_multiple_of(7) {
        *last = Some(format!("{}", number % 3).into());
    }
    lists.entry(format!("{}", number % 300).into()).or_default().push_back(number);
}

struct Noting;

impl Module for Noting {
    const NAME: &'static str = "noting";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("note", (SEEN, LAST, LISTS)).source(NUMBERS).each(note);
    }
}

// Row 229: where changes are written out between steps, the same values come from memory or from runs: the
// check that handlers are deterministic compares what they are, not where they lie.
#[tokio::test]
async fn r229_the_check_of_handlers_sees_values_and_not_where_they_lie() -> Test {
    for bytes in [1, 16 << 10, 1 << 20] {
        let builder = Grid::in_memory().partitions(1).check_handlers(true).module::<Noting>();
        let grid = builder.overlay_bytes_max(bytes).cache_bytes_max(bytes / 4).start().await?;
        let client = grid.client();
        client.append_many(NUMBERS, 0..3000).await?;
        client.append_many(NUMBERS, 3000..6000).await?;
        assert_eq!(client.select_one(SEEN.len()).await?, Some(40));
        assert_eq!(client.select_one(LISTS.key("7").len()).await?, Some(20));
        assert_eq!(grid.stats().total(|partition| partition.restarts), 0);
    }
    Ok(())
}

static COIN: AtomicU64 = AtomicU64::new(0);

struct Tossing;

impl Module for Tossing {
    const NAME: &'static str = "tossing";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("toss", LISTS).source(NUMBERS).each(|number: u64, lists: &mut Lists| {
            lists.entry("all".into()).or_default().push_back(number);
            let coin = COIN.fetch_add(1, Ordering::Relaxed);
            lists.entry("coins".into()).or_default().push_back(coin);
        });
    }
}

// A handler that is not deterministic is so at every restart too: who waits is told at once.
#[tokio::test]
async fn a_handler_that_is_not_deterministic_is_told_and_not_tried_again_and_again() -> Test {
    let grid = Grid::in_memory().partitions(1).module::<Tossing>().start().await?;
    let error = grid.client().append(NUMBERS, 1).await.err().ok_or("nobody has noticed")?;
    assert!(error.to_string().contains("`toss` is not deterministic"), "{error}");
    let stats = grid.stats();
    assert!(stats.total(|partition| partition.restarts) <= 1, "{stats:?}");
    assert!(error.to_string().contains("steps/lists"), "{error}");
    Ok(())
}

static STUMBLES: AtomicU64 = AtomicU64::new(0);

struct Stumbling;

impl Module for Stumbling {
    const NAME: &'static str = "stumbling";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("stumble", LISTS).source(NUMBERS).each(|number: u64, lists: &mut Lists| {
            lists.entry("all".into()).or_default().push_back(number);
            // In the middle of the second run of the first batch, and never again.
            assert!(STUMBLES.fetch_add(1, Ordering::Relaxed) != 4, "it stumbles");
        });
    }
}

// What a run of the check has done before it panicked is undone: each record counts once.
#[tokio::test]
async fn a_handler_that_stumbles_when_it_is_checked_counts_once() -> Test {
    let grid = Grid::in_memory().partitions(1).check_handlers(true).module::<Stumbling>();
    let grid = grid.start().await?;
    let client = grid.client();
    client.append_many(NUMBERS, 0..3).await?;
    client.append_many(NUMBERS, 3..6).await?;
    assert_eq!(client.select(LISTS.key("all").all()).await?, (0..6).collect::<Vec<_>>());
    assert!(grid.quarantine().is_empty());
    Ok(())
}
