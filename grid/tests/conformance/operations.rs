//! Rows 120, 128, 209, 211 and 224: how a module is written, tested and run inside a program.

use std::sync::Arc;

use gridmill::client::AppendErrorKind;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use gridmill::{Local, StartError};

use crate::latch::Latch;
use crate::todo::{COMPLETED, EVENTS, TODOS, Todo, TodoEvent, TodoModule, on_event};

type Test = Result<(), Box<dyn std::error::Error>>;

fn new(user: &str, text: &str) -> TodoEvent {
    TodoEvent::New { user: user.into(), text: text.into() }
}

fn complete(user: &str, index: u32, at: i64) -> TodoEvent {
    TodoEvent::Complete { user: user.into(), index, at }
}

fn reorder(user: &str, from: u32, to: u32) -> TodoEvent {
    TodoEvent::Reorder { user: user.into(), from, to }
}

#[tokio::test]
async fn r120_one_source_matches_on_the_records_variants() -> Test {
    // Branches are a `match`; that a forgotten variant does not compile is a compile-fail test.
    let grid = Grid::in_memory().module::<TodoModule>().start().await?;
    let client = grid.client();
    let events = [
        new("ann", "sow"),
        new("ann", "reap"),
        new("ann", "mill"),
        complete("ann", 1, 7),
        // Completed once more, and one that is not there: branches that count nothing.
        complete("ann", 1, 8),
        complete("ann", 9, 9),
        complete("bob", 0, 9),
        reorder("ann", 2, 0),
    ];
    client.append_many(EVENTS, events).await?;
    let texts = client.select(TODOS.key("ann").all().field(Todo::TEXT)).await?;
    assert_eq!(texts, ["mill", "sow", "reap"]);
    let times = client.select(TODOS.key("ann").all().field(Todo::COMPLETED_AT)).await?;
    assert_eq!(times, [None, None, Some(8)]);
    assert_eq!(client.select_one(COMPLETED.key("ann")).await?, Some(1));
    assert_eq!(client.select_all(TODOS.map_keys()).await?, ["ann"]);
    Ok(())
}

#[test]
fn r128_a_topology_runs_without_threads_files_or_clock() -> Test {
    let todos = Local::<TodoModule>::new(4)?;
    for (offset, text) in ["sow", "reap"].into_iter().enumerate() {
        let receipt = todos.append(EVENTS, new("ann", text))?;
        assert_eq!(receipt.partition, RouteKey::from("ann").partition(4));
        assert_eq!(receipt.offset, offset as u64);
    }
    todos.append(EVENTS, reorder("ann", 1, 0))?;
    todos.append(EVENTS, complete("ann", 0, 7))?;
    let texts = todos.select(TODOS.key("ann").all().field(Todo::TEXT))?;
    assert_eq!(texts, ["reap", "sow"]);
    assert_eq!(todos.select_one(COMPLETED.key("ann"))?, Some(1));
    assert_eq!(todos.select_one(COMPLETED.key("bob"))?, None);
    Ok(())
}

const STAMPS: Depot<(Str, u64)> = Depot::hash_by("stamps/in", |stamp| (&stamp.0).into());
const TIMES: PState<Map<Str, List<i64>>> = PState::new("stamps/times");

struct Stamps;

impl Module for Stamps {
    const NAME: &'static str = "stamps";

    fn define(module: &mut Setup) {
        module.depot(STAMPS);
        module.stream("stamps", TIMES).source(STAMPS).each_with(stamp);
    }
}

fn stamp(
    (key, number): (Str, u64),
    times: &mut Map<Str, List<i64>>,
    context: &mut Context<'_>,
) -> Result<(), String> {
    let times = times.entry(key).or_default();
    times.push_back(context.time());
    assert_ne!(number, 13, "no thirteen, please");
    context.reply(&(times.len() as u64));
    if number == 0 { Err("a stamp needs a number".to_owned()) } else { Ok(()) }
}

#[test]
fn r128_a_local_module_replies_rejects_and_sets_aside_as_a_grid_does() -> Test {
    let stamps = Local::<Stamps>::new(2)?;
    stamps.set_time(5);
    assert_eq!(stamps.append(STAMPS, ("a".into(), 1))?.reply::<u64>("stamps")?, Some(1));
    // Time never goes back within a partition.
    stamps.set_time(3);
    for (number, quarantined, said) in [(0, false, "needs a number"), (13, true, "no thirteen")] {
        let error = stamps.append(STAMPS, ("a".into(), number)).expect_err("it is refused");
        let AppendErrorKind::Rejected(rejected) = error.kind else { panic!("{error}") };
        let rejection = &rejected.rejections[0];
        assert_eq!(rejection.quarantined, quarantined);
        assert!(rejection.message.contains(said), "{}", rejection.message);
    }
    assert_eq!(stamps.append(STAMPS, ("a".into(), 2))?.offset, 3);
    assert_eq!(stamps.select(TIMES.key("a").all())?, [5, 5]);
    stamps.set_time(9);
    // Hundreds of appends inside an async test do not use up its task's budget.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for number in 1_001..=1_300 {
            stamps.append(STAMPS, ("b".into(), number)).expect("it is appended");
        }
        // The client is there for all else.
        let client = stamps.client();
        let receipt = client.append_many(STAMPS, [("b".into(), 1), ("b".into(), 0)]).await?;
        assert_eq!((receipt.count, receipt.rejections.len()), (2, 1));
        let home = RouteKey::from("b").partition(2);
        let end = client.depot_info(STAMPS).await?.ranges[home as usize].end;
        let logged = client.depot_read(STAMPS, home, end - 1..end).await?;
        assert_eq!(logged[0].event, ("b".into(), 0), "it is refused, and in the depot");
        assert_eq!(client.select_one(TIMES.key("b").len()).await?, Some(301));
        let shown = client.select_json("stamps/times", r#"[{"key": "b"}, "first"]"#).await?;
        assert_eq!((logged[0].time, shown.as_str()), (9, "[9]"));
        Ok(())
    })
}

