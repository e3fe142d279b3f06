//! Row 037: appends with an id that the caller chose are done once, however often they are tried.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gridmill::client::{AppendErrorKind, Receipt, Repeated};
use gridmill::persistence::{Faults, SimStorage};
use gridmill::prelude::*;
use gridmill::{GridBuilder, Local};

use crate::disk::Disk;
use crate::lives::stop;

type Test = Result<(), Box<dyn std::error::Error>>;

#[record]
struct Payment {
    account: u64,
    amount: u64,
}

const PAYMENTS: Depot<Payment> = Depot::hash_by("once/payments", |paid| paid.account.into());
const ANYWHERE: Depot<u64> = Depot::random("once/anywhere");
const TOTALS: PState<Map<u64, u64>> = PState::new("once/totals");

/// Sums up payments, and replies with the sum; those of nothing are refused.
struct Once;

impl Module for Once {
    const NAME: &'static str = "once";

    fn define(module: &mut Setup) {
        module.depot(PAYMENTS);
        module.depot(ANYWHERE);
        module.stream("totals", TOTALS).source(PAYMENTS).each_with(
            |paid: Payment, totals: &mut Map<u64, u64>, context: &mut Context<'_>| {
                if paid.amount == 0 {
                    return Err("nothing was paid");
                }
                let total = totals.entry(paid.account).or_default();
                *total += paid.amount;
                context.reply(&*total);
                Ok(())
            },
        );
    }
}

fn pay(account: u64, amount: u64) -> Payment {
    Payment { account, amount }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn builder() -> GridBuilder {
    Grid::in_memory().partitions(2).threads(1).module::<Once>()
}

async fn logged(client: &Client) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(client.depot_info(PAYMENTS).await?.records())
}

fn assert_repeats(repeat: &Receipt, first: &Receipt, how: Repeated) {
    assert_eq!(repeat.repeated, Some(how));
    let place = |receipt: &Receipt| (receipt.partition, receipt.offset, receipt.position);
    assert_eq!(place(repeat), place(first));
    let known: &[_] = if how == Repeated::Known { &first.replies } else { &[] };
    assert_eq!(repeat.replies, known);
}

#[tokio::test]
async fn r037_a_repeated_append_is_answered_with_the_first_result() -> Test {
    let grid = builder().start().await?;
    let client = grid.client();
    let first = client.append_once(PAYMENTS, id(1), pay(7, 5)).await?;
    assert_eq!((first.repeated, first.reply::<u64>("totals")?), (None, Some(5)));
    client.append_once(PAYMENTS, id(2), pay(7, 5)).await?;
    for _ in 0..3 {
        let repeat = client.append_once(PAYMENTS, id(1), pay(7, 5)).await?;
        assert_repeats(&repeat, &first, Repeated::Known);
    }
    assert_eq!(client.select_one(TOTALS.key(7)).await?, Some(10));
    assert_eq!(logged(&client).await?, 2);
    Ok(())
}

#[tokio::test]
async fn r037_a_refusal_is_repeated_too() -> Test {
    let grid = builder().start().await?;
    let client = grid.client();
    let mut offsets = BTreeSet::new();
    for repeated in [None, Some(Repeated::Known), Some(Repeated::Known)] {
        let error = client.append_once(PAYMENTS, id(1), pay(7, 0)).await.unwrap_err();
        let AppendErrorKind::Rejected(rejected) = error.kind else { panic!("{error}") };
        assert_eq!(rejected.receipt.repeated, repeated);
        assert_eq!(rejected.rejections.len(), 1);
        assert_eq!(rejected.rejections[0].message, "nothing was paid");
        offsets.insert(rejected.receipt.offset);
    }
    assert_eq!(offsets, BTreeSet::from([0]));
    Ok(())
}

