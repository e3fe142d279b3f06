//! Crashes: a process that is killed, and a machine that loses power, again and again on one folder.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use gridmill::persistence::{Faults, SimStorage};
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};
use parking_lot::Mutex;

use crate::disk::Disk;
use crate::ledger::{ENTRIES, Entry, GrownLedger, Ledger, check};

const FOLDER: &str = "GRIDMILL_TEST_CRASH_FOLDER";
const LIFE: &str = "GRIDMILL_TEST_CRASH_LIFE";
const CHILD: &str = "crash::child_that_is_killed";
const LIVES: u32 = 50;
/// From this life on the module has a topology more, which starts in the past.
const GROWN_FROM: u32 = 20;

/// A generator of test data: splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// So small that flushes and merges happen all the time.
fn tiny(builder: GridBuilder, grown: bool) -> GridBuilder {
    let builder = builder.threads(2).overlay_bytes_max(4 << 10).tail_bytes_max(16 << 10);
    if grown { builder.module::<GrownLedger>() } else { builder.module::<Ledger>() }
}

/// What the killed process does; a test only because it has to be in this program.
#[tokio::test]
async fn child_that_is_killed() {
    let Some((folder, life)) = of_parent() else { return };
    say("opening");
    let builder = tiny(Grid::builder(folder).partitions(3), life >= GROWN_FROM);
    let grid = builder.start().await.expect("a folder of a killed grid can be opened");
    say("open");
    let writers = (0..4).map(|writer| tokio::spawn(write_on(grid.client(), life * 4 + writer)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer runs until the process is killed");
    }
}

async fn write_on(client: Client, writer: u32) {
    for number in (0..).step_by(8) {
        if number % 3 == 0 {
            let many = (number..number + 8).map(|number| Entry::of(writer, number, 500));
            let ids: Vec<u64> = many.clone().map(|entry| entry.id()).collect();
            client.append_many(ENTRIES, many).await.expect("nothing is wrong with the disk");
            ids.into_iter().for_each(|id| say(&format!("ack {id}")));
        } else {
            let entry = Entry::of(writer, number, 2000);
            let id = entry.id();
            client.append(ENTRIES, entry).await.expect("nothing is wrong with the disk");
            say(&format!("ack {id}"));
        }
    }
}

/// The folder and the life that the parent of this process has given it, where it has one.
pub(crate) fn of_parent() -> Option<(PathBuf, u32)> {
    let (folder, life) = (std::env::var(FOLDER).ok()?, std::env::var(LIFE).ok()?);
    Some((folder.into(), life.parse().expect("the parent gives a number")))
}

/// One line to the parent, whole or not at all.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent may have gone; the kill comes then anyway.
    let _ = out.write_all(format!("\n{line}\n").as_bytes());
    let _ = out.flush();
}

/// Runs a test of this program, in a process of its own, as one life of a folder.
pub(crate) fn spawn(test: &str, folder: &Path, life: u32) -> Child {
    let program = std::env::current_exe().expect("a test knows its program");
    Command::new(program)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started")
}

/// Lets a process write until it has said `lines` lines, kills it and returns what it acknowledged.
pub(crate) fn run_and_kill(test: &str, folder: &Path, life: u32, lines: u64) -> Vec<u64> {
    let mut child = spawn(test, folder, life);
    let mut out = BufReader::new(child.stdout.take().expect("it was asked for"));
    let (mut acked, mut said, mut killed) = (Vec::new(), 0, false);
    let mut line = String::new();
    while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        said += u64::from(line.starts_with("ack ") || line.starts_with("open"));
        if let Some(id) = line.trim_end().strip_prefix("ack ").filter(|_| line.ends_with('\n')) {
            acked.push(id.parse().expect("a line is whole"));
        }
        line.clear();
        if said > lines && !killed {
            child.kill().expect("it runs");
            killed = true;
        }
    }
    let status = child.wait().expect("it was started");
    assert!(killed, "life {life} ended by itself: {status}");
    acked
}

