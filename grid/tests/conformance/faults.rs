//! Disks that fill up, fail a sync, or hand back other bytes than were written.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gridmill::GridBuilder;
use gridmill::client::{AppendErrorKind, ReadError};
use gridmill::persistence::{Faults, SimStorage, Storage};
use gridmill::prelude::*;

use crate::crash::Random;
use crate::disk::Disk;
use crate::ledger::{COUNTS, ENTRIES, Entry, IDS, Ledger, check};

const PADDING: usize = 64 << 10;

fn on(disk: &Disk) -> GridBuilder {
    let storage = Arc::new(disk.clone());
    Grid::builder("sim").storage(storage).partitions(1).threads(1).module::<Ledger>()
}

/// Appends until the disk is full; the last event comes back.
async fn fill(client: &Client, writer: u32, padding: usize, acked: &mut HashSet<u64>) -> Entry {
    for number in 0..2000 {
        let entry = Entry::of(writer, number, padding);
        let id = entry.id();
        let Err(error) = client.append(ENTRIES, entry).await else {
            acked.insert(id);
            continue;
        };
        let full = matches!(error.kind, AppendErrorKind::StorageFull { partition: 0, .. });
        assert!(full, "{}", error.kind);
        let text = error.to_string();
        for part in ["partition 0", "no room on the disk for", "nothing was logged"] {
            assert!(text.contains(part), "{text}");
        }
        let returned = error.events.expect("what was not logged comes back");
        assert_eq!(returned.id(), id);
        return returned;
    }
    panic!("the disk never fills up");
}

// Row 024, a full disk: appends fail with a typed error and their event, reads go on, nothing that
// was acknowledged is lost, and appends work again once there is room.
#[tokio::test]
async fn r024_full_disk() {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).start().await.expect("a fresh disk");
    let (client, mut acked) = (grid.client(), HashSet::new());
    disk.sim.set_space_left(Some(0));
    let refused = fill(&client, 0, PADDING, &mut acked).await;
    assert_eq!(check(&client, &acked, false).await, acked.len());
    disk.sim.set_space_left(None);
    acked.insert(refused.id());
    client.append(ENTRIES, refused).await.expect("there is room again");
    assert_eq!(check(&client, &acked, false).await, acked.len());
    grid.halt().await;

    let disk = Disk::new(disk.sim.crash());
    let grid = on(&disk).start().await.expect("the disk has room");
    assert_eq!(check(&grid.client(), &acked, false).await, acked.len());
}

// The same on a real file system that is full, where this machine lets us make one.
#[tokio::test]
async fn r024_full_file_system() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let Some(mount) = Mount::tmpfs(folder.path(), "8m") else {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    };
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).expect("8 MiB hold 2");
    let data = folder.path().join("data");
    let builder = || Grid::builder(&data).partitions(1).threads(1).module::<Ledger>();
    let grid = builder().start().await.expect("there is room for an empty grid");
    let (client, mut acked) = (grid.client(), HashSet::new());
    let refused = fill(&client, 0, PADDING, &mut acked).await;
    assert_eq!(check(&client, &acked, false).await, acked.len());
    std::fs::remove_file(&ballast).expect("it is there");
    acked.insert(refused.id());
    client.append(ENTRIES, refused).await.expect("there is room again");
    grid.halt().await;
    std::fs::write(folder.path().join("unused"), b"").expect("there is room");
    match builder().start().await {
        Ok(grid) => {
            assert_eq!(check(&grid.client(), &acked, false).await, acked.len());
            grid.halt().await;
        }
        // A start needs room of its own; without any it says so and changes nothing.
        Err(error) => assert!(error.to_string().contains("no room on the disk"), "{error}"),
    }
    drop(mount);
}

/// A mounted file system; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The grid's threads may hold a file for another moment.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