#[tokio::test]
async fn r037_an_id_names_one_event_of_a_partition() -> Test {
    let grid = builder().start().await?;
    let client = grid.client();
    client.append_once(PAYMENTS, id(1), pay(7, 5)).await?;
    let error = client.append_once(PAYMENTS, id(1), pay(7, 6)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&id(1).to_string()) && text.contains("once/payments"), "{text}");
    assert!(matches!(&error.kind, AppendErrorKind::IdTaken { id: taken, .. } if *taken == id(1)));
    let event = error.events.expect("it was not logged");
    // What the error says to do.
    client.append_once(PAYMENTS, id(2), event).await?;
    // Another partition knows nothing of it: that is another append.
    let here = RouteKey::from(7_u64).partition(2);
    let other = (0..).find(|&account: &u64| RouteKey::from(account).partition(2) != here);
    let other = other.expect("some account lives there");
    assert_eq!(client.append_once(PAYMENTS, id(1), pay(other, 5)).await?.repeated, None);
    assert_eq!(client.select_one(TOTALS.key(7)).await?, Some(11));
    assert_eq!(logged(&client).await?, 3);
    Ok(())
}

#[tokio::test]
async fn r037_any_partition_is_the_same_one_each_time() -> Test {
    let grid = builder().partitions(16).start().await?;
    let client = grid.client();
    let mut partitions = BTreeSet::new();
    for number in 0..50 {
        let first = client.append_once(ANYWHERE, id(number), 1).await?;
        let repeat = client.append_once(ANYWHERE, id(number), 1).await?;
        assert_repeats(&repeat, &first, Repeated::Known);
        partitions.insert(first.partition);
    }
    assert!(partitions.len() > 8, "{partitions:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r037_at_once_from_many_tasks() -> Test {
    let grid = builder().start().await?;
    for round in 0..20 {
        let call = |number: u64| {
            let client = grid.client();
            // Between them are others, of which each counts.
            async move {
                let plain = client.append(PAYMENTS, pay(number, 1));
                let once = client.append_once(PAYMENTS, id(round), pay(1000, 1)).await;
                plain.await.map(|_| once)
            }
        };
        let calls: Vec<_> = (0..50).map(|number| tokio::spawn(call(number))).collect();
        let mut receipts = Vec::new();
        for call in calls {
            receipts.push(call.await???);
        }
        let firsts: Vec<_> = receipts.iter().filter(|receipt| receipt.repeated.is_none()).collect();
        assert_eq!(firsts.len(), 1, "one of them was logged");
        let repeats = receipts.iter().filter(|receipt| receipt.repeated.is_some());
        repeats.for_each(|repeat| assert_repeats(repeat, firsts[0], Repeated::Known));
    }
    let client = grid.client();
    assert_eq!(client.select_one(TOTALS.key(1000)).await?, Some(20));
    assert_eq!(logged(&client).await?, 20 + 20 * 50);
    Ok(())
}

#[tokio::test]
async fn r037_after_restarts_and_kills() -> Test {
    let folder = Arc::new(SimStorage::new());
    let builder = builder().storage(folder).overlay_bytes_max(4 << 10).tail_bytes_max(16 << 10);
    let mut firsts: Vec<Receipt> = Vec::new();
    let mut lost = BTreeSet::new();
    for life in 0..4_u128 {
        let grid = builder.clone().start().await?;
        let client = grid.client();
        for (number, first) in (0..).zip(&firsts) {
            let repeat =
                client.append_once(PAYMENTS, id(number), pay(number as u64 % 9, 1)).await?;
            // The last answer of a partition goes into the log with the batch behind it, or at a stop.
            let is_last =
                !firsts[number as usize + 1..].iter().any(|it| it.partition == first.partition);
            let halted = life % 2 == 1;
            if is_last && halted && repeat.repeated == Some(Repeated::BeforeRestart) {
                // What is unknown after a kill stays so.
                lost.insert(number);
            }
            let unknown = lost.contains(&number);
            let how = if unknown { Repeated::BeforeRestart } else { Repeated::Known };
            assert_repeats(&repeat, first, how);
        }
        if life > 0 {
            let error = client.append_once(PAYMENTS, id(0), pay(0, 2)).await.unwrap_err();
            assert!(matches!(error.kind, AppendErrorKind::IdTaken { .. }), "{error}");
        }
        for number in life * 300..(life + 1) * 300 {
            let event = pay(number as u64 % 9, 1);
            let first = client.append_once(PAYMENTS, id(number), event).await?;
            assert_eq!(first.repeated, None);
            firsts.push(first);
        }
        assert_eq!(logged(&client).await?, firsts.len() as u64);
        let totals = client.select_all(TOTALS.map_vals()).await?;
        assert_eq!(totals.into_iter().sum::<u64>(), firsts.len() as u64);
        if life % 2 == 0 { grid.halt().await } else { grid.shutdown().await? }
    }
    Ok(())
}

/// Payments whose receipt a stage on another partition replies with.
const SENT: Depot<Payment> = Depot::hash_by("once/sent", |paid| paid.account.into());
const CAME: PState<Map<u64, u64>> = PState::new("once/came");
const COME: Stage<Payment> = Stage::hash_by("come", |paid| (paid.account + 1).into());

struct Sends;

impl Module for Sends {
    const NAME: &'static str = "once";

    fn define(module: &mut Setup) {
        module.depot(SENT);
        module
            .stream("sends", CAME)
            .source(SENT)
            .over(())
            .each_with(|paid: Payment, (): (), flow: &mut Context<'_>| flow.send(COME, paid))
            .stage(COME)
            .each_with(|paid: Payment, came: &mut Map<u64, u64>, flow: &mut Context<'_>| {
                let sum = came.entry(paid.account + 1).or_default();
                *sum += paid.amount;
                if paid.amount == 0 {
                    flow.reject(&Str::from("nothing has come"));
                }
                flow.reply(&*sum);
            });
    }
}

// What stages said, on other partitions, is known to later lives: of replies and of refusals.
#[tokio::test]
async fn r037_what_stages_said_is_known_after_a_stop() -> Test {
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(4).threads(1).storage(storage).module::<Sends>();
    let grid = builder.clone().start().await?;
    let client = grid.client();
    let mut firsts = Vec::new();
    for number in 0..50 {
        firsts.push(client.append_once(SENT, id(number), pay(number as u64 % 5, 1)).await?);
    }
    let refused = client.append_once(SENT, id(99), pay(3, 0)).await.unwrap_err();
    let AppendErrorKind::Rejected(refused) = refused.kind else { panic!("{refused}") };
    let mut grid = grid;
    for cleanly in [true, false] {
        stop(grid, cleanly).await?;
        grid = builder.clone().start().await?;
        let client = grid.client();
        for (number, first) in (0..).zip(&firsts) {
            let repeat = client.append_once(SENT, id(number), pay(number as u64 % 5, 1)).await?;
            assert_repeats(&repeat, first, Repeated::Known);
            assert_eq!(repeat.reply::<u64>("sends")?, first.reply::<u64>("sends")?);
            assert!(repeat.reply::<u32>("sends").is_err(), "it is of another type");
        }
        let again = client.append_once(SENT, id(99), pay(3, 0)).await.unwrap_err();
        let AppendErrorKind::Rejected(again) = again.kind else { panic!("{again}") };
        assert_eq!(again.rejections, refused.rejections);
        assert_eq!(again.rejections[0].decode::<Str>()?, Some("nothing has come".into()));
        assert_eq!(client.select_one(CAME.key(1)).await?, Some(10));
    }
    Ok(())
}

#[tokio::test]
async fn r037_ids_are_kept_for_the_window() -> Test {
    let clock = Clock::manual(1_000_000);
    let window = Duration::from_secs(60);
    let storage = Arc::new(SimStorage::new());
    let builder = builder().storage(storage).clock(clock.clone()).once_window(window);
    let grid = builder.clone().start().await?;
    let client = grid.client();
    let first = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    clock.set(61_000_000);
    let repeat = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    assert_repeats(&repeat, &first, Repeated::Known);
    grid.halt().await;

    let grid = builder.start().await?;
    let client = grid.client();
    let repeat = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    assert_repeats(&repeat, &first, Repeated::Known);
    clock.set(61_000_001);
    let second = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    assert_eq!((second.repeated, second.offset), (None, first.offset + 1));
    // It is known as the new one from now on.
    clock.set(121_000_001);
    let repeat = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    assert_repeats(&repeat, &second, Repeated::Known);
    Ok(())
}

#[tokio::test]
async fn r037_ids_are_bounded() -> Test {
    let clock = Clock::manual(0);
    let builder = builder().clock(clock.clone()).once_ids_max(3);
    let grid = builder.once_window(Duration::from_secs(1)).start().await?;
    let client = grid.client();
    for number in 0..3 {
        client.append_once(PAYMENTS, id(number), pay(7, 1)).await?;
    }
    let error = client.append_once(PAYMENTS, id(3), pay(7, 1)).await.unwrap_err();
    let AppendErrorKind::TooManyIds { expected, .. } = error.kind else { panic!("{error}") };
    assert_eq!(expected, 3);
    let event = error.events.expect("it was not logged");
    // Those that are known are answered, and appends without an id go on.
    let repeat = client.append_once(PAYMENTS, id(0), pay(7, 1)).await?;
    assert_eq!(repeat.repeated, Some(Repeated::Known));
    client.append(PAYMENTS, pay(7, 1)).await?;
    // What the error says to do: wait.
    clock.set(1_000_001);
    client.append_once(PAYMENTS, id(3), event).await?;
    assert_eq!(client.select_one(TOTALS.key(7)).await?, Some(5));
    Ok(())
}

// A full disk refuses the event and gives it back; nothing is known of its id then.
#[tokio::test]
async fn r037_on_a_full_disk() -> Test {
    let disk = Disk::new(SimStorage::new());
    let grid = builder().storage(Arc::new(disk.clone())).start().await?;
    let client = grid.client();
    let first = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    disk.sim.set_space_left(Some(0));
    fill(&client).await;
    for _ in 0..3 {
        let error = client.append_once(PAYMENTS, id(2), pay(7, 2)).await.unwrap_err();
        assert!(matches!(error.kind, AppendErrorKind::StorageFull { .. }), "{error}");
        assert_eq!(error.events.map(|event| event.amount), Some(2));
        // Where the event is logged already, nothing has to be written.
        let repeat = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
        assert_repeats(&repeat, &first, Repeated::Known);
    }
    disk.sim.set_space_left(None);
    // Not taken by what was refused.
    let second = client.append_once(PAYMENTS, id(2), pay(7, 3)).await?;
    assert_eq!(second.repeated, None);
    assert_eq!(client.select_one(TOTALS.key(7)).await?, Some(4));
    Ok(())
}

/// Appends until nothing more fits on the partition of account 7.
async fn fill(client: &Client) {
    let home = |account: u64| RouteKey::from(account).partition(2);
    let beside = (8..).find(|&account| home(account) == home(7)).expect("there is one");
    for count in [1000, 1] {
        let some = || (0..count).map(|_| pay(beside, 1)).collect::<Vec<_>>();
        while client.append_many(PAYMENTS, some()).await.is_ok() {}
    }
}

// The first id on a partition needs a file that says so.
#[tokio::test]
async fn r037_the_first_id_on_a_full_disk() -> Test {
    let disk = Disk::new(SimStorage::new());
    let grid = builder().storage(Arc::new(disk.clone())).start().await?;
    let client = grid.client();
    client.append(PAYMENTS, pay(7, 1)).await?;
    disk.sim.set_faults(Faults { space_left: Some(0), ..Faults::default() });
    let error = client.append_once(PAYMENTS, id(1), pay(7, 1)).await.unwrap_err();
    assert!(error.kind.is_not_logged() && error.events.is_some(), "{error}");
    disk.sim.set_faults(Faults::default());
    let first = client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
    assert_eq!((first.repeated, first.offset), (None, 1));
    Ok(())
}

// Nobody knows whether a write that failed is in the log: what the next one with the id is answered, is so.
#[tokio::test]
async fn r037_a_write_of_which_nothing_is_known_is_settled_by_trying_again() -> Test {
    for seed in 0..12 {
        let disk = Disk::new(SimStorage::with_faults(seed, Faults::default()));
        let grid = builder().storage(Arc::new(disk.clone())).start().await?;
        let client = grid.client();
        client.append_once(PAYMENTS, id(1), pay(7, 1)).await?;
        let faults = Faults { fail_write: Some(1), space_left: Some(0), ..Faults::default() };
        disk.sim.set_faults(faults);
        let error = client.append_once(PAYMENTS, id(2), pay(7, 10)).await.unwrap_err();
        assert!(matches!(error.kind, AppendErrorKind::Unknown { .. }), "{error}");
        disk.sim.set_space_left(None);
        let (grid, client) = if seed % 2 == 0 {
            (grid, client)
        } else {
            drop(client);
            grid.halt().await;
            let disk = Disk::new(disk.sim.kill());
            let grid = builder().storage(Arc::new(disk)).start().await?;
            let client = grid.client();
            (grid, client)
        };
        let receipt = client.append_once(PAYMENTS, id(2), pay(7, 10)).await?;
        assert_eq!(receipt.offset, 1, "seed {seed}");
        assert_eq!(logged(&client).await?, 2, "seed {seed}");
        assert_eq!(client.select_one(TOTALS.key(7)).await?, Some(11), "seed {seed}");
        drop(grid);
    }
    Ok(())
}

// A partition that restarts while appends with ids are under way, and while others join them.
#[tokio::test(flavor = "multi_thread")]
async fn r037_a_partition_restarts_in_between() -> Test {
    let disk = Disk::new(SimStorage::new());
    let grid = builder().storage(Arc::new(disk.clone())).start().await?;
    let client = grid.client();
    let first = client.append_once(PAYMENTS, id(0), pay(7, 1)).await?;
    disk.sim.set_faults(Faults { fail_sync: Some(1), space_left: Some(0), ..Faults::default() });
    let calls = (0..8).map(|number: u128| {
        let client = client.clone();
        // Each id twice.
        let id = id(1 + number / 2);
        tokio::spawn(async move { client.append_once(PAYMENTS, id, pay(7, 1)).await })
    });
    let calls: Vec<_> = calls.collect();
    for _ in 0..3 {
        disk.failed().await;
    }
    disk.sim.set_space_left(None);
    for call in calls {
        // Either it was under way and is answered, or it was refused, or nobody knows.
        let _ = call.await?;
    }
    assert!(grid.stats().total(|partition| partition.restarts) > 0);
    for number in 1..5 {
        client.append_once(PAYMENTS, id(number), pay(7, 1)).await?;
    }
    let repeat = client.append_once(PAYMENTS, id(0), pay(7, 1)).await?;
    assert_repeats(&repeat, &first, Repeated::Known);
    assert_eq!(logged(&client).await?, 5);
    assert_eq!(client.select_one(TOTALS.key(7)).await?, Some(5));
    Ok(())
}

#[test]
fn r037_in_local() -> Test {
    let local = Local::<Once>::new(2)?;
    let client = local.client();
    let append = |number, amount| {
        futures::executor::block_on(client.append_once(PAYMENTS, id(number), pay(7, amount)))
    };
    let first = append(1, 5)?;
    assert_repeats(&append(1, 5)?, &first, Repeated::Known);
    let error = append(1, 6).unwrap_err();
    assert!(matches!(error.kind, AppendErrorKind::IdTaken { .. }), "{error}");
    assert_eq!(error.events.map(|event| event.amount), Some(6));
    local.set_time(600_000_001);
    assert_eq!(append(1, 6)?.repeated, None);
    assert_eq!(local.select_one(TOTALS.key(7))?, Some(11));
    Ok(())
}
