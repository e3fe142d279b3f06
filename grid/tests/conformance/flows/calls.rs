//! Calls to the outside: async functions that are called for records.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gridmill::persistence::{SimStorage, Storage};
use gridmill::prelude::*;
use gridmill::{Call, Calls, GridBuilder, Local, StartError};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::disk::Disk;
use crate::latch::Latch;
use crate::rejections::rejection;

type Test = Result<(), Box<dyn std::error::Error>>;

const SECOND: i64 = 1_000_000;

/// What the outside does with a question.
#[record]
#[derive(Copy)]
enum Ask {
    /// It answers at once.
    Answer { id: u64 },
    /// It answers at the attempt with this number, and fails before.
    AnswerAt { id: u64, attempt: u32 },
    /// It panics at the first attempt.
    Panic { id: u64 },
    /// It never answers at an attempt before this number.
    Hang { id: u64, attempt: u32 },
    /// It answers when the test lets it.
    Wait { id: u64 },
    /// It answers with what the grid shows.
    Read { id: u64 },
}

impl Ask {
    fn id(&self) -> u64 {
        match self {
            Self::Answer { id }
            | Self::AnswerAt { id, .. }
            | Self::Panic { id }
            | Self::Hang { id, .. }
            | Self::Wait { id }
            | Self::Read { id } => *id,
        }
    }
}

const ASKS: Depot<Ask> = Depot::hash_by("calls/asks", |ask| ask.id().into());
const PLAIN: Depot<u64> = Depot::hash_by("calls/plain", |id| id.into());
const SEEN: PState<Map<u64, u64>> = PState::new("calls/seen");
/// By id: how often, and what was answered last.
const ANSWERS: PState<Map<u64, (u64, u64)>> = PState::new("calls/answers");
const ANSWER: Stage<(u64, u64)> = Stage::here("answer");

/// By id: key and number of each attempt that was made.
static MADE: Mutex<BTreeMap<u64, Vec<(u128, u32)>>> = Mutex::new(BTreeMap::new());
/// Calls that hang and were dropped, by id.
static DROPPED: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
static OPEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
/// What lets those go that wait.
static GO: Semaphore = Semaphore::const_new(0);

struct Dropped(u64);

impl Drop for Dropped {
    fn drop(&mut self) {
        DROPPED.lock().insert(self.0);
    }
}

fn made(id: u64) -> Vec<(u128, u32)> {
    MADE.lock().get(&id).cloned().unwrap_or_default()
}

