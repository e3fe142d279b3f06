//! Timers: records that handlers schedule for later.

use std::path::Path;
use std::sync::Arc;

use gridmill::client::{AppendErrorKind, ReadError};
use gridmill::folder::Folder;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use gridmill::{GridBuilder, Local};

use super::modules::rates;
use crate::disk::Disk;
use crate::lives::{stop, wait_until};

type Test = Result<(), Box<dyn std::error::Error>>;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Alarms that people set, and what has rung.
mod alarms {
    use super::*;

    #[record]
    pub(super) struct Set {
        pub(super) user: u64,
        /// When, and how often again after how long.
        pub(super) at: i64,
        pub(super) again: u32,
        pub(super) every: i64,
    }

    #[record]
    pub(super) enum Order {
        Set(Set),
        /// Refused after everything else is done.
        Refused(Set),
        Cancel {
            user: u64,
        },
        /// Cancels the timer of another user.
        Steal {
            user: u64,
            from: u64,
        },
        Everywhere {
            user: u64,
            at: i64,
        },
        Large {
            user: u64,
            bytes: u32,
        },
    }

    impl Order {
        fn user(&self) -> u64 {
            match self {
                Self::Set(set) | Self::Refused(set) => set.user,
                Self::Cancel { user }
                | Self::Steal { user, .. }
                | Self::Everywhere { user, .. }
                | Self::Large { user, .. } => *user,
            }
        }
    }

    pub(super) const ORDERS: Depot<Order> =
        Depot::hash_by("alarms/orders", |order| order.user().into());
    /// Timers that are to be known on every partition.
    pub(super) const TOLD: Depot<(u64, Timer)> =
        Depot::hash_by("alarms/told", |(user, _)| (*user).into());
    pub(super) const TIMERS: PState<Map<u64, Timer>> = PState::new("alarms/timers");
    pub(super) const RUNG: PState<Map<u64, List<i64>>> = PState::new("alarms/rung");
    /// By partition.
    pub(super) const BELLS: PState<Map<u32, u64>> = PState::new("alarms/bells").local();
    const RING: Stage<Set> = Stage::hash_by("ring", |set| set.user.into());
    const BELL: Stage<u64> = Stage::all("bell");
    const BLOB: Stage<Vec<u8>> = Stage::here("blob");

    pub(super) type All<'a> =
        (&'a mut Map<u64, Timer>, &'a mut Map<u64, List<i64>>, &'a mut Map<u32, u64>);

    pub(super) struct Alarms;

    impl Module for Alarms {
        const NAME: &'static str = "alarms";

        fn define(module: &mut Setup) {
            module.depot(ORDERS).depot(TOLD);
            module
                .stream("alarms", (TIMERS, RUNG, BELLS))
                .source(ORDERS)
                .each_with(order)
                .source(TOLD)
                .over(())
                .each_with(|(_, timer): (u64, Timer), (): (), flow: &mut Context<'_>| {
                    flow.cancel(timer)
                })
                .stage(RING)
                .each_with(ring)
                .stage(BELL)
                .over(BELLS)
                .each_with(|_: u64, bells: &mut Map<u32, u64>, flow: &mut Context<'_>| {
                    *bells.entry(flow.partition()).or_default() += 1;
                })
                .stage(BLOB)
                .over(())
                .each(|_: Vec<u8>, (): ()| {});
        }
    }

    fn order(order: Order, (timers, ..): All<'_>, flow: &mut Context<'_>) -> Result<(), Str> {
        match order {
            Order::Set(set) => {
                let (user, at) = (set.user, set.at);
                timers.insert(user, flow.schedule(at, RING, set));
            }
            Order::Refused(set) => {
                let (user, at) = (set.user, set.at);
                timers
                    .get(user)
                    .map(|timer| *timer)
                    .into_iter()
                    .for_each(|timer| flow.cancel(timer));
                timers.insert(user, flow.schedule(at, RING, set));
                return Err("refused".into());
            }
            Order::Cancel { user } | Order::Steal { from: user, .. } => {
                if let Some(timer) = timers.remove(user) {
                    flow.cancel(timer);
                }
            }
            Order::Everywhere { user, at } => {
                flow.schedule(at, BELL, user);
            }
            Order::Large { bytes, .. } => {
                flow.schedule(0, BLOB, vec![7; bytes as usize]);
            }
        }
        Ok(())
    }

    fn ring(mut set: Set, (timers, rung, _): All<'_>, flow: &mut Context<'_>) {
        assert!(flow.time() >= set.at, "a timer is never early");
        rung.entry(set.user).or_default().push_back(set.at);
        if set.again > 0 {
            set.again -= 1;
            set.at += set.every;
            let (user, at) = (set.user, set.at);
            timers.insert(user, flow.schedule(at, RING, set));
        }
    }

    pub(super) fn at(user: u64, at: i64) -> Order {
        Order::Set(Set { user, at, again: 0, every: 0 })
    }
}

