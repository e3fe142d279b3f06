//! A start that is refused changes nothing: whichever partition or module refuses it, and why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill::persistence::{FileStorage, Position, SimStorage, manifest};
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use crate::bad_input::refusal;

const PARTITIONS: u32 = 4;
const ENTRIES: u64 = 100;

const EVENTS: Depot<u64> = Depot::hash_by("one/events", |event| (*event).into());
const SUM: PState<Map<u64, u64>> = PState::new("one/sum");
const SUM_AS_TEXT: PState<Map<u64, Str>> = PState::new("one/sum");
const MORE: PState<Map<u64, u64>> = PState::new("one/more");
const LATE: PState<Map<u64, u64>> = PState::new("one/late");
const SHOP: Depot<Shop> = Depot::hash_by("two/events", |event| event.0.into());
const SHOP_GROWN: Depot<ShopGrown> = Depot::hash_by("two/events", |event| event.0.into());
const SHOP_GLOBAL: Depot<Shop> = Depot::random("two/events").global();
const NEWS: Depot<u64> = Depot::hash_by("two/news", |event| (*event).into());
const SOLD: PState<Map<u64, u64>> = PState::new("two/sold");
const LATE_SOLD: PState<Map<u64, u64>> = PState::new("two/late");
const BESIDE: PState<Map<u64, u64>> = PState::new("two/beside");

mod shop {
    use gridmill::prelude::*;

    #[record]
    pub(crate) struct Shop(pub(crate) u64);
}

mod grown {
    use gridmill::prelude::*;

    #[record]
    pub(crate) struct Shop(pub(crate) u64, pub(crate) u64);
}

use grown::Shop as ShopGrown;
use shop::Shop;

fn add(event: u64, sum: &mut Map<u64, u64>) {
    *sum.entry(event).or_default() += 1;
}

fn add_text(event: u64, sum: &mut Map<u64, Str>) {
    sum.insert(event, "text".into());
}

fn sell(event: Shop, sold: &mut Map<u64, u64>) {
    add(event.0, sold);
}

fn sell_grown(event: ShopGrown, sold: &mut Map<u64, u64>) {
    add(event.0, sold);
}

macro_rules! module {
    ($type:ident, $name:literal, $version:literal, $module:ident => $define:block) => {
        struct $type;

        impl Module for $type {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;

            fn define($module: &mut Setup) $define
        }
    };
}

module!(One, "one", 1, module => {
    module.depot(EVENTS);
    module.stream("sum", SUM).source(EVENTS).each(add);
    module.stream("more", MORE).source(EVENTS).each(add);
});

module!(Two, "two", 1, module => {
    module.depot(SHOP).depot(NEWS);
    module.stream("sold", SOLD).source(SHOP).each(sell);
    module.stream("beside", BESIDE).source(NEWS).each(add);
});

// Fits the folder, and changes much in it: a view goes, another comes.
module!(OneChanged, "one", 2, module => {
    module.depot(EVENTS).remove("more");
    module.stream("sum", SUM).source(EVENTS).each(add);
    module.stream("late", LATE).source(EVENTS).each(add);
});

module!(TwoChanged, "two", 2, module => {
    module.depot(SHOP).depot(NEWS).remove("beside");
    module.stream("sold", SOLD).source(SHOP).each(sell);
});

fn start<A: Module, B: Module>(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(PARTITIONS).module::<A>().module::<B>()
}

async fn fill(grid: Grid) {
    let client = grid.client();
    for event in 0..ENTRIES {
        client.append(EVENTS, event).await.expect("it runs");
        client.append(SHOP, Shop(event)).await.expect("it runs");
        client.append(NEWS, event).await.expect("it runs");
    }
    grid.shutdown().await.expect("it runs");
}

async fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    fill(start::<One, Two>(folder.path()).start().await.expect("a fresh folder")).await;
    folder
}

/// Every byte of a folder, by file.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is there").path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.append(&mut bytes(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).expect("it is there"));
        }
    }
    found
}

fn assert_same(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>, why: &str) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "{why}");
    for (path, bytes) in before {
        assert!(*bytes == after[path], "{} has changed; {why}", path.display());
    }
}

/// Refuses a start and holds every byte of the folder against what it was before.
async fn refuses(folder: &Path, builder: GridBuilder) -> StartError {
    let before = bytes(folder);
    let error = refusal(builder).await;
    assert_same(&before, &bytes(folder), &error.to_string());
    error
}

/// All views of the first version answer at once, whole.
async fn assert_whole(grid: &Grid, times: u64) {
    let client = grid.client();
    for view in [SUM, MORE, SOLD, BESIDE] {
        let counts = client.select_all(view.key_range(0..ENTRIES).map_vals()).await;
        let counts = counts.expect("it is not filled anew");
        assert_eq!(counts, vec![times; ENTRIES as usize], "{}", view.name());
    }
}

