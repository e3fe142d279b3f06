//! How much heap writing a run takes. A program of its own, because it counts what all threads allocate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod counting;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gridmill_persistence::run::{RunOptions, RunWriter};
use gridmill_persistence::{FileStorage, Storage};

use counting::{LIVE, PEAK};

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
