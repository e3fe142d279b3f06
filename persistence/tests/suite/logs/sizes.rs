//! What a log takes that was stopped often, or that holds little: files, descriptors, bytes, epochs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_persistence::log::{HowStopped, Log, LogOptions, RecordMeta};
use gridmill_persistence::{Faults, FileStorage, LogError, Position, SimStorage, Storage};

use super::forge::{put, replace, reseal, segment, u64_at, whole};
use super::{DIR, Entry, Maker, open, options, push, read_all, write};

fn files(storage: &SimStorage) -> Vec<String> {
    let mut names = storage.list(&Path::new(DIR).join("log")).expect("listed");
    names.sort();
    names
}

#[test]
fn starts_that_log_nothing_leave_no_file_and_use_up_no_epoch() {
    for torn in [false, true] {
        let mut storage = SimStorage::with_faults(3, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = write(&mut log, &mut maker, 4);
        log.syncer().sync().expect("synced");
        if torn {
            let lost = maker.clone();
            write(&mut log, &mut maker, 9);
            maker = lost;
            drop(log);
            storage = storage.crash();
            let file = storage.open(&segment(1)).expect("open");
            file.write_at(4096 + 3 * 512, &[7; 64]).expect("written");
        }
        storage = storage.kill();
        let before = files(&storage);
        let mut ends = Vec::new();
        for start in 0..20 {
            let (log, recovered) = open(&storage).expect("opened");
            assert_eq!(read_all(&log.reader()).expect("read").len() as u64, recovered.end.number());
            ends.push(recovered.end);
            if start % 3 == 2 {
                log.close_clean().expect("closed");
            } else {
                drop(log);
            }
            storage = if start % 2 == 0 { storage.kill() } else { storage.crash() };
        }
        ends.dedup();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(ends[0].epoch(), 1);
        let now: Vec<_> = files(&storage).into_iter().filter(|name| name != "clean").collect();
        assert_eq!(now, before);
        let (mut log, _) = open(&storage).expect("opened");
        let found = read_all(&log.reader()).expect("read");
        assert_eq!(found[..4], expected);
        expected = found;
        maker.made = expected.len() as u64;
        expected.extend(write(&mut log, &mut maker, 4));
        log.syncer().sync().expect("synced");
        assert_eq!(log.segments().len(), 2);
        drop(log);
        let (log, recovered) = open(&storage.crash()).expect("opened");
        assert_eq!((recovered.how, recovered.end.epoch()), (HowStopped::Unclean, 2));
        assert_eq!(read_all(&log.reader()).expect("read"), expected);
        log.reader().verify().expect("whole");
    }
}

#[test]
fn a_position_that_was_shown_is_not_given_again_although_the_power_took_its_record() {
    for seed in 0..100 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        write(&mut log, &mut maker, 2);
        log.syncer().sync().expect("synced");
        drop(log);
        let storage = storage.kill();
        let (mut log, _) = open(&storage).expect("opened");
        let shown = write(&mut log, &mut maker, 1)[0].0;
        log.syncer().expose();
        drop(log);
        let storage = storage.crash();
        let (mut log, recovered) = open(&storage).expect("opened");
        let again = write(&mut log, &mut maker, 1)[0].0;
        assert!(again > shown, "seed {seed}: {again} after {shown}, {recovered:?}");
    }
}

