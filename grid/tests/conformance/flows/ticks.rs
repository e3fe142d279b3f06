//! Depots of ticks: what time appends.

use std::sync::Arc;
use std::time::Duration;

use gridmill::Local;
use gridmill::StartError;
use gridmill::client::AppendErrorKind;
use gridmill::persistence::{Faults, SimStorage};
use gridmill::prelude::*;

use super::modules::rates;
use crate::lives::wait_until;

type Test = Result<(), Box<dyn std::error::Error>>;

const SECOND: i64 = 1_000_000;
const MINUTES: i64 = 60 * SECOND;

/// Keeps every tick, in order.
mod kept {
    use super::*;

    pub(super) const SECONDS: Depot<Tick> = Depot::tick("kept/seconds", Duration::from_secs(1));
    pub(super) const TICKS: PState<Map<u64, (i64, u32)>> = PState::new("kept/ticks").global();

    pub(super) struct Kept;

    impl Module for Kept {
        const NAME: &'static str = "kept";

        fn define(module: &mut Setup) {
            module.depot(SECONDS);
            module.stream("keep", TICKS).source(SECONDS).each_with(
                |tick: Tick, ticks: &mut Map<u64, (i64, u32)>, flow: &mut Context<'_>| {
                    assert!(flow.time() >= tick.at, "a tick is never ahead of its record");
                    ticks.insert(flow.offset(), (tick.at, tick.missed));
                },
            );
        }
    }
}

