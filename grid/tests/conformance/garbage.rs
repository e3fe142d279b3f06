//! What was overwritten or deleted leaves the disk, under load and at rest.

use std::path::Path;
use std::sync::Arc;

use gridmill::persistence::{SimStorage, Storage};
use gridmill::prelude::*;

type Test = Result<(), Box<dyn std::error::Error>>;

const VALUES: Depot<(u64, Str)> = Depot::random("garbage/values").global();
const KEPT: PState<Map<u64, Str>> = PState::new("garbage/kept").global();

/// Keeps values; an empty one deletes.
struct Keep;

impl Module for Keep {
    const NAME: &'static str = "garbage";

    fn define(module: &mut Setup) {
        module.depot(VALUES);
        module.stream("keep", KEPT).source(VALUES).each(keep);
    }
}

fn keep((key, value): (u64, Str), kept: &mut Map<u64, Str>) {
    if value.is_empty() {
        kept.remove(key);
    } else {
        kept.insert(key, value);
    }
}

const KEYS: u64 = 300;
const VALUE: usize = 5_000;
/// What lives, about.
const ALIVE: u64 = KEYS * VALUE as u64;
/// What may change before it is written out, and what one flush writes at most: a batch more, about.
const CHANGES: usize = 800 << 10;
const FOLD: u64 = CHANGES as u64 + (64 << 10);
/// Garbage that is not worth a merge, and what else lies in run files.
const SLACK: u64 = 256 << 10;

async fn start(disk: &SimStorage, changes: usize) -> Result<Grid, Box<dyn std::error::Error>> {
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(1).threads(1);
    Ok(builder.overlay_bytes_max(changes).module::<Keep>().start().await?)
}

fn all_keys(round: u64) -> impl Iterator<Item = (u64, Str)> {
    (0..KEYS).map(move |key| (key, format!("{round:0VALUE$}").into()))
}

/// Bytes of all run files that are in the folder, also of those that are being written, and how many.
fn on_disk(disk: &SimStorage) -> (u64, usize) {
    let dir = Path::new("garbage/0/runs");
    let names = disk.list(dir).expect("the folder is there");
    // One may be removed, or renamed, between two looks.
    let len = |name: &String| disk.open_read(&dir.join(name)).and_then(|file| file.len()).ok();
    let lens: Vec<u64> = names.iter().filter_map(len).collect();
    (lens.iter().sum(), lens.len())
}

/// Waits until run files take no more than so many bytes.
async fn tidied_up(disk: &SimStorage, bytes_max: u64) {
    let tidy = async {
        while on_disk(disk).0 > bytes_max {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), tidy).await;
    assert!(waited.is_ok(), "{:?} are more than {bytes_max}", on_disk(disk));
}

// Rows 024 and 229: however long values are overwritten, the disk holds three times what lives and one
// flush at most, files that are being written included, in a few runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r229_what_was_overwritten_leaves_the_disk_under_load() -> Test {
    let disk = SimStorage::new();
    let grid = start(&disk, CHANGES).await?;
    let client = grid.client();
    for round in 0..60 {
        for (key, value) in all_keys(round) {
            client.append(VALUES, (key, value)).await?;
            if key % 25 == 0 {
                let (bytes, runs) = on_disk(&disk);
                assert!(bytes <= 3 * ALIVE + FOLD + SLACK, "round {round}: {bytes} in {runs} runs");
                assert!(runs <= 18, "round {round}: {runs} runs");
            }
        }
    }
    let stats = grid.stats();
    let total = |figure: fn(&gridmill::PartitionStats) -> u64| stats.total(figure);
    assert!(total(|partition| partition.flushes) > 40, "{stats:?}");
    assert!(total(|partition| partition.merged_bytes) > ALIVE, "{stats:?}");
    grid.shutdown().await?;
    let (bytes, runs) = on_disk(&disk);
    assert!(bytes <= 3 * ALIVE + FOLD + SLACK && runs <= 16, "{bytes} bytes in {runs} runs");
    let grid = start(&disk, CHANGES).await?;
    for (key, value) in all_keys(59) {
        assert_eq!(grid.client().select_one(KEPT.key(key)).await?, Some(value), "{key}");
    }
    Ok(())
}

// Row 229: what earlier lives of a grid left is tidied up by one that nobody asks for anything.
#[tokio::test]
async fn r229_an_idle_grid_tidies_up() -> Test {
    let disk = SimStorage::new();
    for life in 0..3 {
        // Each life flushes once, when it stops.
        let grid = start(&disk, 1 << 30).await?;
        grid.client().append_many(VALUES, all_keys(life)).await?;
        grid.shutdown().await?;
    }
    let grid = start(&disk, 1 << 30).await?;
    tidied_up(&disk, ALIVE + SLACK).await;

    // Deletions go the same way.
    let deleted = (0..KEYS - 3).map(|key| (key, Str::default()));
    grid.client().append_many(VALUES, deleted).await?;
    grid.shutdown().await?;
    let grid = start(&disk, 1 << 30).await?;
    tidied_up(&disk, SLACK).await;
    let left: Vec<u64> = grid.client().select(KEPT.map_keys()).await?;
    assert_eq!(left, (KEYS - 3..KEYS).collect::<Vec<_>>());
    Ok(())
}