// Row 143, flushes without room: the state stays in memory and in the log, the failing flush is not
// tried over and over, a shutdown ends and says what it could not do, and later all is written.
#[tokio::test]
async fn r143_flush_without_room() {
    let disk = Disk::new(SimStorage::new());
    let start = || on(&disk).tail_bytes_max(1).start();
    let grid = start().await.expect("a fresh disk");
    let (client, mut acked) = (grid.client(), HashSet::new());
    disk.sim.set_space_left(Some(0));
    disk.sim.set_faults(Faults { space_left: Some(0), ..Faults::default() });
    for number in 0..20 {
        let entry = Entry::of(0, number, 10);
        acked.insert(entry.id());
        client.append(ENTRIES, entry).await.expect("the log's segment has room");
    }
    disk.failed().await;
    assert_eq!(check(&client, &acked, false).await, 20);
    let stopped = grid.shutdown().await.expect_err("the state cannot be written out");
    let text = stopped.to_string();
    for part in ["partition 0", "`ledger`", "did not stop cleanly", "write"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(disk.sim.operations() < 2000, "{} operations", disk.sim.operations());

    disk.sim.set_space_left(None);
    let grid = start().await.expect("there is room again");
    assert_eq!(check(&grid.client(), &acked, false).await, 20);
    grid.shutdown().await.expect("there is room for everything");
    let grid = start().await.expect("a clean folder");
    assert_eq!(grid.stats().total(|partition| partition.replayed), 0);
    assert_eq!(check(&grid.client(), &acked, false).await, 20);
}

// Row 024, a sync that fails, each of the first thirty in turn: what was not durable is written
// anew, every append is answered, and a power loss right after takes nothing of it.
#[tokio::test]
async fn r024_failed_sync() {
    for fail_sync in 1..30 {
        let disk = Disk::new(SimStorage::with_faults(fail_sync, Faults::default()));
        let grid = on(&disk).tail_bytes_max(700).start().await.expect("a fresh disk");
        disk.sim.set_faults(Faults { fail_sync: Some(fail_sync), ..Faults::default() });
        let mut acked = append_some(&grid.client(), 12).await;
        assert_eq!(acked.len(), 36, "sync {fail_sync}: every append is acknowledged");
        check(&grid.client(), &acked, false).await;
        go_on(&grid.client(), &mut acked).await;
        let records = acked.len();
        let disk = stop(grid, disk, fail_sync).await;
        let grid = on(&disk).start().await;
        let grid = grid.unwrap_or_else(|error| panic!("sync {fail_sync}: {error}"));
        assert_eq!(check(&grid.client(), &acked, false).await, records);
        go_on(&grid.client(), &mut acked).await;
    }
}

// Row 024, a write that fails: its appends come back with a typed error, nothing else is touched.
#[tokio::test]
async fn r024_failed_write() {
    for fail_write in 1..20 {
        let disk = Disk::new(SimStorage::with_faults(fail_write, Faults::default()));
        let grid = on(&disk).tail_bytes_max(700).start().await.expect("a fresh disk");
        disk.sim.set_faults(Faults { fail_write: Some(fail_write), ..Faults::default() });
        let mut acked = append_some(&grid.client(), 12).await;
        let records = check(&grid.client(), &acked, false).await;
        assert_eq!(records, acked.len(), "write {fail_write}: an error means not logged");
        // How many writes there have been is a matter of time: the fault may be still to come.
        disk.sim.set_faults(Faults::default());
        if fail_write % 2 == 0 {
            go_on(&grid.client(), &mut acked).await;
        }
        let disk = stop(grid, disk, fail_write).await;
        let grid = on(&disk).start().await;
        let grid = grid.unwrap_or_else(|error| panic!("write {fail_write}: {error}"));
        assert_eq!(check(&grid.client(), &acked, false).await, acked.len());
    }
}

// A write that fails on a disk that is full: nobody knows whether the event was logged, and that is what
// is said. What comes after it, or what a start finds, is never doubled.
#[tokio::test]
async fn r024_failed_write_of_which_nothing_is_known() {
    for seed in 0..12 {
        let disk = Disk::new(SimStorage::with_faults(seed, Faults::default()));
        let grid = on(&disk).start().await.expect("a fresh disk");
        let (client, mut acked) = (grid.client(), HashSet::new());
        go_on(&client, &mut acked).await;
        let faults = Faults { fail_write: Some(1), space_left: Some(0), ..Faults::default() };
        disk.sim.set_faults(faults);
        let doubtful = Entry::of(7, 0, 10);
        let id = doubtful.id();
        let error = client.append(ENTRIES, doubtful).await.expect_err("the disk fails");
        assert!(matches!(error.kind, AppendErrorKind::Unknown { .. }), "{}", error.kind);
        assert!(error.events.is_none() && !error.kind.is_not_logged());
        let refused = client.append(ENTRIES, Entry::of(7, 1, 10)).await.expect_err("it is full");
        assert!(matches!(refused.kind, AppendErrorKind::StorageFull { .. }), "{}", refused.kind);
        assert!(refused.events.is_some());
        let goes_on = seed % 2 == 0;
        if goes_on {
            disk.sim.set_space_left(None);
            go_on(&client, &mut acked).await;
        }
        assert_eq!(check(&client, &acked, false).await, acked.len());
        drop(client);
        grid.halt().await;
        let disk = Disk::new(disk.sim.kill());
        let grid = on(&disk).start().await.expect("the disk has room");
        let found = read_all(&grid.client()).await.expect("it is whole");
        assert!(!goes_on || !found.contains(&id), "seed {seed}: a later write has settled it");
        if found.contains(&id) {
            acked.insert(id);
        }
        assert_eq!(check(&grid.client(), &acked, false).await, acked.len(), "seed {seed}");
    }
}

/// Appends so much that the log goes on in several more segments.
async fn go_on(client: &Client, acked: &mut HashSet<u64>) {
    let first = acked.len() as u32;
    for number in first..first + 30 {
        let entry = Entry::of(9, number, 6000);
        acked.insert(entry.id());
        client.append(ENTRIES, entry).await.expect("nothing is wrong with the disk");
    }
}

/// Ends a grid by a power loss, a kill or in order, and returns its disk.
async fn stop(grid: Grid, disk: Disk, way: u64) -> Disk {
    if way.is_multiple_of(3) {
        grid.shutdown().await.expect("nothing is wrong with the disk");
        return disk;
    }
    grid.halt().await;
    Disk::new(if way % 3 == 1 { disk.sim.crash() } else { disk.sim.kill() })
}

/// Three writers at once; what was acknowledged. Whatever fails must be safe to append again.
async fn append_some(client: &Client, each: u32) -> HashSet<u64> {
    let writers = (0..3).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut acked = Vec::new();
            for number in 0..each {
                let entry = Entry::of(writer, number, 40);
                let id = entry.id();
                match client.append(ENTRIES, entry).await {
                    Ok(_) => acked.push(id),
                    Err(error) => assert!(error.kind.is_not_logged(), "{}", error.kind),
                }
            }
            acked
        })
    });
    let mut acked = HashSet::new();
    for writer in writers.collect::<Vec<_>>() {
        acked.extend(writer.await.expect("a writer does not panic"));
    }
    acked
}

