//! Limits: what was acknowledged can be flushed and merged, and who cannot flush says so.

use std::sync::Arc;

use gridmill::client::{AppendError, AppendErrorKind};
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use gridmill::{GridBuilder, JobProblem, PartitionStats, StartError};

use crate::disk::Disk;

/// Puts a text of some bytes under a key, or at the end of what is there.
#[record]
enum Put {
    Set { key: Str, bytes: u32 },
    Append { key: Str, bytes: u32 },
}

impl Put {
    fn key(&self) -> &Str {
        match self {
            Self::Set { key, .. } | Self::Append { key, .. } => key,
        }
    }
}

const PUTS: Depot<Put> = Depot::hash_by("limits/puts", |put| put.key().as_str().into());
const TEXTS: PState<Map<Str, Str>> = PState::new("limits/texts");
const LISTS: PState<Map<Str, List<Str>>> = PState::new("limits/lists");
const LATER: PState<Map<Str, List<Str>>> = PState::new("limits/later");

/// What a text takes in an archive beside its bytes: the string, and the gap before it.
const TEXT: usize = 8 + 3;

struct Limits;

impl Module for Limits {
    const NAME: &'static str = "limits";

    fn define(module: &mut Setup) {
        module.depot(PUTS);
        module.stream("texts", (TEXTS, LISTS)).source(PUTS).each(put);
    }
}

fn put(put: Put, (texts, lists): (&mut Map<Str, Str>, &mut Map<Str, List<Str>>)) {
    match put {
        Put::Set { key, bytes } => drop(texts.insert(key, text(bytes))),
        Put::Append { key, bytes } => lists.entry(key).or_default().push_back(text(bytes)),
    }
}

/// The same with a topology that starts in the past.
struct Grown;

impl Module for Grown {
    const NAME: &'static str = "limits";

    fn define(module: &mut Setup) {
        Limits::define(module);
        let later = |put: Put, lists: &mut Map<Str, List<Str>>| {
            if let Put::Append { key, bytes } = put {
                lists.entry(key).or_default().push_back(text(bytes));
            }
        };
        module.stream("later", LATER).source(PUTS).each(later);
    }
}

fn text(bytes: u32) -> Str {
    "x".repeat(bytes as usize).into()
}

fn on(disk: &Disk) -> GridBuilder {
    let storage = Arc::new(disk.clone());
    Grid::builder("sim").storage(storage).partitions(1).threads(1)
}

async fn set(grid: &Grid, key: &str, bytes: usize) -> Result<(), AppendError<Put>> {
    let put = Put::Set { key: key.into(), bytes: bytes as u32 };
    grid.client().append(PUTS, put).await.map(drop)
}

async fn append(grid: &Grid, key: &str, bytes: usize) -> Result<(), AppendError<Put>> {
    let put = Put::Append { key: key.into(), bytes: bytes as u32 };
    grid.client().append(PUTS, put).await.map(drop)
}