// Row 176: whatever the code says that does not fit, in the second module and behind a first one that
// fits: the folder is what it was, byte by byte.
#[tokio::test]
async fn r176_refused_declarations_change_nothing() {
    module!(Reshaped, "one", 2, module => {
        module.depot(EVENTS).remove("more");
        module.stream("sum", SUM_AS_TEXT).source(EVENTS).each(add_text);
    });
    module!(NoTopology, "two", 2, module => {
        module.depot(SHOP).depot(NEWS);
        module.stream("sold", SOLD).source(SHOP).each(sell);
    });
    module!(NoDepot, "two", 2, module => {
        module.depot(SHOP).remove("beside");
        module.stream("sold", SOLD).source(SHOP).each(sell);
    });
    module!(Mistyped, "two", 2, module => {
        module.depot(SHOP).depot(NEWS).remove("besides");
        module.stream("sold", SOLD).source(SHOP).each(sell);
    });
    module!(EventGrown, "two", 2, module => {
        module.depot(SHOP_GROWN).depot(NEWS).remove("beside");
        module.stream("sold", SOLD).source(SHOP_GROWN).each(sell_grown);
    });
    module!(NowGlobal, "two", 2, module => {
        module.depot(SHOP_GLOBAL).depot(NEWS).remove("beside").remove("sold");
    });
    module!(NewSource, "two", 2, module => {
        module.depot(SHOP).depot(NEWS).remove("beside");
        module.stream("sold", SOLD).source(SHOP).each(sell).source(NEWS).each(add);
    });
    module!(OtherOwner, "two", 2, module => {
        module.depot(SHOP).depot(NEWS).remove("beside");
        let sold = module.stream("sold", (SOLD, BESIDE)).source(SHOP);
        sold.each(|event: Shop, (sold, _): (&mut Map<u64, u64>, &mut Map<u64, u64>)| sell(event, sold));
    });
    module!(ReadsInThePast, "two", 2, module => {
        module.depot(SHOP).depot(NEWS).remove("beside");
        module.stream("sold", SOLD).source(SHOP).each(sell);
        let late = module.stream("late", (LATE_SOLD, SOLD.read())).source(NEWS);
        late.each(|event: u64, (late, _): (&mut Map<u64, u64>, &Map<u64, u64>)| add(event, late));
    });
    let folder = folder().await;
    let path = folder.path();
    let error = refuses(path, start::<Reshaped, TwoChanged>(path)).await;
    assert!(matches!(error, StartError::Changed { what: "PState", .. }), "{error}");
    let error = refuses(path, start::<OneChanged, NoTopology>(path)).await;
    assert!(matches!(error, StartError::Missing { what: "topology", .. }), "{error}");
    let error = refuses(path, start::<OneChanged, NoDepot>(path)).await;
    assert!(matches!(error, StartError::Missing { what: "depot", .. }), "{error}");
    let error = refuses(path, start::<OneChanged, Mistyped>(path)).await;
    assert!(matches!(error, StartError::Missing { what: "topology", .. }), "{error}");
    let error = refuses(path, start::<OneChanged, EventGrown>(path)).await;
    assert!(matches!(error, StartError::Changed { what: "event variant", .. }), "{error}");
    for builder in [
        start::<OneChanged, NowGlobal>(path),
        start::<OneChanged, NewSource>(path),
        start::<OneChanged, OtherOwner>(path),
        start::<OneChanged, ReadsInThePast>(path),
    ] {
        let error = refuses(path, builder).await;
        assert!(matches!(error, StartError::Incompatible { .. }), "{error}");
    }
    for partitions in [2, 7] {
        let builder = start::<OneChanged, TwoChanged>(path).partitions(partitions);
        let error = refuses(path, builder).await;
        assert!(matches!(error, StartError::Partitions { .. }), "{error}");
    }
    let grid = start::<One, Two>(path).start().await.expect("the folder is as it was");
    assert_whole(&grid, 1).await;
    grid.shutdown().await.expect("it runs");
    let grid = start::<OneChanged, TwoChanged>(path).start().await.expect("it fits");
    grid.caught_up("late").await;
    let late = grid.client().select_all(LATE.key_range(0..ENTRIES).map_vals()).await;
    assert_eq!(late.expect("it runs"), vec![1; ENTRIES as usize]);
}

/// An event that partition 3 of module `two` gets.
fn of_the_last_partition() -> u64 {
    let home =
        |event: &u64| gridmill::model::Key::route(event).partition(PARTITIONS) == PARTITIONS - 1;
    (0..ENTRIES).find(home).expect("there is one")
}