#[test]
fn a_log_goes_on_after_the_last_epoch() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    let written = write(&mut log, &mut maker, 3);
    log.syncer().sync().expect("synced");
    drop(log);
    let mut storage = storage.kill();
    let mut bytes = whole(&storage, &segment(1));
    let last = Position::new(u16::MAX - 1, 0).to_bits();
    let move_on = |batch: &mut [u8]| {
        let base = u64_at(batch, 16);
        put(batch, 16, base + last);
    };
    reseal(&mut bytes, |page| put(page, 32, last), move_on);
    replace(&storage, &segment(1), &bytes);
    let mut entries: Vec<_> = written.into_iter().map(|(_, entry)| entry).collect();
    for start in 0..12 {
        let (mut log, recovered) = open(&storage).expect("opened");
        assert_eq!(recovered.end, Position::new(u16::MAX, entries.len() as u64));
        if start % 5 == 3 {
            // Nothing is logged.
            log.close_clean().expect("closed");
            continue;
        }
        entries.extend(write(&mut log, &mut maker, 2).into_iter().map(|(_, entry)| entry));
        log.syncer().sync().expect("synced");
        let read = read_all(&log.reader()).expect("read");
        assert!(read.is_sorted_by(|one, next| one.0 < next.0));
        assert_eq!(read.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), entries);
        log.reader().verify().expect("whole");
        match start % 5 {
            0 | 2 => storage = storage.kill(),
            1 => storage = storage.crash(),
            _ => log.close_clean().expect("closed"),
        }
    }
}

fn bytes_in(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).expect("a folder");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("an entry");
        let known = entry.metadata().expect("there");
        512 * known.blocks() + if known.is_dir() { bytes_in(&entry.path()) } else { 0 }
    });
    sizes.sum()
}

/// Descriptors of this process that lead into `dir`.
fn descriptors_in(dir: &Path) -> usize {
    let Ok(all) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let leads = |path: std::io::Result<PathBuf>| path.is_ok_and(|path| path.starts_with(dir));
    all.filter_map(Result::ok).filter(|fd| leads(std::fs::read_link(fd.path()))).count()
}

fn open_files(dir: &Path) -> Log {
    let storage = Arc::new(FileStorage::new(dir));
    Log::open(storage, Path::new(""), LogOptions::default()).expect("opened").0
}

fn put_one(log: &mut Log, number: u64, payload: &[u8]) {
    let meta = RecordMeta { depot_offset: number, ..RecordMeta::default() };
    log.push(&meta, payload).expect("pushed");
    log.write().expect("written");
    log.syncer().sync().expect("synced");
}

#[test]
fn descriptors_and_bytes_are_few_after_many_kills_and_many_segments() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().canonicalize().expect("a path");
    for start in 0..60 {
        put_one(&mut open_files(&dir), start, b"an event");
    }
    assert!(bytes_in(&dir) < 60 * (24 << 10), "{} bytes", bytes_in(&dir));
    let mut log = open_files(&dir);
    for number in 60..100 {
        put_one(&mut log, number, &[number as u8; 30_000]);
    }
    assert!(log.segments().len() > 62);
    let mut scan = log.reader().depot_range(0, 0, u64::MAX).expect("scan");
    let mut read = 0;
    while let Some(record) = scan.next().expect("read") {
        assert_eq!(record.depot_offset, read);
        read += 1;
        assert!(descriptors_in(&dir) <= 5, "{} at {read}", descriptors_in(&dir));
    }
    assert_eq!(read, 100);
    log.reader().verify().expect("whole");
}

#[test]
fn a_partition_of_ten_events_is_small() {
    let folder = tempfile::tempdir().expect("a folder");
    for clean in [true, false] {
        let dir = folder.path().join(clean.to_string());
        let mut log = open_files(&dir);
        (0..10).for_each(|number| put_one(&mut log, number, &[1; 200]));
        if clean {
            log.close_clean().expect("closed");
        }
        assert!(bytes_in(&dir) <= 40 << 10, "{} bytes", bytes_in(&dir));
    }
}

#[test]
fn a_log_that_is_stopped_cleanly_goes_on_in_its_segment() {
    let storage = SimStorage::new();
    let mut maker = Maker::default();
    for _ in 0..10 {
        let (mut log, _) = open(&storage).expect("opened");
        write(&mut log, &mut maker, 3);
        assert_eq!(log.segments().len(), 1);
        log.close_clean().expect("closed");
    }
    assert_eq!(files(&storage), ["0000000001.seg", "clean"]);
}