// Rows 024 and 143: whatever was acknowledged outlives SIGKILL, stands in the log once and in order,
// and every view is the flush of the log, also of a topology that was added on the way.
#[tokio::test(flavor = "multi_thread")]
async fn r024_killed_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (mut acked, mut random) = (HashSet::new(), Random(24));
    for life in 0..LIVES {
        // A few lives end while the grid is still opening its folder.
        let lines = if random.below(5) == 0 { random.below(2) } else { 2 + random.below(150) };
        let path = folder.path().to_path_buf();
        let run = tokio::task::spawn_blocking(move || run_and_kill(CHILD, &path, life, lines));
        acked.extend(run.await.expect("the child was run"));
        let last = life == LIVES - 1;
        if random.below(3) > 0 && !last {
            continue;
        }
        let grown = life >= GROWN_FROM;
        let grid = tiny(Grid::builder(folder.path()).partitions(3), grown).start().await;
        let grid = grid.unwrap_or_else(|error| panic!("after life {life}: {error}"));
        if last {
            grid.caught_up("latest").await;
        }
        let records = check(&grid.client(), &acked, last).await;
        assert!(records >= acked.len());
        match random.below(2) {
            0 => grid.halt().await,
            _ => grid.shutdown().await.expect("a clean stop"),
        }
    }
    assert!(acked.len() > 500, "{} acknowledged", acked.len());
}

/// One machine that loses power in the middle of operation `power_off`, and again in its next life.
async fn lose_power(seed: u64) {
    let mut random = Random(seed);
    let first = SimStorage::with_faults(seed, Faults::default());
    let mut disk = Disk::new(first);
    let acked = Arc::new(Mutex::new(HashSet::new()));
    for life in 0..3u32 {
        let power_off = Some(1 + random.below(if life == 0 { 160 } else { 100 }));
        disk.sim.set_faults(Faults { power_off, ..Faults::default() });
        match small(&disk, seed, life > 0).start().await {
            Ok(grid) => live(grid, &disk, life, &acked).await,
            Err(error) => assert!(is_of_the_disk(&error), "seed {seed}, life {life}: {error}"),
        }
        disk = Disk::new(disk.sim.crash());
        let grid = small(&disk, seed, life > 0).start().await;
        let grid = grid.unwrap_or_else(|error| panic!("seed {seed}, after life {life}: {error}"));
        grid.caught_up("latest").await;
        let acked = acked.lock().clone();
        check(&grid.client(), &acked, life > 0).await;
        grid.halt().await;
        disk = Disk::new(disk.sim.crash());
    }
}

fn small(disk: &Disk, seed: u64, grown: bool) -> GridBuilder {
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone()));
    let builder = builder.partitions(1 + (seed % 2) as u32).threads(1);
    let builder = builder.overlay_bytes_max(700).tail_bytes_max(2 << 10);
    if grown { builder.module::<GrownLedger>() } else { builder.module::<Ledger>() }
}

fn is_of_the_disk(error: &StartError) -> bool {
    error.to_string().contains("is off")
}