// Row 176: one partition stopped uncleanly, the last one of the last module; a version that did not
// process its tail changes none of the others.
#[tokio::test]
async fn r176_refused_tail_changes_nothing() {
    let folder = folder().await;
    let path = folder.path();
    let grid = start::<One, Two>(path).start().await.expect("it fits");
    let event = of_the_last_partition();
    grid.client().append(NEWS, event).await.expect("it runs");
    grid.halt().await;
    let error = refuses(path, start::<OneChanged, TwoChanged>(path)).await;
    let expected = matches!(error, StartError::OtherVersion { partition: 3, records: 1, .. });
    assert!(expected, "{error}");
    let grid = start::<One, Two>(path).start().await.expect("the folder is as it was");
    let client = grid.client();
    let more = client.select_all(MORE.key_range(0..ENTRIES).map_vals()).await;
    assert_eq!(more.expect("it runs"), vec![1; ENTRIES as usize]);
    assert_eq!(client.select_one(BESIDE.key(event)).await.expect("it runs"), Some(2));
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).expect("it is there");
    bytes[at] ^= 1;
    std::fs::write(file, bytes).expect("it is there");
}

// Row 024: the last partition of the last module is damaged, in each of its files, or belongs elsewhere:
// nothing is changed, and once the file is restored, nothing is missing.
#[tokio::test]
async fn r024_refused_damage_changes_nothing() {
    let folder = folder().await;
    let path = folder.path();
    let last = path.join("two/3");
    let segment = first_file(&last.join("log"), "seg");
    let run = first_file(&last.join("runs"), "run");
    let end_of_run = std::fs::metadata(&run).expect("it is there").len() as usize - 3;
    for (file, at) in [
        (last.join("MANIFEST"), 40),
        (segment, 9),
        (last.join("log/clean"), 30),
        (run.clone(), end_of_run),
    ] {
        flip(&file, at);
        let error = refuses(path, start::<OneChanged, TwoChanged>(path)).await;
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        flip(&file, at);
    }
    let aside = path.join("aside");
    std::fs::rename(&run, &aside).expect("it is there");
    let error = refuses(path, start::<OneChanged, TwoChanged>(path)).await;
    assert!(matches!(error, StartError::Run { partition: 3, .. }), "{error}");
    std::fs::rename(&aside, &run).expect("it is there");

    for (from, to) in [("two/2", "aside"), ("two/3", "two/2"), ("aside", "two/3")] {
        std::fs::rename(path.join(from), path.join(to)).expect("it is there");
    }
    refuses(path, start::<OneChanged, TwoChanged>(path)).await;
    for (from, to) in [("two/2", "aside"), ("two/3", "two/2"), ("aside", "two/3")] {
        std::fs::rename(path.join(from), path.join(to)).expect("it is there");
    }
    let grid = start::<One, Two>(path).start().await.expect("the folder is as it was");
    assert_whole(&grid, 1).await;
}

/// The first file of a folder whose name ends so.
fn first_file(dir: &Path, ending: &str) -> PathBuf {
    let files =
        std::fs::read_dir(dir).expect("it is there").map(|file| file.expect("there").path());
    let found = files.filter(|file| file.extension().is_some_and(|found| found == ending)).min();
    found.expect("there is one")
}

// Row 144: a record that ended three starts refuses the fourth, and the other partitions with it.
#[tokio::test]
async fn r144_refused_poison_changes_nothing() {
    let folder = folder().await;
    let path = folder.path();
    let grid = start::<One, Two>(path).start().await.expect("it fits");
    let receipt = grid.client().append(NEWS, of_the_last_partition()).await.expect("it runs");
    grid.halt().await;
    let (storage, dir) = (FileStorage::new(path), Path::new("two/3"));
    manifest::write_atomic(&storage, dir, "REPLAYING", &[3]).expect("it can be written");
    let bits = receipt.position;
    let breadcrumb = [bits.to_le_bytes(), (!bits).to_le_bytes()].concat();
    std::fs::write(path.join("two/3/CRUMB"), breadcrumb).expect("it can be written");
    let error = refuses(path, start::<One, Two>(path)).await;
    let StartError::Aborting { module, partition, position } = &error else { panic!("{error}") };
    assert_eq!((*partition, *position), (3, Position::from_bits(receipt.position)));
    // As the error advises: where the handlers are mended, they are asked again, as often as it takes.
    assert!(error.to_string().contains("accept_replay_with_new_code()"), "{error}");
    let mended = tempfile::tempdir().expect("a folder for the test");
    crate::identity::copy(path, mended.path()).expect("it is there");
    let grid = start::<One, Two>(mended.path()).accept_replay_with_new_code().start().await;
    let grid = grid.expect("the handlers are mended");
    let count = grid.client().select_one(BESIDE.key(of_the_last_partition())).await;
    assert_eq!(count.expect("it runs"), Some(2));
    grid.halt().await;
    // Or the record is set aside.
    let advised = Position::new(position.epoch(), position.number());
    let builder = start::<One, Two>(path).quarantine_at(module, *partition, advised);
    let grid = builder.start().await.expect("the record is set aside");
    // Everything but that record.
    assert_whole(&grid, 1).await;
    assert_eq!(grid.quarantine().len(), 1);
}