use alarms::{Alarms, BELLS, ORDERS, Order, RUNG, TIMERS, TOLD, at};

fn in_memory(clock: &Clock) -> GridBuilder {
    Grid::in_memory().clock(clock.clone()).partitions(4).threads(2).module::<Alarms>()
}

fn in_folder(folder: &Path, clock: &Clock) -> GridBuilder {
    Grid::builder(folder).clock(clock.clone()).partitions(4).threads(2).module::<Alarms>()
}

async fn rung(client: &Client, user: u64) -> Result<Vec<i64>, Box<dyn std::error::Error>> {
    let rung = client.select_one(RUNG.key(user)).await?;
    Ok(rung.iter().flat_map(|rung| rung.iter().copied()).collect())
}

fn pending(grid: &Grid) -> u64 {
    grid.stats().total(|partition| partition.timers)
}

// FLOWS 4.3: the module as it is printed there.
#[tokio::test]
async fn r212_idle_pages_are_forgotten_by_a_timer() -> Test {
    use rates::{HITS, NOW, PAST, RateModule};
    let clock = Clock::manual(5 * SECOND);
    let grid = Grid::in_memory().clock(clock.clone()).partitions(4).module::<RateModule>();
    let grid = grid.start().await?;
    let client = grid.client();
    for hit in 0..60 {
        client.append(HITS, format!("page {}", hit % 20).into()).await?;
    }
    wait_until(&clock, &grid, MINUTE).await;
    let minute = async |page: u64, minute| {
        client.select_one(PAST.key(format!("page {page}").as_str()).key(minute)).await
    };
    assert_eq!(client.select_one(NOW.key("page 7")).await?, None);
    assert_eq!((minute(7, MINUTE).await?, pending(&grid)), (Some(3), 20));
    client.append(HITS, "page 7".into()).await?;
    wait_until(&clock, &grid, 2 * MINUTE).await;
    assert_eq!(pending(&grid), 21);
    wait_until(&clock, &grid, HOUR + MINUTE - 1).await;
    assert_eq!(minute(7, MINUTE).await?, Some(3));
    wait_until(&clock, &grid, HOUR + MINUTE).await;
    for page in 0..20 {
        assert_eq!(minute(page, MINUTE).await?, None, "page {page}");
    }
    assert_eq!((minute(7, 2 * MINUTE).await?, pending(&grid)), (Some(1), 1));
    wait_until(&clock, &grid, 2 * HOUR).await;
    assert_eq!((minute(7, 2 * MINUTE).await?, pending(&grid)), (None, 0));
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn timers_go_once_whatever_stops_the_grid_before_and_after() -> Test {
    for cleanly in [true, false] {
        let folder = tempfile::tempdir()?;
        let clock = Clock::manual(0);
        let start = || in_folder(folder.path(), &clock).start();
        let grid = start().await?;
        for user in 0..40 {
            grid.client().append(ORDERS, at(user, (1 + user as i64 % 4) * SECOND)).await?;
        }
        assert_eq!(pending(&grid), 40);
        stop(grid, cleanly).await?;
        for second in 1..=4 {
            // In every other life it is late enough at once.
            if second % 2 == 0 {
                clock.set(second * SECOND);
            }
            let grid = start().await?;
            wait_until(&clock, &grid, second * SECOND).await;
            let client = grid.client();
            for user in 0..40 {
                let due = (1 + user as i64 % 4) * SECOND;
                let expected = if due <= second * SECOND { vec![due] } else { Vec::new() };
                assert_eq!(rung(&client, user).await?, expected, "user {user}, second {second}");
            }
            assert_eq!(pending(&grid), 40 - 10 * second as u64);
            stop(grid, cleanly).await?;
        }
        let found = Folder::open(folder.path())?.verify();
        assert!(found.problems.is_empty(), "{:?}", found.problems);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_due_already_goes_at_once_and_processed_waits_for_it() -> Test {
    let clock = Clock::manual(HOUR);
    let grid = in_memory(&clock).start().await?;
    let client = grid.client();
    for (user, due) in [(1, HOUR), (2, 0), (3, i64::MIN)] {
        client.append(ORDERS, at(user, due)).await?;
        grid.processed().await;
        assert_eq!(rung(&client, user).await?, [due]);
    }
    client.append(ORDERS, at(4, i64::MAX)).await?;
    wait_until(&clock, &grid, i64::MAX - 1).await;
    assert_eq!((rung(&client, 4).await?, pending(&grid)), (Vec::new(), 1));
    wait_until(&clock, &grid, i64::MAX).await;
    assert_eq!((rung(&client, 4).await?, pending(&grid)), (vec![i64::MAX], 0));
    Ok(())
}

#[tokio::test]
async fn a_timer_that_sets_itself_again_catches_up_when_the_clock_jumps() -> Test {
    let clock = Clock::manual(0);
    let grid = in_memory(&clock).start().await?;
    let set = alarms::Set { user: 7, at: SECOND, again: 99, every: SECOND };
    grid.client().append(ORDERS, Order::Set(set)).await?;
    wait_until(&clock, &grid, 40 * SECOND).await;
    let expected: Vec<i64> = (1..=40).map(|second| second * SECOND).collect();
    assert_eq!((rung(&grid.client(), 7).await?, pending(&grid)), (expected, 1));
    wait_until(&clock, &grid, HOUR).await;
    assert_eq!((rung(&grid.client(), 7).await?.len(), pending(&grid)), (100, 0));
    Ok(())
}

#[tokio::test]
async fn timers_go_in_the_order_of_their_times_and_then_of_their_scheduling() -> Test {
    let clock = Clock::manual(0);
    let grid = in_memory(&clock).start().await?;
    let client = grid.client();
    for due in [5, 3, 9, 3, 1, 7, -4] {
        client.append(ORDERS, at(7, due * SECOND + 100)).await?;
    }
    grid.processed().await;
    wait_until(&clock, &grid, MINUTE).await;
    let expected = [-4, 1, 3, 3, 5, 7, 9].map(|due| due * SECOND + 100);
    assert_eq!(rung(&client, 7).await?, expected);
    Ok(())
}

#[tokio::test]
async fn what_is_cancelled_does_not_go() -> Test {
    let folder = tempfile::tempdir()?;
    let clock = Clock::manual(0);
    let grid = in_folder(folder.path(), &clock).start().await?;
    for user in 0..4 {
        grid.client().append(ORDERS, at(user, SECOND)).await?;
    }
    grid.client().append(ORDERS, Order::Cancel { user: 1 }).await?;
    // Also where the timer has been written out.
    grid.shutdown().await?;
    let grid = in_folder(folder.path(), &clock).start().await?;
    let client = grid.client();
    client.append(ORDERS, Order::Cancel { user: 2 }).await?;
    assert_eq!(pending(&grid), 2);
    wait_until(&clock, &grid, SECOND).await;
    let mut all = Vec::new();
    for user in 0..4 {
        all.push(rung(&client, user).await?.len());
    }
    assert_eq!(all, [1, 0, 0, 1]);
    // What has gone cannot be cancelled any more, and nothing happens.
    client.append(ORDERS, Order::Cancel { user: 0 }).await?;
    assert!(grid.quarantine().is_empty());
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn a_handler_that_refuses_has_scheduled_and_cancelled_nothing() -> Test {
    let clock = Clock::manual(0);
    let grid = in_memory(&clock).start().await?;
    let client = grid.client();
    client.append(ORDERS, at(7, SECOND)).await?;
    let set = alarms::Set { user: 7, at: 2 * SECOND, again: 0, every: 0 };
    let refused = client.append(ORDERS, Order::Refused(set)).await.unwrap_err();
    assert!(matches!(refused.kind, AppendErrorKind::Rejected(_)), "{refused}");
    assert_eq!(pending(&grid), 1);
    wait_until(&clock, &grid, HOUR).await;
    assert_eq!(rung(&client, 7).await?, [SECOND]);
    Ok(())
}

#[tokio::test]
async fn only_who_scheduled_can_cancel() -> Test {
    let clock = Clock::manual(0);
    let grid = in_memory(&clock).start().await?;
    let client = grid.client();
    client.append(ORDERS, at(7, SECOND)).await?;
    let timer = client.select_one(TIMERS.key(7)).await?.expect("it is pending");
    let elsewhere = |user: &u64| RouteKey::from(*user).partition(4) != timer.partition;
    let user = (0..).find(elsewhere).expect("some user lives there");
    let said = async |timer: Timer, user: u64| {
        let error = client.append(TOLD, (user, timer)).await.unwrap_err();
        error.to_string()
    };
    let text = said(timer, user).await;
    let here = RouteKey::from(user).partition(4);
    let expected = format!(
        "a timer of partition {} is cancelled on partition {here}; send a record there, and let its handler cancel \
         the timer",
        timer.partition
    );
    assert!(text.contains(&expected), "{text}");
    let other = Timer { topology: timer.topology + 1, ..timer };
    let text = said(other, 7).await;
    assert!(text.contains("a timer of another topology is cancelled"), "{text}");
    assert_eq!(grid.quarantine().len(), 2);
    client.append(TOLD, (7, timer)).await?;
    wait_until(&clock, &grid, HOUR).await;
    assert!(rung(&client, 7).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_scheduled_for_all_partitions_comes_to_all() -> Test {
    let clock = Clock::manual(0);
    let grid = in_memory(&clock).start().await?;
    let client = grid.client();
    for user in 0..10 {
        client.append(ORDERS, Order::Everywhere { user, at: SECOND }).await?;
    }
    assert_eq!(pending(&grid), 10);
    wait_until(&clock, &grid, SECOND).await;
    for partition in 0..4 {
        let bells = client.select_on(partition, BELLS.key(partition)).await?;
        assert_eq!(bells, [10], "partition {partition}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_to_be_sent_is_not_scheduled() -> Test {
    let clock = Clock::manual(0);
    let grid = in_memory(&clock).event_bytes_max(4 << 10).start().await?;
    let client = grid.client();
    client.append(ORDERS, Order::Large { user: 7, bytes: 4_000 }).await?;
    let error = client.append(ORDERS, Order::Large { user: 7, bytes: 5_000 }).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("at most 4096 are allowed (`event_bytes_max`)"), "{text}");
    grid.processed().await;
    assert_eq!((grid.quarantine().len(), pending(&grid)), (1, 0));
    Ok(())
}

// More than memory has room for, and more than one record lets go.
#[tokio::test(flavor = "multi_thread")]
async fn many_timers_are_written_out_and_go_once() -> Test {
    const USERS: u64 = 30_000;
    let folder = tempfile::tempdir()?;
    let clock = Clock::manual(0);
    let start = || in_folder(folder.path(), &clock).overlay_bytes_max(256 << 10).start();
    let grid = start().await?;
    for users in (0..USERS).collect::<Vec<_>>().chunks(1_000) {
        let orders = users.iter().map(|&user| at(user, 1 + user as i64 % 7)).collect::<Vec<_>>();
        grid.client().append_many(ORDERS, orders).await?;
    }
    assert_eq!(pending(&grid), USERS);
    assert!(grid.stats().total(|partition| partition.flushes) > 4);
    wait_until(&clock, &grid, 4).await;
    let left = (0..USERS).filter(|user| user % 7 > 3).count() as u64;
    assert_eq!(pending(&grid), left);
    grid.halt().await;
    let grid = start().await?;
    grid.processed().await;
    assert_eq!(pending(&grid), left);
    wait_until(&clock, &grid, 10).await;
    assert_eq!(pending(&grid), 0);
    let rung = all_rung(&grid.client()).await?;
    assert_eq!(rung.len() as u64, USERS);
    assert!(rung.iter().all(|rung| rung.len() == 1));
    grid.shutdown().await?;
    Ok(())
}

/// What has rung for everybody. Of a grid with so small a budget, a view is let go of where its reader is slow.
async fn all_rung(client: &Client) -> Result<Vec<List<i64>>, ReadError> {
    loop {
        match client.select_all(RUNG.map_vals()).await {
            Err(ReadError::LetGo { .. }) => {}
            read => return read,
        }
    }
}

#[tokio::test]
async fn r025_the_clock_of_the_system_drives_timers() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Alarms>().start().await?;
    let client = grid.client();
    let soon = Clock::system().now() + 20_000;
    client.append(ORDERS, at(7, soon)).await?;
    // Waits on what is read, not on time.
    while rung(&client, 7).await?.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(Clock::system().now() >= soon);
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn timers_wait_for_room_on_the_disk() -> Test {
    let disk = Disk::new(SimStorage::new());
    let grid = Grid::in_memory().partitions(1).module::<Alarms>().storage(Arc::new(disk.clone()));
    let grid = grid.start().await?;
    let client = grid.client();
    client.append(ORDERS, at(7, Clock::system().now() + 200_000)).await?;
    disk.sim.set_space_left(Some(0));
    // Until nothing more fits.
    while client.append(ORDERS, at(8, i64::MAX)).await.is_ok() {}
    while grid.stats().total(|partition| partition.timers) == 0 {
        tokio::task::yield_now().await;
    }
    disk.sim.set_space_left(None);
    while rung(&client, 7).await?.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rung(&client, 7).await?.len(), 1);
    Ok(())
}

#[test]
fn a_unit_test_lets_timers_go() -> Test {
    let alarms = Local::<Alarms>::new(3)?;
    let rung = |user: u64| -> Result<Vec<i64>, Box<dyn std::error::Error>> {
        let rung = alarms.select_one(RUNG.key(user))?;
        Ok(rung.iter().flat_map(|rung| rung.iter().copied()).collect())
    };
    alarms.append(ORDERS, at(7, SECOND))?;
    alarms.append(ORDERS, at(8, 0))?;
    assert_eq!((rung(7)?, rung(8)?), (vec![], vec![0]));
    alarms.append(ORDERS, at(9, SECOND))?;
    alarms.append(ORDERS, Order::Steal { user: 9, from: 9 })?;
    alarms.set_time(SECOND);
    assert_eq!((rung(7)?, rung(9)?), (vec![SECOND], vec![]));
    let set = alarms::Set { user: 1, at: 2 * SECOND, again: 9, every: SECOND };
    alarms.append(ORDERS, Order::Set(set))?;
    alarms.set_time(MINUTE);
    assert_eq!(rung(1)?.len(), 10);
    Ok(())
}

// The engine keeps timers in a PState; nobody reads it, and nobody is told of it.
#[tokio::test]
async fn where_timers_are_kept_is_nobodys_business() -> Test {
    let hidden: PState<Map<u64, u64>> = PState::new("alarms#timers");
    let grid = in_memory(&Clock::manual(0)).start().await?;
    let local = Local::<Alarms>::new(1)?;
    for client in [grid.client(), local.client()] {
        let unknown = client.select_one(hidden.key(1)).await.unwrap_err();
        let ReadError::UnknownPState { known, .. } = unknown else { panic!("{unknown}") };
        assert_eq!(known.len(), 3, "{known:?}");
    }
    Ok(())
}

/// What `Alarms` was before it had stages: the timers come with the first one, and go with the last.
mod grown {
    use super::*;

    pub(super) const MARKS: Depot<u64> = Depot::hash_by("grown/marks", |mark| mark.into());
    pub(super) const SEEN: PState<Map<u64, u64>> = PState::new("grown/seen");
    const LATER: Stage<u64> = Stage::here("later");

    fn see(mark: u64, seen: &mut Map<u64, u64>) {
        *seen.entry(mark).or_default() += 1;
    }

    pub(super) struct Plain;

    impl Module for Plain {
        const NAME: &'static str = "grown";

        fn define(module: &mut Setup) {
            module.depot(MARKS).remove("t#later");
            module.stream("t", SEEN).source(MARKS).each(see);
        }
    }

    pub(super) struct Staged;

    impl Module for Staged {
        const NAME: &'static str = "grown";

        fn define(module: &mut Setup) {
            module.depot(MARKS);
            module
                .stream("t", SEEN)
                .source(MARKS)
                .each_with(|mark: u64, seen: &mut Map<u64, u64>, flow: &mut Context<'_>| {
                    see(mark, seen);
                    flow.schedule(SECOND, LATER, mark);
                })
                .stage(LATER)
                .each(see);
        }
    }
}

#[tokio::test]
async fn a_topology_gets_timers_with_its_first_stage_and_loses_them_with_its_last() -> Test {
    use grown::{MARKS, Plain, SEEN, Staged};
    let folder = tempfile::tempdir()?;
    let clock = Clock::manual(0);
    let builder = || Grid::builder(folder.path()).clock(clock.clone()).partitions(2);
    for (life, seen) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        let staged = life % 2 == 1;
        let builder = builder();
        let grid = match staged {
            true => builder.module::<Staged>().start().await?,
            false => builder.module::<Plain>().start().await?,
        };
        grid.client().append(MARKS, 7).await?;
        assert_eq!(grid.client().select_one(SEEN.key(7)).await?, Some(seen));
        // Those of the life before are gone with the stage.
        assert_eq!(pending(&grid), u64::from(staged));
        grid.shutdown().await?;
    }
    let grid = builder().module::<Staged>().start().await?;
    wait_until(&clock, &grid, SECOND).await;
    assert_eq!(grid.client().select_one(SEEN.key(7)).await?, Some(5));
    Ok(())
}