// Row 143: an actor that dies (a failed sync for which there is no room to write anew) is started
// again, with waits between, until it can; the appends that were under way get their answers.
#[tokio::test]
async fn r143_actor_restarts() {
    let disk = Disk::new(SimStorage::new());
    let grid = on(&disk).start().await.expect("a fresh disk");
    let client = grid.client();
    client.append(ENTRIES, Entry::of(0, 0, 10)).await.expect("nothing is wrong yet");
    let faults = Faults { fail_sync: Some(1), space_left: Some(0), ..Faults::default() };
    disk.sim.set_faults(faults);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.append(ENTRIES, Entry::of(0, 1, 10)).await }
    });
    // The sync, the new segment for what it lost, and several restarts.
    for _ in 0..8 {
        disk.failed().await;
    }
    assert_eq!(client.select_all(COUNTS.map_keys()).await.expect("reads go on").len(), 1);
    disk.sim.set_space_left(None);
    waiting.await.expect("it does not panic").expect("it is in the log");
    assert!(grid.stats().total(|partition| partition.restarts) > 0);
    client.append(ENTRIES, Entry::of(0, 2, 10)).await.expect("it runs again");
    let acked = (0..3).map(|number| Entry::of(0, number, 10).id()).collect();
    assert_eq!(check(&client, &acked, false).await, 3);
}

