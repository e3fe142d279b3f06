//! A topology added to an existing folder is filled from the depot's past, beside the live flow.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use gridmill::client::ReadError;
use gridmill::persistence::{SimStorage, Storage};
use gridmill::prelude::*;

use crate::latch::Latch;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A door that is opened once; who comes before waits.
#[derive(Default)]
struct Door {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Door {
    fn pass(&self) {
        let open = self.open.lock().expect("nobody panics here");
        drop(self.opened.wait_while(open, |open| !*open).expect("nobody panics here"));
    }

    fn open(&self) {
        *self.open.lock().expect("nobody panics here") = true;
        self.opened.notify_all();
    }
}

/// Opens the door whatever becomes of the test, so that its grid can stop.
struct OpenAtEnd;

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        door().open();
    }
}

/// Where the new topology waits, in the middle of the past.
fn door() -> &'static Door {
    static DOOR: OnceLock<Door> = OnceLock::new();
    DOOR.get_or_init(Door::default)
}

/// Events of the past: more than one batch of a replay (4,096 records), less than two.
const PAST: u64 = 7_500;
/// The event at which the new topology waits: in the second batch, so that the first is done.
const HELD_AT: u64 = 5_000;

const VISITS: Depot<(u64, Str)> = Depot::random("replay/visits").global();
const LIVE: PState<Map<Str, List<u64>>> = PState::new("replay/live").global();
const ADDED: PState<Map<Str, List<u64>>> = PState::new("replay/added").global();

fn keep((number, page): (u64, Str), visits: &mut Map<Str, List<u64>>) {
    visits.entry(page).or_default().push_back(number);
}

struct Before;

impl Module for Before {
    const NAME: &'static str = "replay";

    fn define(module: &mut Setup) {
        module.depot(VISITS);
        module.stream("live", LIVE).source(VISITS).each(keep);
    }
}

struct After;

impl Module for After {
    const NAME: &'static str = "replay";

    fn define(module: &mut Setup) {
        Before::define(module);
        module.stream("added", ADDED).source(VISITS).each(
            |visit: (u64, Str), visits: &mut Map<Str, List<u64>>| {
                if visit.0 == HELD_AT {
                    door().pass();
                }
                keep(visit, visits);
            },
        );
    }
}

