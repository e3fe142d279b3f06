//! How much heap writing takes, of a run and of a log. A program of its own, because it counts what all threads allocate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod counting;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use gridmill_persistence::log::{Log, LogOptions, RecordMeta};
use gridmill_persistence::run::{RunOptions, RunWriter};
use gridmill_persistence::{FileStorage, Storage};

use counting::{LIVE, PEAK};

/// Held by each test, because all of them count the same heap.
static ALONE: Mutex<()> = Mutex::new(());

/// What writing a run takes at its peak, and the run's length.
fn peak(count: u64, entry: impl Fn(u64) -> (Vec<u8>, Option<Vec<u8>>)) -> (usize, u64) {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(folder.path()));
    let options = RunOptions { value_align: 1, entries_hint: count, ..RunOptions::default() };
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut writer = RunWriter::create(storage, Path::new("table.run"), options).unwrap();
    for number in 0..count {
        let (key, value) = entry(number);
        writer.add(&key, value.as_deref()).unwrap();
    }
    let bytes = writer.finish().unwrap().bytes;
    (PEAK.load(Ordering::Relaxed) - before, bytes)
}

/// What `RunWriter` says of its memory.
fn allowed(count: u64, bytes: u64) -> usize {
    (6 << 20) + (count / 10 + bytes / 1000) as usize
}

#[test]
fn the_heap_of_a_writer_does_not_follow_its_entries() {
    let _alone = ALONE.lock().unwrap();
    let key = |number: u64| number.to_be_bytes().to_vec();
    let check = |name, count, entry: &dyn Fn(u64) -> (Vec<u8>, Option<Vec<u8>>)| {
        let (peak, bytes) = peak(count, entry);
        let allowed = allowed(count, bytes);
        println!("{name}: {peak} of {allowed} bytes");
        assert!(peak <= allowed, "{name}: {peak} bytes of heap, {allowed} are allowed");
    };
    check("kept", 256 << 10, &|number| (key(number), Some(vec![1])));
    check("tiny", 2_000_000, &|number| (key(number), Some(vec![1])));
    check("loose", 500_000, &|number| (key(number), (number % 3 != 0).then(|| vec![1])));
    // Every 16 of them have a fence, which is as long as they are.
    let long = |number: u64| [key(number), vec![7; 2000]].concat();
    check("long keys", 50_000, &|number| (long(number), None));
}

/// By how much the heap grows over 20,000 batches of a log.
fn growth(retain_unsynced: bool, mut after_each: impl FnMut(&Log, u64)) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(FileStorage::new(folder.path()));
    let options = LogOptions { retain_unsynced, ..LogOptions::default() };
    let (mut log, _) = Log::open(storage, Path::new("p0"), options).unwrap();
    let mut before = 0;
    for number in 0..22_000 {
        let meta = RecordMeta { depot_offset: number, ..RecordMeta::default() };
        log.push(&meta, &[7; 100]).unwrap();
        log.write().unwrap();
        after_each(&log, number);
        if number == 2000 {
            before = LIVE.load(Ordering::Relaxed);
        }
    }
    LIVE.load(Ordering::Relaxed).saturating_sub(before)
}

#[test]
fn the_heap_of_a_log_does_not_follow_its_batches() {
    let _alone = ALONE.lock().unwrap();
    // Nobody syncs: what the system has is not kept a second time.
    let exposed = growth(false, |log, _| {
        log.syncer().expose();
    });
    assert!(exposed < 500_000, "{exposed} bytes more");
    let synced = growth(true, |log, number| {
        if number % 200 == 0 {
            log.syncer().sync().unwrap();
        }
    });
    assert!(synced < 500_000, "{synced} bytes more");
}