// Row 144: a verdict comes behind the batch that it is about; where nothing waits for a sync, the
// batch is answered all the same, and a verdict lies in the log that a clean stop leaves behind.
#[tokio::test]
async fn r144_verdict_without_sync() {
    for durability in [Durability::Os, Durability::Interval(Duration::from_secs(3600))] {
        let disk = Disk::new(SimStorage::new());
        let start = || on(&disk).durability(durability).value_bytes_max(1).start();
        let grid = start().await.expect("a fresh disk");
        let put = Entry::Put { key: "k".into(), id: 1, padding: "".into() };
        let refused = grid.client().append(ENTRIES, put).await.expect_err("any list is too large");
        let quarantined = |kind: &AppendErrorKind| matches!(kind, AppendErrorKind::Rejected(rejected) if rejected.rejections[0].quarantined);
        assert!(quarantined(&refused.kind), "{refused}");
        grid.processed().await;
        grid.shutdown().await.expect("nothing is wrong");
        let grid = start().await.expect("a clean folder");
        assert_eq!(grid.stats().total(|partition| partition.replayed), 0);
        let record = grid.quarantine().pop().expect("it is still there");
        let error = grid.retry_quarantined(&record).await.expect_err("it is still too large");
        assert!(error.to_string().contains("it failed again"), "{error}");
        let again = grid.quarantine();
        assert_eq!(again.len(), 1, "only under its new position");
        assert!(again[0].position > record.position);
    }
}

// `Durability::Interval`: what is older than an interval survives a power loss, though nothing else is appended and
// nothing is flushed.
#[tokio::test]
async fn what_is_older_than_an_interval_survives_a_power_loss() {
    let disk = Disk::new(SimStorage::new());
    let builder = || on(&disk).durability(Durability::Interval(Duration::from_millis(1)));
    let grid = builder().start().await.expect("a fresh disk");
    let entry = Entry::of(0, 0, 10);
    let acked = HashSet::from([entry.id()]);
    let syncs = |grid: &Grid| grid.stats().total(|partition| partition.syncs);
    let before = syncs(&grid);
    grid.client().append(ENTRIES, entry).await.expect("nothing is wrong");
    while syncs(&grid) == before {
        tokio::task::yield_now().await;
    }
    let after = Disk::new(disk.sim.crash());
    grid.halt().await;
    let grid = on(&after).start().await.expect("the power is back");
    assert_eq!(check(&grid.client(), &acked, false).await, 1);
}

// Rows 031 and 144: a verdict that cannot be written ends the actor; after its restart the appender
// that waits is told the verdict of the replay, not that all went well.
#[tokio::test]
async fn r144_verdict_after_restart() {
    // Of a write that failed, the disk may have nothing, a part or all: each seed has its own.
    for seed in 0..16 {
        let disk = Disk::new(SimStorage::with_faults(seed, Faults::default()));
        let builder = on(&disk).durability(Durability::Os).value_bytes_max(1);
        let grid = builder.start().await.expect("a fresh disk");
        // The first write is the batch, the second its verdict.
        disk.sim.set_faults(Faults { fail_write: Some(2), ..Faults::default() });
        let put = Entry::Put { key: "k".into(), id: 1, padding: "".into() };
        let refused = grid.client().append(ENTRIES, put).await.expect_err("any list is too large");
        let AppendErrorKind::Rejected(rejected) = &refused.kind else { panic!("{refused}") };
        let rejection = &rejected.rejections[0];
        assert!(rejection.quarantined && rejection.topology == "ids", "{rejection}");
        assert_eq!(grid.stats().total(|partition| partition.restarts), 1);
        assert_eq!(grid.quarantine().len(), 1);
        assert_eq!(check_log_len(&grid.client()).await, 1);
        grid.halt().await;
    }
}