#[track_caller]
fn is_quarantined(result: Result<(), AppendError<Put>>, parts: &[&str]) {
    let error = result.expect_err("it is over a limit");
    let quarantined = matches!(&error.kind, AppendErrorKind::Rejected(rejection) if rejection.rejections[0].quarantined);
    assert!(quarantined, "{error}");
    let text = error.to_string();
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` in {text}"));
    assert!(text.len() < 1000, "a message is no place for 64 KiB");
}

fn only(grid: &Grid) -> PartitionStats {
    grid.stats().modules[0].partitions[0].clone()
}

// Row 144: a value is as large as its parts together, whatever the size of each.
#[tokio::test]
async fn r144_many_parts_are_too_large_together() {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).module::<Limits>().start().await.expect("a fresh disk");
    for number in 0..48 {
        let result = append(&grid, "k", 1_000_000).await;
        if number < 16 {
            result.expect("16 MB fit");
        } else {
            is_quarantined(result, &["`limits/lists`", "\"k\"", "at most 16777216", "32 MiB"]);
        }
    }
    append(&grid, "k", 700_000).await.expect("there is room for this");
    grid.shutdown().await.expect("all that was acknowledged can be flushed");
    let grid = on(&disk).module::<Limits>().start().await.expect("a clean folder");
    let list =
        grid.client().select_one(LISTS.key("k")).await.expect("it runs").expect("it is there");
    assert_eq!(list.len(), 17);
}

// Row 144: the limit is exact, at the lowest and the highest that a builder takes, down to runs and merges.
#[tokio::test]
async fn r144_the_limit_is_exact() {
    for limit in [100, 32 << 20] {
        let disk = Disk::new(SimStorage::new());
        let start = || on(&disk).module::<Limits>().value_bytes_max(limit).start();
        for life in 0..5 {
            let grid = start().await.expect("a clean folder");
            set(&grid, &format!("key-{life}"), limit - TEXT).await.expect("it just fits");
            is_quarantined(set(&grid, "other", limit - TEXT + 1).await, &["`limits/texts`"]);
            grid.processed().await;
            assert_eq!(only(&grid).failed_jobs, 0);
            grid.shutdown().await.expect("what was acknowledged can be flushed");
        }
        let grid = start().await.expect("a clean folder");
        let found = grid.client().select_all(TEXTS.map_keys()).await.expect("it runs");
        assert_eq!(found.len(), 5);
    }
}

// Row 144: so is that of keys.
#[tokio::test]
async fn r144_keys_have_a_limit() {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).module::<Limits>().start().await.expect("a fresh disk");
    let (longest, longer) = ("k".repeat(65_535), "k".repeat(65_536));
    set(&grid, &longest, 1).await.expect("it just fits");
    is_quarantined(set(&grid, &longer, 1).await, &["`limits/texts`", "65536 bytes", "65535"]);
    set(&grid, "short", 1).await.expect("others go on");
    grid.shutdown().await.expect("what was acknowledged can be flushed");
    let grid = on(&disk).module::<Limits>().start().await.expect("a clean folder");
    let found = grid.client().select_one(TEXTS.key(longest.as_str())).await.expect("it runs");
    assert_eq!(found, Some("x".into()));
    let found = grid.client().select_one(TEXTS.key(longer.as_str())).await.expect("it runs");
    assert_eq!(found, None);
}

// Row 144: a replay and a topology that reads the past are held to the limit too.
#[tokio::test]
async fn r144_limits_hold_for_the_past() {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).module::<Limits>().start().await.expect("a fresh disk");
    append(&grid, "small", 10).await.expect("it fits");
    for _ in 0..2 {
        append(&grid, "large", 10_000).await.expect("it fits");
    }
    grid.halt().await;
    let disk = Disk::new(disk.sim.kill());
    let builder = on(&disk).module::<Grown>().value_bytes_max(15_000);
    let grid = builder.accept_replay_with_new_code().start().await.expect("it is set aside");
    grid.caught_up("later").await;
    grid.processed().await;
    let aside: Vec<String> = grid.quarantine().into_iter().map(|record| record.topology).collect();
    assert_eq!(aside.len(), 2, "one by the replay, one by the topology: {aside:?}");
    for pstate in [LISTS, LATER] {
        let kept = grid.client().select_one(pstate.key("large")).await.expect("it runs");
        assert_eq!(kept.expect("the first fits").len(), 1);
    }
    grid.shutdown().await.expect("what is kept can be flushed");
}

const BEGUN: PState<Map<Str, Str>> =
    PState::new("limits/begun").initial(|| [("k".into(), "x".repeat(1000).into())].into());

struct Begun;

impl Module for Begun {
    const NAME: &'static str = "limits";

    fn define(module: &mut Setup) {
        module.depot(PUTS);
        let set =
            |put: Put, texts: &mut Map<Str, Str>| drop(texts.insert(put.key().clone(), "x".into()));
        module.stream("begun", BEGUN).source(PUTS).each(set);
    }
}

// Row 144: and what a PState begins with.
#[tokio::test]
async fn r144_initial_values_have_the_limit() {
    let disk = Disk::new(SimStorage::new());
    let start = |limit| on(&disk).module::<Begun>().value_bytes_max(limit).start();
    let error = start(1000 + TEXT - 1).await.expect_err("it is one byte too large");
    assert!(matches!(error, StartError::Declaration { .. }), "{error}");
    assert!(error.to_string().contains("key \"k\" of PState `limits/begun`"), "{error}");
    let grid = start(1000 + TEXT).await.expect("it just fits");
    grid.shutdown().await.expect("it can be flushed");
}

// Row 024: where flushes fail, that is seen, memory stays within twice its budget, nothing is lost, and
// it goes on by itself.
#[tokio::test]
async fn r024_flushes_that_fail_are_seen_and_hold_memory() {
    const BUDGET: usize = 1 << 20;
    let disk = Disk::new(SimStorage::new());
    let start = || on(&disk).module::<Limits>().overlay_bytes_max(BUDGET).start();
    let grid = start().await.expect("a fresh disk");
    disk.forbid(Some("runs"));
    let mut kept = 0_usize;
    let refused = loop {
        match set(&grid, &format!("{kept}"), 10_000).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        let stats = only(&grid);
        assert!(stats.overlay_bytes <= 2 * BUDGET as u64, "{}", stats.overlay_bytes);
        assert!(kept < 1000, "memory is not held");
    };
    assert!(2 * kept * 10_000 > 3 * BUDGET, "nearly twice the budget may be used");
    let AppendErrorKind::ChangesFull { partition: 0, message } = &refused.kind else {
        panic!("{refused}");
    };
    assert!(message.contains("this cannot be made now"), "{message}");
    assert!(refused.kind.is_not_logged() && refused.events.is_some());
    let stats = only(&grid);
    let Some(JobProblem { message, .. }) = &stats.problem else { panic!("{stats:?}") };
    assert!(message.contains("a flush failed") && message.contains("this cannot be made now"));
    assert!(stats.failed_jobs > 0 && stats.flushes == 0);
    assert_eq!(grid.client().depot_info(PUTS).await.expect("it runs").records(), kept as u64);

    disk.forbid(None);
    while let Err(error) = set(&grid, &format!("{kept}"), 10_000).await {
        assert!(matches!(error.kind, AppendErrorKind::ChangesFull { .. }), "{error}");
        tokio::task::yield_now().await;
    }
    kept += 1;
    for _ in 0..300 {
        set(&grid, &format!("{kept}"), 10_000).await.expect("it goes on");
        kept += 1;
    }
    let stats = only(&grid);
    assert!(stats.flushes > 0 && stats.problem.is_none(), "{stats:?}");
    grid.shutdown().await.expect("flushes work again");
    let grid = start().await.expect("a clean folder");
    let found = grid.client().select_all(TEXTS.map_keys()).await.expect("it runs");
    assert_eq!(found.len(), kept);
}