/// Three writers append until the power goes.
async fn live(grid: Grid, disk: &Disk, life: u32, acked: &Arc<Mutex<HashSet<u64>>>) {
    let writers = (0..3).map(|writer| {
        let (client, acked) = (grid.client(), Arc::clone(acked));
        tokio::spawn(async move {
            for number in 0..12 {
                let entry = Entry::of(life * 3 + writer, number, 40);
                let id = entry.id();
                if client.append(ENTRIES, entry).await.is_err() {
                    return;
                }
                acked.lock().insert(id);
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let all = async {
        for writer in writers {
            writer.await.expect("a writer does not panic");
        }
    };
    tokio::select! {
        () = all => {}
        () = disk.failed() => {}
    }
    grid.halt().await;
}

// Row 024: power loss with `Durability::Sync` at any operation of the disk. GRIDMILL_SEED runs one.
#[tokio::test]
async fn r024_power_lost_at_any_moment() {
    if let Ok(seed) = std::env::var("GRIDMILL_SEED") {
        return lose_power(seed.parse().expect("GRIDMILL_SEED is a number")).await;
    }
    for seed in 0..1000 {
        let run = tokio::spawn(lose_power(seed));
        assert!(run.await.is_ok(), "run it again with GRIDMILL_SEED={seed}");
    }
}

/// Bytes on the disk below a folder, and descriptors of this process that lead into it.
fn used(folder: &Path) -> (u64, usize) {
    use std::os::unix::fs::MetadataExt;
    fn bytes(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let sizes = entries.filter_map(|entry| {
            let known = entry.metadata().ok()?;
            Some(512 * known.blocks() + if known.is_dir() { bytes(&entry.path()) } else { 0 })
        });
        sizes.sum()
    }
    let all = std::fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(Result::ok);
    let inside =
        all.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(folder)));
    (bytes(folder), inside.count())
}

// Row 024: kills leave neither files nor descriptors behind, whether or not anything was logged between
// them; what was is there.
#[tokio::test(flavor = "multi_thread")]
async fn r024_many_kills_leave_a_small_folder() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().canonicalize().expect("it is there");
    let starts: u32 =
        std::env::var("GRIDMILL_TEST_STARTS").map_or(12, |n| n.parse().expect("a number"));
    let mut acked = HashSet::new();
    for start in 0..starts {
        let builder = Grid::builder(&path).partitions(8).threads(2).module::<Ledger>();
        let grid = builder.start().await.unwrap_or_else(|error| panic!("start {start}: {error}"));
        let client = grid.client();
        if start % 2 == 0 {
            let many: Vec<_> = (0..24).map(|number| Entry::of(start, number, 20)).collect();
            acked.extend(many.iter().map(Entry::id));
            client.append_many(ENTRIES, many).await.expect("nothing is wrong with the disk");
        }
        if start + 1 == starts || start % 50 == 0 {
            assert_eq!(check(&client, &acked, false).await, acked.len());
        }
        let (bytes, descriptors) = used(&path);
        assert!(descriptors <= 8 * 8, "start {start}: {descriptors} descriptors");
        assert!(
            bytes < (1 << 20) + u64::from(start + 2) * 8 * (20 << 10),
            "start {start}: {bytes} bytes"
        );
        grid.halt().await;
    }
}

// Many partitions of few events are small on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn small_partitions_are_small() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let given = std::env::var("GRIDMILL_TEST_PARTITIONS");
    let partitions: u32 = given.map_or(64, |n| n.parse().expect("a number"));
    let start =
        || Grid::builder(folder.path()).partitions(partitions).threads(2).module::<Ledger>();
    let grid = start().start().await.expect("a fresh folder");
    let client = grid.client();
    let mut acked = HashSet::new();
    for writer in 0..10_u32 {
        let entry = |number: u32| Entry::Put {
            key: format!("key {number}").into(),
            id: u64::from(writer) << 32 | u64::from(number),
            padding: "x".repeat(20).into(),
        };
        let many: Vec<_> = (0..partitions).map(entry).collect();
        acked.extend(many.iter().map(Entry::id));
        client.append_many(ENTRIES, many).await.expect("nothing is wrong with the disk");
    }
    let (running, _) = used(folder.path());
    drop(client);
    grid.shutdown().await.expect("nothing is wrong with the disk");
    let (stopped, _) = used(folder.path());
    eprintln!("{partitions} partitions: {running} bytes while running, {stopped} stopped");
    let most = u64::from(partitions) * (73 << 10);
    assert!(running.max(stopped) < most, "{running} bytes while running, {stopped} stopped");
    let grid = start().start().await.expect("it was stopped in order");
    assert_eq!(check(&grid.client(), &acked, false).await, acked.len());
}