async fn check_log_len(client: &Client) -> u64 {
    client.depot_info(ENTRIES).await.expect("it runs").records()
}

/// Every file below a folder of a disk, with its bytes.
fn files(disk: &SimStorage) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("ledger/0")]);
    while let Some(folder) = folders.pop() {
        for name in disk.list(&folder).expect("the folder is there") {
            let path = folder.join(&name);
            match disk.open_read(&path) {
                Ok(file) => {
                    let len = file.len().expect("it is open");
                    found.push((path, file.map(0..len).expect("it is whole").to_vec()));
                }
                Err(_) => folders.push(path),
            }
        }
    }
    found.sort();
    found
}

/// A new disk with these files.
fn disk_with(files: &[(PathBuf, Vec<u8>)]) -> SimStorage {
    let disk = SimStorage::new();
    disk.create_dir_all(Path::new("ledger/0/runs")).expect("an empty disk");
    for (path, bytes) in files {
        let folder = path.parent().expect("a file lies in a folder");
        disk.create_dir_all(folder).expect("an empty disk");
        let file = disk.create(path).expect("an empty disk");
        file.write_at(0, bytes).expect("an empty disk");
        file.sync().expect("an empty disk");
        disk.sync_dir(folder).expect("an empty disk");
    }
    disk
}

/// A small folder with runs and a tail; the ids in its log.
async fn small_folder(clean: bool) -> (Vec<(PathBuf, Vec<u8>)>, Vec<u64>) {
    let disk = Disk::new(SimStorage::new());
    let mut ids = Vec::new();
    for life in 0..2 {
        let grid = on(&disk).start().await.expect("nothing is wrong yet");
        for number in 0..12 {
            let entry = Entry::of(life, number, 20);
            ids.push(entry.id());
            grid.client().append(ENTRIES, entry).await.expect("nothing is wrong yet");
        }
        if life == 0 || clean {
            grid.shutdown().await.expect("nothing is wrong yet");
        } else {
            grid.halt().await;
        }
    }
    (files(&disk.sim), ids)
}

/// Which bits of a file are tried: all of its first bytes, then here and there where it is in use.
fn bits(bytes: &[u8], random: &mut Random) -> Vec<(u64, u8)> {
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
    let head = (0..used.min(32)).flat_map(|byte| (0..8).map(move |bit| (byte, bit)));
    let mut bits: Vec<_> = head.collect();
    let mut at = 32 * 8 + random.below(37);
    while at < used * 8 {
        bits.push((at / 8, (at % 8) as u8));
        // Long runs of equal bytes (a segment's unused room) are tried more coarsely.
        let next = (at / 8 + 1) as usize;
        let idle = bytes[next.min(bytes.len())..].iter().take_while(|&&byte| byte == 0).count();
        at += if idle > 256 { idle as u64 * 4 } else { 37 };
    }
    bits
}

// Rows 024 and 143, one flipped bit anywhere in a folder: the start or the first read names the
// file, or the damage does not matter; no value is ever wrong and nothing panics. After an unclean
// stop the very last batch may be taken for a torn tail, as the design says.
#[tokio::test]
async fn r024_one_flipped_bit() {
    let mut random = Random(37);
    for clean in [true, false] {
        let (files, ids) = small_folder(clean).await;
        let mut found = 0;
        for (path, bytes) in &files {
            for (byte, bit) in bits(bytes, &mut random) {
                let disk = disk_with(&files);
                disk.flip_bit(path, byte, bit).expect("it lies in the file");
                let at = format!("clean {clean}, {} byte {byte} bit {bit}", path.display());
                found += u32::from(try_damaged(&disk, &ids, clean, &at).await);
            }
        }
        assert!(found > 500, "only {found} flips were noticed");
    }
}