/// All but the logs: a start that is refused once it replays has begun a new epoch there.
fn all_but_logs(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = bytes(folder);
    found.retain(|path, _| !path.components().any(|part| part.as_os_str() == "log"));
    found
}

// Row 024: what only the replay finds out, when other partitions are through with theirs, is taken back
// there too, with the runs that these wrote on the way.
#[tokio::test]
async fn r024_refused_replay_changes_nothing() {
    let folder = folder().await;
    let path = folder.path();
    let grid = start::<One, Two>(path).start().await.expect("it fits");
    for event in 0..ENTRIES {
        grid.client().append(EVENTS, event).await.expect("it runs");
        grid.client().append(SHOP, Shop(event)).await.expect("it runs");
        grid.client().append(NEWS, event).await.expect("it runs");
    }
    grid.halt().await;
    // The replay needs entries of these runs; the ends, which opening reads, are whole.
    let runs: Vec<PathBuf> = std::fs::read_dir(path.join("two/3/runs"))
        .expect("it is there")
        .map(|run| run.expect("it is there").path())
        .collect();
    let whole: Vec<Vec<u8>> = runs.iter().map(|run| std::fs::read(run).expect("there")).collect();
    // Behind the header, in the first entries.
    runs.iter().for_each(|run| flip(run, 80));
    let before = all_but_logs(path);
    // Flushes as often as it can.
    let builder = start::<OneChanged, TwoChanged>(path).accept_replay_with_new_code();
    let error = refusal(builder.overlay_bytes_max(1)).await;
    assert!(matches!(error, StartError::Damaged { partition: 3, .. }), "{error}");
    assert_same(&before, &all_but_logs(path), &error.to_string());
    for (run, whole) in runs.iter().zip(&whole) {
        std::fs::write(run, whole).expect("it is there");
    }
    let grid = start::<One, Two>(path).start().await.expect("the file is restored");
    assert_whole(&grid, 2).await;
}

// Row 024: a disk that fails at any write of a start: the folder opens with the code that it was made
// with, and every view is whole at once.
#[tokio::test]
async fn r024_failed_start_is_taken_back() {
    let mut failed = 0;
    for write in 1.. {
        let disk = SimStorage::new();
        let on = |builder: GridBuilder| builder.storage(Arc::new(disk.clone())).threads(1);
        let nowhere = Path::new("(simulated)");
        fill(on(start::<One, Two>(nowhere)).start().await.expect("a fresh disk")).await;
        let faults = gridmill::persistence::Faults::default();
        disk.set_faults(gridmill::persistence::Faults { fail_write: Some(write), ..faults });
        let started = on(start::<OneChanged, TwoChanged>(nowhere)).start().await;
        disk.set_faults(faults);
        match started {
            Ok(grid) => {
                grid.halt().await;
                break;
            }
            Err(_) => failed += 1,
        }
        let grid = on(start::<One, Two>(nowhere)).start().await.expect("the folder is as it was");
        assert_whole(&grid, 1).await;
        grid.halt().await;
    }
    assert!(failed >= 2 * PARTITIONS, "each partition's manifest is written, not {failed}");
}

// Row 024: files that recovery does not need stay until something is logged, so that a start which finds
// damage in the last partition's log, by a replay, has changed none of the others.
#[tokio::test]
async fn r024_refused_replay_tidies_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path();
    let grid = start::<One, Two>(path).start().await.expect("a fresh folder");
    let many = || (0..4000).map(|event| event % ENTRIES);
    for _ in 0..6 {
        grid.client().append_many(EVENTS, many()).await.expect("it runs");
        grid.client().append_many(NEWS, many()).await.expect("it runs");
    }
    grid.halt().await;
    // In a segment that later ones prove durable, and that only the replay reads.
    let first = path.join("two/3/log/0000000002.seg");
    flip(&first, 4096 + 64);
    let before = bytes(path);
    let error = refusal(start::<One, Two>(path)).await;
    assert!(error.to_string().contains("damaged"), "{error}");
    let segments = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        files.keys().filter(|path| path.extension().is_some_and(|end| end == "seg")).count()
    };
    assert_eq!(segments(&before), segments(&bytes(path)), "{error}");
    flip(&first, 4096 + 64);
    let grid = start::<One, Two>(path).start().await.expect("the file is as it was");
    let count = grid.client().select_one(BESIDE.key(0)).await.expect("it runs");
    assert_eq!(count, Some(6 * 4000u64.div_ceil(ENTRIES)));
}