#[test]
fn segments_grow_up_to_their_limit() {
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let (mut maker, most) = (Maker::default(), options().segment_bytes_max);
    while log.segments().len() < 12 {
        write(&mut log, &mut maker, 20);
        log.syncer().sync().expect("synced");
    }
    let sizes: Vec<_> = log.segments().iter().map(|segment| segment.capacity).collect();
    assert!(sizes.is_sorted() && sizes[0] == options().segment_bytes_min, "{sizes:?}");
    assert!(sizes[4..].iter().all(|size| *size == most), "{sizes:?}");
}

#[test]
fn where_a_large_segment_finds_no_room_a_small_one_is_made() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    expected.extend(write(&mut log, &mut maker, 5));
    let small = options().segment_bytes_min;
    storage.set_space_left(Some(small));
    let refused = loop {
        let (before, entry) = (maker.clone(), maker.next(1));
        let position = push(&mut log, &entry);
        match log.write() {
            Ok(_) => expected.push((position, entry)),
            Err(error) => {
                maker = before;
                break error;
            }
        }
        log.syncer().sync().expect("synced");
    };
    assert!(matches!(refused, LogError::StorageFull { .. }), "{refused}");
    let sizes: Vec<_> = log.segments().iter().map(|segment| segment.capacity).collect();
    assert_eq!(sizes, [small, small], "the disk was used up");
    storage.set_space_left(None);
    expected.extend(write(&mut log, &mut maker, 5));
    log.syncer().sync().expect("synced");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
}

#[test]
fn a_batch_larger_than_the_segment_that_is_ready_gets_one_of_its_size() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    let half = (options().segment_bytes_min - 4096) / 2;
    while log.segments()[0].used <= half {
        expected.extend(write(&mut log, &mut maker, 5));
        log.syncer().sync().expect("synced");
    }
    assert_eq!(files(&storage).len(), 2, "the next segment is ready");
    expected.extend(write(&mut log, &mut maker, 2000));
    expected.extend(write(&mut log, &mut maker, 5));
    log.syncer().sync().expect("synced");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
    drop(log);
    let (log, _) = open(&storage.crash()).expect("opened");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
    assert_eq!(files(&storage.kill()).len(), log.segments().len(), "what was ready is gone");
}

/// What `bytes_after` says, against what was written: never too little, and not much more.
fn check_bytes_after(log: &Log, batches: &[(Position, u64)]) {
    for (at, (position, _)) in batches.iter().enumerate().step_by(7) {
        let exact: u64 = batches[at..].iter().map(|(_, bytes)| bytes).sum();
        let told = log.bytes_after(*position);
        // It counts from a place that an index knows, or from where the segment begins.
        let most = exact + options().segment_bytes_max;
        assert!((exact..=most).contains(&told), "{told} after {position}: {exact} to {most}");
    }
    assert!(log.bytes_after(log.next_position()) <= options().segment_bytes_max);
}

#[test]
fn how_much_follows_a_position_is_known_in_every_life_of_a_log() {
    let mut storage = SimStorage::new();
    let (mut maker, mut batches) = (Maker::default(), Vec::<(Position, u64)>::new());
    for life in 0..6 {
        let (mut log, _) = open(&storage).expect("opened");
        check_bytes_after(&log, &batches);
        for _ in 0..60 {
            let entries: Vec<Entry> = (0..20).map(|_| maker.next(1)).collect();
            for entry in &entries {
                push(&mut log, entry);
            }
            let written = log.write().expect("written");
            batches.push((written.first, written.bytes));
            if life % 2 == 0 {
                log.syncer().sync().expect("synced");
            }
        }
        check_bytes_after(&log, &batches);
        storage.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
        let synced = log.syncer().sync();
        assert_eq!(synced.is_err(), life % 2 == 1);
        storage.set_faults(Faults::default());
        log.recover_from_failed_sync().expect("recovered");
        check_bytes_after(&log, &batches);
        if life % 3 == 2 {
            log.close_clean().expect("closed");
        } else {
            drop(log);
        }
        storage = storage.kill();
    }
}