/// Whether anything was noticed.
async fn try_damaged(disk: &SimStorage, ids: &[u64], clean: bool, at: &str) -> bool {
    let grid = match on(&Disk::new(disk.clone())).start().await {
        Ok(grid) => grid,
        Err(error) => {
            assert!(error.to_string().contains("sim:"), "{at}: {error}");
            return true;
        }
    };
    let client = grid.client();
    let noticed = match read_all(&client).await {
        Err(message) => {
            assert!(message.contains("sim:"), "{at}: {message}");
            true
        }
        Ok(read) => {
            let cut = ids.len() - read.len();
            assert_eq!(read, ids[..read.len()], "{at}");
            assert!(cut <= usize::from(!clean), "{at}: {cut} records were cut");
            cut > 0
        }
    };
    grid.halt().await;
    noticed
}

/// The ids of the log, where everything can be read and the views are their flush.
async fn read_all(client: &Client) -> Result<Vec<u64>, String> {
    let info = client.depot_info(ENTRIES).await.map_err(|error| error.to_string())?;
    let range = &info.ranges[0];
    let records = client.depot_read(ENTRIES, 0, range.start..range.end).await;
    let records = records.map_err(|error| error.to_string())?;
    client.select_on(0, IDS.all()).await.map_err(|error| error.to_string())?;
    client.select_on(0, COUNTS.all()).await.map_err(|error| error.to_string())?;
    check(client, &HashSet::new(), false).await;
    Ok(records.iter().map(|record| record.event.id()).collect())
}

// Row 144, damage that a handler touches: it stops that partition and is no verdict on the record;
// reads go on from the last view, other partitions do not notice.
#[tokio::test]
async fn r144_damage_is_no_verdict() {
    let disk = Disk::new(SimStorage::new());
    let start = || on(&disk).partitions(2).start();
    let grid = start().await.expect("a fresh disk");
    for number in 0..40 {
        grid.client().append(ENTRIES, Entry::of(0, number, 10)).await.expect("a fresh disk");
    }
    grid.shutdown().await.expect("a fresh disk");
    damage_values(&disk.sim, "ledger/0");

    let grid = start().await.expect("nothing that opening reads is damaged");
    let client = grid.client();
    let damaged = client.select_on(0, IDS.all()).await.expect_err("its run is damaged");
    let ReadError::Damaged(damage) = &damaged else { panic!("{damaged}") };
    assert!(damage.file.contains("ledger/0/runs"), "{damage}");
    let mut stopped = None;
    for number in 100..140 {
        let entry = Entry::of(0, number, 10);
        let here = RouteKey::from(key_of(&entry).as_str()).partition(2) == 0;
        match client.append(ENTRIES, entry).await {
            Ok(receipt) => assert_eq!(receipt.partition, u32::from(!here)),
            Err(error) => stopped = Some(error.kind),
        }
    }
    let stopped = stopped.expect("entries of partition 0 touch the damage").to_string();
    assert!(stopped.contains("damaged") && stopped.contains("ledger/0/runs"), "{stopped}");
    assert!(grid.quarantine().is_empty(), "damage is no fault of the record");
    let why = grid.stats().modules[0].partitions[0].stopped.clone().expect("it has stopped");
    assert!(why.contains("damaged"), "{why}");
    assert!(grid.stats().modules[0].partitions[1].stopped.is_none());
    assert!(!client.select_on(1, IDS.all()).await.expect("the other one runs").is_empty());
}

fn key_of(entry: &Entry) -> Str {
    match entry {
        Entry::Put { key, .. } | Entry::Drop { key, .. } => key.clone(),
    }
}

/// Flips a bit in the first page of every run of a partition, behind its header.
pub(crate) fn damage_values(disk: &SimStorage, partition: &str) {
    let runs = Path::new(partition).join("runs");
    for name in disk.list(&runs).expect("the folder is there") {
        disk.flip_bit(&runs.join(name), 80, 3).expect("a run is longer");
    }
}