async fn ask(ask: Ask, call: Call) -> Result<(u64, u64), Str> {
    let id = ask.id();
    MADE.lock().entry(id).or_default().push((call.key(), call.attempt()));
    match ask {
        Ask::Answer { .. } => {}
        Ask::AnswerAt { attempt, .. } if call.attempt() < attempt => return Err("not yet".into()),
        Ask::AnswerAt { .. } => {}
        Ask::Panic { .. } => assert!(call.attempt() > 1, "the outside is on fire"),
        Ask::Hang { attempt, .. } if call.attempt() < attempt => {
            let _dropped = Dropped(id);
            pending::<()>().await;
        }
        Ask::Hang { .. } => {}
        Ask::Wait { .. } => {
            MOST.fetch_max(OPEN.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _let_go = GO.acquire().await.map_err(|_| "closed")?;
            OPEN.fetch_sub(1, Ordering::SeqCst);
        }
        Ask::Read { .. } => {
            let seen = call.client().select_one(SEEN.key(id)).await;
            return Ok((id, seen.map_err(|error| error.to_string())?.unwrap_or(0)));
        }
    }
    Ok((id, u64::from(call.attempt())))
}

struct Asking;

impl Module for Asking {
    const NAME: &'static str = "calls";

    fn define(module: &mut Setup) {
        module.depot(ASKS).depot(PLAIN);
        module
            .stream("seen", SEEN)
            .source(ASKS)
            .each(|ask: Ask, seen: &mut Map<u64, u64>| *seen.entry(ask.id()).or_default() += 1)
            .source(PLAIN)
            .each(|id: u64, seen: &mut Map<u64, u64>| *seen.entry(id).or_default() += 1);
        let calls = Calls::new().in_flight(3).attempts(3).timeout(Duration::from_secs(10));
        module
            .stream("ask", ANSWERS)
            .source(ASKS)
            .calls(calls.back_off(Duration::from_secs(1)))
            .each_async(ANSWER, ask)
            .stage(ANSWER)
            .each_with(answer);
    }
}

fn answer(
    (id, given): (u64, u64),
    answers: &mut Map<u64, (u64, u64)>,
    flow: &mut Context<'_>,
) -> Result<(), Str> {
    let answer = answers.entry(id).or_default();
    *answer = (answer.0 + 1, given);
    flow.reply(&given);
    Ok(())
}

fn on(clock: &Clock) -> GridBuilder {
    Grid::in_memory().clock(clock.clone()).partitions(2).threads(1).module::<Asking>()
}

async fn answers(
    client: &Client,
    id: u64,
) -> Result<Option<(u64, u64)>, Box<dyn std::error::Error>> {
    Ok(client.select_one(ANSWERS.key(id)).await?)
}

fn open(grid: &Grid) -> u64 {
    grid.stats().total(|partition| partition.calls)
}

/// Waits, without a clock, until something is so.
async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass until something is so: slowly, because nobody tells when a partition has heard of a failure.
async fn pass_until(clock: &Clock, is: impl Fn() -> bool) {
    let mut rounds = 0_u32;
    while !is() {
        rounds += 1;
        if rounds.is_multiple_of(20_000) {
            clock.set(clock.now() + SECOND / 4);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_append_is_answered_with_what_the_outside_says() -> Test {
    let grid = on(&Clock::manual(0)).start().await?;
    let client = grid.client();
    for id in 100..120 {
        let receipt = client.append(ASKS, Ask::Answer { id }).await?;
        assert_eq!(receipt.reply::<u64>("ask")?, Some(1));
        assert_eq!(answers(&client, id).await?, Some((1, 1)));
    }
    let keys: Vec<u128> = (100..120).flat_map(made).map(|(key, _)| key).collect();
    let mut different = keys.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!((keys.len(), different.len()), (20, 20));
    assert_eq!(open(&grid), 0);
    grid.shutdown().await?;
    Ok(())
}

// Row 142, and back-off: what fails is tried again, later and later.
#[tokio::test]
async fn r142_a_call_that_fails_is_made_again_with_the_same_key() -> Test {
    let clock = Clock::manual(0);
    let grid = on(&clock).start().await?;
    let client = grid.client();
    let waiting = tokio::spawn(client.append(ASKS, Ask::AnswerAt { id: 200, attempt: 3 }));
    until(|| made(200).len() == 1).await;
    clock.set(SECOND - 1);
    tokio::task::yield_now().await;
    assert_eq!(made(200).len(), 1, "the first time to wait is a second");
    pass_until(&clock, || made(200).len() == 2).await;
    let second = clock.now();
    assert_eq!((open(&grid), answers(&client, 200).await?), (1, None));
    pass_until(&clock, || made(200).len() == 3).await;
    assert!(clock.now() >= second + 2 * SECOND, "the next time is twice as long");
    let receipt = waiting.await??;
    assert_eq!(receipt.reply::<u64>("ask")?, Some(3));
    let made = made(200);
    assert_eq!(made.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(made.iter().all(|(key, _)| *key == made[0].0));
    Ok(())
}

#[tokio::test]
async fn r142_a_call_that_hangs_is_dropped_and_made_again() -> Test {
    let clock = Clock::manual(0);
    let grid = on(&clock).start().await?;
    let waiting = tokio::spawn(grid.client().append(ASKS, Ask::Hang { id: 300, attempt: 2 }));
    until(|| made(300).len() == 1).await;
    pass_until(&clock, || DROPPED.lock().contains(&300)).await;
    assert!(clock.now() >= 10 * SECOND);
    pass_until(&clock, || waiting.is_finished()).await;
    assert_eq!(waiting.await??.reply::<u64>("ask")?, Some(2));
    Ok(())
}

#[tokio::test]
async fn a_call_that_panics_has_failed() -> Test {
    let clock = Clock::manual(0);
    let grid = on(&clock).start().await?;
    let waiting = tokio::spawn(grid.client().append(ASKS, Ask::Panic { id: 310 }));
    pass_until(&clock, || waiting.is_finished()).await;
    assert_eq!(waiting.await??.reply::<u64>("ask")?, Some(2));
    Ok(())
}

#[tokio::test]
async fn after_the_last_attempt_a_record_is_set_aside_and_may_be_asked_again() -> Test {
    let clock = Clock::manual(0);
    let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
    let start = || on(&clock).storage(Arc::clone(&disk)).start();
    let grid = start().await?;
    let waiting = tokio::spawn(grid.client().append(ASKS, Ask::AnswerAt { id: 400, attempt: 9 }));
    pass_until(&clock, || waiting.is_finished()).await;
    assert_eq!(made(400).len(), 3);
    let failed = rejection(waiting.await?.unwrap_err().kind);
    assert_eq!((&*failed.message, failed.quarantined), ("the call failed: not yet", true));
    let held = grid.quarantine();
    assert_eq!((held.len(), &*held[0].depot, held[0].attempts), (1, "calls/asks", 3));
    assert_eq!(open(&grid), 0);
    grid.halt().await;
    // Neither a start nor a replay asks again.
    let grid = start().await?;
    grid.processed().await;
    assert_eq!((grid.quarantine().len(), open(&grid), made(400).len()), (1, 0, 3));
    // Whoever asks again, makes another call.
    grid.retry_quarantined(&grid.quarantine()[0]).await?;
    until(|| made(400).len() == 4).await;
    assert_ne!(made(400)[3].0, made(400)[0].0);
    assert_eq!((made(400)[3].1, grid.quarantine().len(), open(&grid)), (1, 0, 1));
    Ok(())
}

#[tokio::test]
async fn calls_without_an_answer_are_made_again_after_stops_of_every_kind() -> Test {
    for (cleanly, id) in [(true, 500), (false, 501)] {
        let clock = Clock::manual(0);
        let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
        let start =
            || on(&clock).storage(Arc::clone(&disk)).drain(Duration::from_millis(10)).start();
        let grid = start().await?;
        grid.client().append_with(ASKS, Ask::Hang { id, attempt: 2 }, Ack::Appended).await?;
        until(|| made(id).len() == 1).await;
        match cleanly {
            true => grid.shutdown().await?,
            false => grid.halt().await,
        }
        let grid = start().await?;
        until(|| made(id).len() == 2).await;
        assert_eq!((made(id)[1], open(&grid)), (made(id)[0], 1), "the same call");
        pass_until(&clock, || made(id).len() == 3).await;
        grid.processed().await;
        assert_eq!(answers(&grid.client(), id).await?, Some((1, 2)));
        grid.shutdown().await?;
        // What has its answer is not asked again.
        let grid = start().await?;
        grid.processed().await;
        assert_eq!((made(id).len(), answers(&grid.client(), id).await?), (3, Some((1, 2))));
        grid.halt().await;
    }
    Ok(())
}

// FLOWS 3, row 32; and as many at once as there may be.
#[tokio::test(flavor = "multi_thread")]
async fn slow_call_slow_caller_only() -> Test {
    let clock = Clock::manual(0);
    let grid = on(&clock).partitions(1).start().await?;
    let client = grid.client();
    let slow: Vec<_> =
        (600..610).map(|id| tokio::spawn(client.append(ASKS, Ask::Wait { id }))).collect();
    until(|| OPEN.load(Ordering::SeqCst) == 3).await;
    for id in 0..20 {
        client.append(PLAIN, id).await?;
    }
    assert!(slow.iter().all(|slow| !slow.is_finished()));
    until(|| open(&grid) == 10).await;
    GO.add_permits(1);
    for slow in slow {
        slow.await??;
    }
    assert_eq!((MOST.load(Ordering::SeqCst), open(&grid)), (3, 0));
    GO.forget_permits(1);
    Ok(())
}

#[tokio::test]
async fn nobody_is_called_for_a_record_that_is_not_durable() -> Test {
    static SYNCS: Latch = Latch::new();
    let disk = Disk::new(SimStorage::new());
    let grid = on(&Clock::manual(0)).storage(Arc::new(disk.clone())).start().await?;
    let client = grid.client();
    client.append(ASKS, Ask::Answer { id: 700 }).await?;
    disk.hold_syncs(&SYNCS);
    // So many that the partition does not wait for the sync before it handles them.
    let many = vec![Ask::Answer { id: 700 }; 20];
    let waiting = tokio::spawn(async move { client.append_many(ASKS, many).await });
    let held = SYNCS.reached().await;
    // Handled meanwhile, and not shown.
    until(|| open(&grid) == 20).await;
    assert_eq!(made(700).len(), 1);
    held.open();
    waiting.await??;
    assert_eq!(made(700).len(), 21);
    Ok(())
}

#[tokio::test]
async fn a_call_reads_what_its_record_did() -> Test {
    let grid = on(&Clock::manual(0)).start().await?;
    let client = grid.client();
    for times in 1..5 {
        let receipt = client.append(ASKS, Ask::Read { id: 800 }).await?;
        assert_eq!(receipt.reply::<u64>("ask")?, Some(times));
    }
    Ok(())
}

/// What cannot be.
mod wrong {
    use super::*;

    const ONE: Depot<u64> = Depot::random("wrong/one");
    const ELSEWHERE: Stage<u64> = Stage::hash_by("elsewhere", |id| id.into());
    const NOWHERE: Stage<u64> = Stage::here("nowhere");

    async fn echo(id: u64, _: Call) -> Result<u64, Str> {
        Ok(id)
    }

    pub(super) struct Wrong;

    impl Module for Wrong {
        const NAME: &'static str = "wrong";

        fn define(module: &mut Setup) {
            module.depot(ONE);
            module
                .stream("a", ())
                .source(ONE)
                .calls(Calls::new().in_flight(0))
                .each_async(ELSEWHERE, echo)
                .stage(ELSEWHERE)
                .each(|_: u64, (): ()| {});
            module.stream("b", ()).source(ONE).each_async(NOWHERE, echo);
        }
    }

    /// Another life of [`Asking`], without its calls.
    pub(super) struct Before;

    impl Module for Before {
        const NAME: &'static str = "calls";

        fn define(module: &mut Setup) {
            module.depot(ASKS).depot(PLAIN);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_at_the_start() -> Test {
    let refused = Grid::in_memory().module::<wrong::Wrong>().start().await.unwrap_err();
    let StartError::Declaration { problems, .. } = &refused else { panic!("{refused}") };
    assert_eq!(
        problems[..],
        [
            "topology `a` calls for records of `wrong/one` none at once; give `in_flight` at least 1",
            "topology `a` calls for records of `wrong/one` with results for stage `elsewhere`, which are handled where \
             the call was made; declare it with `Stage::here(\"elsewhere\")`, and send on from there",
            "topology `b` calls an async function with results for stage `nowhere`, which is not declared in it with \
             that type; add `.stage(..)` and a handler",
        ]
    );
    Ok(())
}

// FLOWS 3, row 35: who comes later does not call for all that was before.
#[tokio::test]
async fn a_topology_that_starts_in_the_past_does_not_call() -> Test {
    let disk: Arc<dyn Storage> = Arc::new(SimStorage::new());
    let before = Grid::in_memory().partitions(2).storage(Arc::clone(&disk));
    let grid = before.module::<wrong::Before>().start().await?;
    grid.client().append(ASKS, Ask::Answer { id: 900 }).await?;
    grid.shutdown().await?;
    let refused = on(&Clock::manual(0)).storage(disk).start().await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("`ask` calls async functions and would start in the past"), "{text}");
    assert!(made(900).is_empty());
    Ok(())
}

#[test]
fn without_a_runtime_nothing_is_called() -> Test {
    let refused = futures::executor::block_on(on(&Clock::manual(0)).start()).unwrap_err();
    let StartError::Option { option: "calls_on", .. } = refused else { panic!("{refused}") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let started = on(&Clock::manual(0)).calls_on(runtime.handle().clone()).start();
    let grid = futures::executor::block_on(started)?;
    futures::executor::block_on(grid.client().append(ASKS, Ask::Answer { id: 910 }))?;
    assert_eq!(made(910).len(), 1);
    futures::executor::block_on(grid.shutdown())?;
    Ok(())
}

#[test]
fn a_unit_test_makes_calls_at_once() -> Test {
    let local = Local::<Asking>::new(3)?;
    let receipt = local.append(ASKS, Ask::AnswerAt { id: 920, attempt: 3 })?;
    assert_eq!(receipt.reply::<u64>("ask")?, Some(3));
    let receipt = local.append(ASKS, Ask::Read { id: 920 })?;
    assert_eq!(receipt.reply::<u64>("ask")?, Some(2));
    let hangs = Ask::Hang { id: 921, attempt: 2 };
    let waits = rejection(local.append(ASKS, hangs).unwrap_err().kind);
    assert!(waits.message.contains("`Local` does not; test it in `Grid::in_memory`"), "{waits}");
    assert_eq!(local.append(ASKS, Ask::Panic { id: 923 })?.reply::<u64>("ask")?, Some(2));
    let fails = local.append(ASKS, Ask::AnswerAt { id: 922, attempt: 4 }).unwrap_err();
    assert_eq!(rejection(fails.kind).message, "the call failed: not yet");
    assert_eq!(local.select_one(ANSWERS.key(922))?, None);
    Ok(())
}