/// The todo module after an update: a second topology over the same depot.
struct Updated;

const PER_USER: PState<Map<Str, u64>> = PState::new("todo/per-user");

impl Module for Updated {
    const NAME: &'static str = "todo";
    const VERSION: u32 = 2;

    fn define(module: &mut Setup) {
        TodoModule::define(module);
        module.stream("per-user", PER_USER).source(EVENTS).each(
            |event: TodoEvent, counts: &mut Map<Str, u64>| {
                if let TodoEvent::New { user, .. } = event {
                    *counts.entry(user).or_default() += 1;
                }
            },
        );
    }
}

async fn start<M: Module>(disk: &Arc<SimStorage>) -> Result<Grid, StartError> {
    Grid::in_memory().storage(Arc::clone(disk) as _).module::<M>().start().await
}

#[tokio::test]
async fn r209_launch_append_read_and_update_in_one_test() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<TodoModule>(&disk).await?;
    grid.client().append(EVENTS, new("ann", "sow")).await?;
    grid.client().append(EVENTS, new("ann", "reap")).await?;
    assert_eq!(grid.client().select_one(TODOS.key("ann").len()).await?, Some(2));
    grid.shutdown().await?;
    // An update is a start with the new code.
    let grid = start::<Updated>(&disk).await?;
    let client = grid.client();
    assert_eq!(client.select_one(TODOS.key("ann").len()).await?, Some(2));
    grid.caught_up("per-user").await;
    assert_eq!(client.select_one(PER_USER.key("ann")).await?, Some(2));
    client.append(EVENTS, new("ann", "mill")).await?;
    assert_eq!(client.select_one(PER_USER.key("ann")).await?, Some(3));
    assert_eq!(client.select_one(TODOS.key("ann").len()).await?, Some(3));
    Ok(())
}

#[test]
fn r211_paths_and_handlers_run_on_plain_values() -> Test {
    // A PState in the hand is a `Map`, and a collector is the `Vec` that a select returns.
    let (mut todos, mut completed) = (Map::new(), Map::new());
    for event in [new("ann", "sow"), new("ann", "reap"), complete("ann", 1, 7)] {
        on_event(event, (&mut todos, &mut completed));
    }
    let texts = TODOS.key("ann").all().field(Todo::TEXT);
    assert_eq!(texts.select(&todos)?, ["sow", "reap"]);
    assert_eq!(COMPLETED.key("ann").select_one(&completed)?, Some(1));
    assert_eq!(TODOS.key("ann").index(1).move_to(0).apply(&mut todos), 1);
    let mill = Todo { text: "mill".into(), completed_at: None };
    assert_eq!(TODOS.key("bob").after_elem().set(mill).apply(&mut todos), 1);
    assert_eq!(texts.select(&todos)?, ["reap", "sow"]);
    assert_eq!(TODOS.map_keys().select(&todos)?, ["ann", "bob"]);
    let done = TODOS.key("ann").first().field(Todo::COMPLETED_AT).some();
    assert_eq!(done.select_one(&todos)?, Some(7));
    assert_eq!(done.clone().remove().apply(&mut todos), 1);
    assert_eq!(done.select_one(&todos)?, None);
    Ok(())
}

const TURNS: Depot<Str> = Depot::hash_by("turns/in", |key| key.as_str().into());
const COUNTED: PState<Map<Str, u64>> = PState::new("turns/counted");
static AT_TURN: Latch = Latch::new();

struct Turns;

impl Module for Turns {
    const NAME: &'static str = "turns";

    fn define(module: &mut Setup) {
        module.depot(TURNS);
        module.stream("turns", COUNTED).source(TURNS).each(
            |key: Str, counted: &mut Map<Str, u64>| {
                *counted.entry(key.clone()).or_default() += 1;
                if key == "hold" {
                    AT_TURN.pass();
                }
            },
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r224_reads_complete_while_a_handler_is_held() -> Test {
    // That reads cost the writer little, and how fast they are beside it, is for the benches.
    let grid = Grid::in_memory().threads(1).partitions(2).module::<Turns>().start().await?;
    let client = grid.client();
    client.append_many(TURNS, (0..100).map(|key| Str::from(format!("key-{key}")))).await?;
    let held = client.try_append(TURNS, "hold".into())?;
    let latch = AT_TURN.reached().await;
    // The grid's only thread stands in the handler; readers on other threads do not need it.
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = grid.client();
        readers.spawn(async move {
            for key in (0..100).map(|key| Str::from(format!("key-{key}"))) {
                let read = client.select_one(COUNTED.key(&key)).await;
                assert_eq!(read.expect("it is read"), Some(1));
            }
            let keys = client.select_all(COUNTED.map_keys()).await.expect("they are read");
            assert_eq!(keys.len(), 100, "what the handler writes is not there yet");
            client.depot_info(TURNS).await.expect("it is read").records()
        });
    }
    while let Some(records) = readers.join_next().await {
        assert!(records? >= 100);
    }
    latch.open();
    held.await?;
    assert_eq!(client.select_one(COUNTED.key("hold")).await?, Some(1));
    Ok(())
}