async fn ticks(client: &Client) -> Result<Vec<(i64, u32)>, Box<dyn std::error::Error>> {
    Ok(client.select(kept::TICKS.map_vals()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn r212_a_clock_that_is_set_closes_the_minute_on_every_partition() -> Test {
    use rates::{HITS, NOW, PAST, RateModule};
    let clock = Clock::manual(5 * SECOND);
    let grid = Grid::in_memory().clock(clock.clone()).partitions(4).module::<RateModule>();
    let grid = grid.start().await?;
    let client = grid.client();
    for hit in 0..60 {
        client.append(HITS, format!("page {}", hit % 20).into()).await?;
    }
    wait_until(&clock, &grid, 59 * SECOND).await;
    assert_eq!(client.select_one(NOW.key("page 7")).await?, Some(3));
    wait_until(&clock, &grid, 61 * SECOND).await;
    for page in 0..20 {
        let page = format!("page {page}");
        assert_eq!(client.select_one(NOW.key(&*page)).await?, None, "{page}");
        assert_eq!(client.select_one(PAST.key(&*page).key(MINUTES)).await?, Some(3), "{page}");
    }
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn r025_ticks_come_on_partition_0_once_a_boundary_and_once_after_a_pause() -> Test {
    let clock = Clock::manual(500_000);
    let grid = Grid::in_memory().clock(clock.clone()).partitions(3).module::<kept::Kept>();
    let grid = grid.start().await?;
    let times =
        [SECOND - 1, SECOND, SECOND + 1, 2 * SECOND, 10 * SECOND + 7, 3 * SECOND, 11 * SECOND];
    for time in times {
        wait_until(&clock, &grid, time).await;
    }
    let expected = [(SECOND, 0), (2 * SECOND, 0), (10 * SECOND, 7), (11 * SECOND, 0)];
    assert_eq!(ticks(&grid.client()).await?, expected);
    assert_eq!(grid.client().depot_info(kept::SECONDS).await?.partitions, 1);
    Ok(())
}

#[tokio::test]
async fn ticks_go_on_where_they_were_after_a_restart() -> Test {
    for clean in [true, false] {
        let folder = tempfile::tempdir()?;
        let clock = Clock::manual(0);
        let grid = || {
            let grid = Grid::builder(folder.path()).clock(clock.clone()).partitions(2);
            grid.module::<kept::Kept>().start()
        };
        let first = grid().await?;
        for second in 1..=3 {
            clock.set(second * SECOND);
            first.processed().await;
        }
        if clean {
            first.shutdown().await?
        } else {
            first.halt().await
        }
        clock.set(3 * SECOND + 5);
        let second = grid().await?;
        second.processed().await;
        let before = [(SECOND, 0), (2 * SECOND, 0), (3 * SECOND, 0)];
        assert_eq!(ticks(&second.client()).await?, before, "none is told twice");
        second.halt().await;
        clock.set(9 * SECOND);
        let third = grid().await?;
        // Nobody sets the clock any more: what is due is due at the start.
        clock.set(9 * SECOND);
        third.processed().await;
        let expected = [&before[..], &[(9 * SECOND, 5)]].concat();
        assert_eq!(ticks(&third.client()).await?, expected);
        third.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn r025_the_clock_of_the_system_ticks_by_itself() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<quick::Quick>().start().await?;
    let client = grid.client();
    // Waits on what is read, not on time.
    while client.select_one(quick::COUNT).await?.unwrap_or(0) < 5 {
        tokio::task::yield_now().await;
    }
    grid.shutdown().await?;
    Ok(())
}

/// Ticks that a test can wait for.
mod quick {
    use super::*;

    const OFTEN: Depot<Tick> = Depot::tick("quick/often", Duration::from_millis(5));
    pub(super) const COUNT: PState<u64> = PState::new("quick/count").global();

    pub(super) struct Quick;

    impl Module for Quick {
        const NAME: &'static str = "quick";

        fn define(module: &mut Setup) {
            module.depot(OFTEN);
            let count = |_: Tick, count: &mut u64| *count += 1;
            module.stream("count", COUNT).source(OFTEN).each(count);
        }
    }
}

#[test]
fn a_unit_test_sets_the_time() -> Test {
    use rates::{HITS, NOW, PAST, RateModule};
    let rates = Local::<RateModule>::new(3)?;
    rates.append(HITS, "home".into())?;
    rates.set_time(59 * SECOND);
    assert_eq!(rates.select_one(NOW.key("home"))?, Some(1));
    rates.set_time(3 * MINUTES);
    assert_eq!(rates.select_one(NOW.key("home"))?, None);
    assert_eq!(rates.select_one(PAST.key("home").key(3 * MINUTES))?, Some(1));
    Ok(())
}

#[tokio::test]
async fn nobody_else_appends_ticks() -> Test {
    let clock = Clock::manual(0);
    let grid = Grid::in_memory().clock(clock).module::<kept::Kept>().start().await?;
    let refused = grid.client().append(kept::SECONDS, Tick { at: 1, missed: 0 }).await.unwrap_err();
    assert!(matches!(refused.kind, AppendErrorKind::Disallowed { .. }), "{refused}");
    Ok(())
}

/// Declares what cannot be.
mod wrong {
    use super::*;

    const NEVER: Depot<Tick> = Depot::tick("wrong/never", Duration::ZERO);
    const SOMETIMES: Depot<Tick> = Depot::tick("wrong/sometimes", Duration::from_secs(1));

    pub(super) struct Wrong;

    impl Module for Wrong {
        const NAME: &'static str = "wrong";

        fn define(module: &mut Setup) {
            module.depot(NEVER).depot(SOMETIMES);
            let nothing = |_: Tick, (): ()| {};
            module.stream("t", ()).appends(SOMETIMES).source(NEVER).each(nothing);
        }
    }
}

#[tokio::test]
async fn a_period_of_nothing_and_appends_to_ticks_are_refused() -> Test {
    let refused = Grid::in_memory().module::<wrong::Wrong>().start().await.unwrap_err();
    let StartError::Declaration { problems, .. } = &refused else { panic!("{refused}") };
    assert_eq!(
        problems[..],
        [
            "depot `wrong/never` ticks every 0ns; give `Depot::tick` a period of at least 1ms and less than 292,000 \
             years",
            "topology `t` appends to `wrong/sometimes`, a depot of ticks, which nobody may append to; drop \
             `.appends(..)` or name another depot",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_tick_whose_write_is_tried_again_comes_once() -> Test {
    let disk = SimStorage::new();
    let clock = Clock::manual(0);
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).clock(clock.clone());
    let grid = builder.partitions(1).threads(1).module::<kept::Kept>().start().await?;
    wait_until(&clock, &grid, SECOND).await;
    disk.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    wait_until(&clock, &grid, 2 * SECOND).await;
    wait_until(&clock, &grid, 3 * SECOND).await;
    assert_eq!(ticks(&grid.client()).await?, [1, 2, 3].map(|second| (second * SECOND, 0)));
    assert_eq!(grid.stats().total(|partition| partition.records), 3);
    Ok(())
}