fn visits(numbers: std::ops::Range<u64>) -> impl Iterator<Item = (u64, Str)> {
    numbers.map(|number| (number, format!("page{}", number % 50).into()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r215_a_new_topology_equals_the_live_view() -> Result {
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(1).threads(1).storage(storage);
    let grid = builder.clone().module::<Before>().start().await?;
    grid.client().append_many(VISITS, visits(0..PAST)).await?;
    grid.shutdown().await?;

    let grid = builder.clone().module::<After>().start().await?;
    let _open = OpenAtEnd;
    let client = grid.client();
    // The progress can be watched: the door holds it between the first batch and the end.
    let done = loop {
        let progress = grid.progress("added").expect("it is held at the door");
        assert!(progress.done < PAST && progress.total >= PAST, "{progress:?}");
        if progress.done > 0 {
            break progress.done;
        }
        tokio::task::yield_now().await;
    };
    let error = client.select_one(ADDED.key("page0")).await.expect_err("it catches up");
    let ReadError::CatchingUp { pstate, done: read, total } = &error else { panic!("{error}") };
    assert_eq!((pstate.as_str(), *read), ("replay/added", done));
    assert!(*total >= PAST, "{error}");
    assert!(client.select_json("replay/added", r#"[{"key": "page0"}]"#).await.is_err());
    // A partial answer is what the first batches gave.
    let partial = client.partial().select(ADDED.key("page0").all()).await?;
    assert_eq!(partial, (0..done).step_by(50).collect::<Vec<_>>());
    // The live flow goes on meanwhile: appends are answered, and the old view shows them.
    client.append_many(VISITS, visits(PAST..PAST + 500)).await?;
    assert_eq!(client.select_one(LIVE.key("page0").last()).await?, Some(PAST + 450));
    let added = &grid.stats().modules[0].partitions[0].topologies[1];
    assert_eq!((added.name.as_str(), added.live), ("added", false));
    assert!(added.lag >= PAST - done, "{added:?}");
    assert!(client.select(ADDED.map_keys()).await.is_err(), "it is held still");

    door().open();
    grid.caught_up("added").await;
    assert_eq!(grid.progress("added"), None);
    client.append_many(VISITS, visits(PAST + 500..PAST + 600)).await?;
    let live = client.select_one(LIVE).await?.expect("a root is always there");
    assert_eq!(live.values().map(|list| list.len() as u64).sum::<u64>(), PAST + 600);
    assert_eq!(client.select_one(ADDED).await?, Some(live.clone()));
    assert_eq!(grid.stats().modules[0].partitions[0].topologies[1].lag, 0);
    // It stays so through a halt, without reading the past again.
    grid.halt().await;
    let grid = builder.module::<After>().start().await?;
    grid.caught_up("added").await;
    assert_eq!(grid.client().select_one(ADDED).await?, Some(live.clone()));
    assert_eq!(grid.client().select_one(LIVE).await?, Some(live));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r215_a_catch_up_that_is_cut_short_goes_on() -> Result {
    const NAMES: Depot<Str> = Depot::random("cut/names").global();
    const OLD: PState<Map<Str, u64>> = PState::new("cut/old").global();
    const NEW: PState<Map<Str, u64>> = PState::new("cut/new").global();
    fn count(name: Str, counts: &mut Map<Str, u64>) {
        *counts.entry(name).or_default() += 1;
    }
    struct Cut;
    impl Module for Cut {
        const NAME: &'static str = "cut";
        fn define(module: &mut Setup) {
            module.depot(NAMES);
            module.stream("old", OLD).source(NAMES).each(count);
        }
    }
    struct Grown;
    impl Module for Grown {
        const NAME: &'static str = "cut";
        fn define(module: &mut Setup) {
            Cut::define(module);
            module.stream("new", NEW).source(NAMES).each(count);
        }
    }
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(1).storage(storage).overlay_bytes_max(1_000);
    let grid = builder.clone().module::<Cut>().start().await?;
    let names = |count: u32| (0..count).map(|n| Str::from(format!("name{}", n % 300)));
    grid.client().append_many(NAMES, names(20_000)).await?;
    grid.halt().await;
    // However far each start comes before it is cut, nothing is counted twice or left out.
    for round in 0..6 {
        let grid = builder.clone().module::<Grown>().start().await?;
        grid.client().append_many(NAMES, names(10)).await?;
        if round % 2 == 0 { grid.halt().await } else { grid.shutdown().await? }
    }
    let grid = builder.module::<Grown>().start().await?;
    grid.caught_up("new").await;
    let client = grid.client();
    let old = client.select_one(OLD).await?.expect("a root is always there");
    assert_eq!(old.values().map(|count| *count).sum::<u64>(), 20_060);
    assert_eq!(client.select_one(NEW).await?, Some(old));
    Ok(())
}

// A topology may be at the end of its past in the moment in which the grid is told to stop, with
// nothing left to read: it has to give up all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r215_a_stop_ends_a_catch_up_that_has_nothing_left_to_read() -> Result {
    const MARKS: Depot<u64> = Depot::random("brief/marks").global();
    const OLD: PState<u64> = PState::new("brief/old").global();
    const NEW: PState<u64> = PState::new("brief/new").global();
    struct Brief;
    impl Module for Brief {
        const NAME: &'static str = "brief";
        fn define(module: &mut Setup) {
            module.depot(MARKS);
            module.stream("old", OLD).source(MARKS).each(|mark, sum: &mut u64| *sum += mark);
        }
    }
    struct Longer;
    impl Module for Longer {
        const NAME: &'static str = "brief";
        fn define(module: &mut Setup) {
            Brief::define(module);
            module.stream("new", NEW).source(MARKS).each(|mark, sum: &mut u64| *sum += mark);
        }
    }
    for _ in 0..50 {
        let storage = Arc::new(SimStorage::new());
        let builder = Grid::in_memory().partitions(1).threads(1).storage(storage);
        let grid = builder.clone().module::<Brief>().start().await?;
        grid.client().append(MARKS, 7).await?;
        grid.shutdown().await?;
        builder.clone().module::<Longer>().start().await?.shutdown().await?;
        let grid = builder.module::<Longer>().start().await?;
        grid.caught_up("new").await;
        assert_eq!(grid.client().select_one(NEW).await?, Some(7));
    }
    Ok(())
}

const NOTES: Depot<(u64, Str)> = Depot::random("budget/notes").global();
const KEPT: PState<Map<u64, Str>> = PState::new("budget/kept").global();

static NEAR_THE_END: Latch = Latch::new();

struct Notes;

impl Module for Notes {
    const NAME: &'static str = "budget";

    fn define(module: &mut Setup) {
        module.depot(NOTES);
    }
}

struct Keeps;

impl Module for Keeps {
    const NAME: &'static str = "budget";

    fn define(module: &mut Setup) {
        Notes::define(module);
        module.stream("keep", KEPT).source(NOTES).each(
            |(number, note): (u64, Str), kept: &mut Map<u64, Str>| {
                if number == PAST - 1 {
                    NEAR_THE_END.pass();
                }
                kept.put(number, note);
            },
        );
    }
}

// Row 229: a topology that reads the past writes out what it has while it reads: a long past takes no more memory than
// a short one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r229_a_catch_up_stays_within_its_budget() -> Result {
    const TEXT: usize = 200;
    let disk = SimStorage::new();
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(1);
    let builder = builder.overlay_bytes_max(64 << 10);
    let grid = builder.clone().module::<Notes>().start().await?;
    let note: Str = "n".repeat(TEXT).as_str().into();
    grid.client().append_many(NOTES, (0..PAST).map(|number| (number, note.clone()))).await?;
    grid.shutdown().await?;

    let grid = builder.module::<Keeps>().start().await?;
    let held = NEAR_THE_END.reached().await;
    let runs = disk.list(Path::new("budget/0/runs"))?.len();
    assert!(runs > 0, "all of {} bytes is in memory", PAST as usize * TEXT);
    held.open();
    grid.caught_up("keep").await;
    assert_eq!(grid.client().select_one(KEPT.len()).await?, Some(PAST));
    Ok(())
}
