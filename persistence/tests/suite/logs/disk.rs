//! A full disk, failing writes and failing syncs: typed errors, nothing acknowledged lost, and the
//! log goes on when the disk does.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::log::{HowStopped, Log, LogOptions};
use gridmill_persistence::{Faults, LogError, Position, SimStorage, Storage};

use super::forge::{put, replace, reseal, segment, whole};
use super::{DIR, Entry, Maker, open, options, push, read_all, write};

#[test]
fn a_full_disk_refuses_batches_and_loses_none() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    storage.set_space_left(Some(1000));
    let error = loop {
        let before = maker.clone();
        let batch: Vec<_> = (0..5)
            .map(|_| {
                let entry = maker.next(1);
                (push(&mut log, &entry), entry)
            })
            .collect();
        match log.write() {
            Ok(_) => expected.extend(batch),
            Err(error) => {
                maker = before;
                break error;
            }
        }
    };
    assert!(matches!(error, LogError::StorageFull { .. }), "{error}");
    log.syncer().sync().expect("what was written can be synced");
    assert_eq!(log.next_position(), Position::new(0, expected.len() as u64));
    storage.set_space_left(None);
    for _ in 0..50 {
        expected.extend(write(&mut log, &mut maker, 5));
    }
    log.syncer().sync().expect("synced");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
    drop(log);
    let (log, _) = open(&storage.crash()).expect("opened");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
}

#[test]
fn after_a_failed_write_the_same_positions_go_to_a_new_segment() {
    for seed in 0..60 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = write(&mut log, &mut maker, 3);
        storage.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
        let mut doomed = maker.clone();
        for _ in 0..9 {
            push(&mut log, &doomed.next(5));
        }
        assert!(matches!(log.write(), Err(LogError::Io { .. })));
        assert_eq!(log.next_position(), Position::new(0, 3));
        expected.extend(write(&mut log, &mut maker, 2));
        log.syncer().sync().expect("synced");
        assert_eq!(read_all(&log.reader()).expect("read"), expected);
        drop(log);
        let (log, recovered) = open(&storage.crash()).expect("opened");
        assert_eq!(recovered.how, HowStopped::Unclean, "seed {seed}");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
    }
}

#[test]
fn nothing_goes_behind_the_end_that_a_failed_header_states() {
    for seed in 0..100 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let (mut maker, mut expected) = (Maker::default(), Vec::new());
        let room = |log: &Log| log.segments()[0].capacity - 4096 - log.segments()[0].used;
        while room(&log) > 2000 {
            expected.extend(write(&mut log, &mut maker, 1));
            log.syncer().sync().expect("synced");
        }
        // The next segment's file is prepared, so that the first write is that of its header.
        storage.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
        let mut doomed = maker.clone();
        for _ in 0..40 {
            push(&mut log, &doomed.next(5));
        }
        assert!(matches!(log.write(), Err(LogError::Io { .. })));
        // This one would have room in the segment before.
        expected.extend(write(&mut log, &mut maker, 1));
        log.syncer().sync().expect("synced");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
        assert_kept(&storage, log, &expected, seed);
    }
}

#[test]
fn a_segment_that_was_synced_before_the_next_one_had_a_batch_gets_its_footer() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    write(&mut log, &mut maker, 3);
    storage.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
    push(&mut log, &maker.clone().next(1));
    assert!(matches!(log.write(), Err(LogError::Io { .. })));
    log.syncer().sync().expect("synced");
    write(&mut log, &mut maker, 3);
    log.syncer().sync().expect("synced");
    let report = log.reader().verify().expect("whole");
    assert_eq!((report.segments, report.without_footer), (2, 0));
}

#[test]
fn a_batch_that_is_said_not_to_be_logged_is_never_found() {
    for seed in 0..200 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let expected = write(&mut log, &mut maker, 3);
        if seed % 3 == 0 {
            log.syncer().sync().expect("synced");
        }
        storage.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
        for _ in 0..4 {
            push(&mut log, &maker.next(5));
        }
        let error = log.write().expect_err("the disk fails");
        assert!(matches!(error, LogError::Io { .. }), "{error}");
        // Whatever comes next, or nothing at all.
        let storage = if seed % 2 == 0 {
            drop(log);
            storage.kill()
        } else {
            log.syncer().sync().expect("what was written can be synced");
            drop(log);
            storage.crash()
        };
        let (log, _) = open(&storage).expect("opened");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
    }
}

// A clean stop settles it too, also for a start that is killed at its first write.
#[test]
fn a_batch_of_which_nothing_is_known_is_settled_by_a_clean_stop() {
    for (seed, at) in (0..30).flat_map(|seed| (1..8).map(move |at| (seed, at))) {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = write(&mut log, &mut maker, 3);
        let faults = Faults { fail_write: Some(1), space_left: Some(0), ..Faults::default() };
        storage.set_faults(faults);
        push(&mut log, &maker.clone().next(5));
        let error = log.write().expect_err("the disk fails");
        assert!(matches!(error, LogError::Unsettled { .. }), "{error}");
        storage.set_space_left(None);
        log.close_clean().expect("there is room again");
        let (mut log, recovered) = open(&storage).expect("opened");
        assert_eq!(recovered.how, HowStopped::Clean, "seed {seed}");
        let next = maker.next(1);
        expected.push((push(&mut log, &next), next));
        storage.set_faults(Faults { power_off: Some(at), ..Faults::default() });
        let _ = log.write();
        drop(log);
        let (log, _) = open(&storage.kill()).expect("opened");
        let read = read_all(&log.reader()).expect("read");
        assert!(read.len() >= 3 && expected.starts_with(&read), "seed {seed}, {at}: {read:?}");
    }
}

// It is no segment of this log, which has not got there yet.
#[test]
fn a_file_in_the_place_of_the_next_segment_does_not_stop_the_log() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    replace(&storage, &segment(2), b"not of this log");
    // It does not fit into the first segment, which is too empty for the next one to be prepared.
    let expected = write(&mut log, &mut Maker::default(), 400);
    log.syncer().sync().expect("synced");
    assert_eq!(log.segments().last().expect("some").number, 2);
    drop(log);
    let (log, _) = open(&storage.crash()).expect("opened");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
}

#[test]
fn a_batch_of_which_nothing_is_known_is_told_apart_and_settled_by_the_next_write() {
    let (mut found, mut gone) = (0, 0);
    for seed in 0..200 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = write(&mut log, &mut maker, 3);
        let faults = Faults { fail_write: Some(1), space_left: Some(0), ..Faults::default() };
        storage.set_faults(faults);
        let mut doomed = maker.clone();
        let lost = [(push(&mut log, &doomed.next(5)), doomed.clone())];
        let error = log.write().expect_err("the disk fails");
        assert!(matches!(error, LogError::Unsettled { .. }), "{error}");
        push(&mut log, &maker.clone().next(1));
        let error = log.write().expect_err("there is no room");
        assert!(matches!(error, LogError::StorageFull { .. }), "{error}");
        if seed % 2 == 0 {
            drop(log);
            let (log, _) = open(&storage.kill()).expect("opened");
            let read = read_all(&log.reader()).expect("read");
            assert_eq!(read[..3], expected);
            assert!(read.len() <= 4 && read[3..].iter().all(|(at, _)| *at == lost[0].0));
            if read.len() == 4 {
                found += 1
            } else {
                gone += 1
            }
            continue;
        }
        storage.set_space_left(None);
        for _ in 0..30 {
            expected.extend(write(&mut log, &mut maker, 5));
        }
        log.syncer().sync().expect("synced");
        assert_eq!(read_all(&log.reader()).expect("read"), expected);
        if seed % 4 == 1 {
            log.close_clean().expect("closed");
        } else {
            drop(log);
        }
        let (log, _) = open(&storage.crash()).expect("opened");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
    }
    assert!(found > 0 && gone > 0, "{found} found, {gone} gone");
}

/// What a power loss now leaves is all of it, and whole.
fn assert_kept(storage: &SimStorage, log: Log, expected: &[(Position, Entry)], seed: u64) {
    drop(log);
    let (log, _) = open(&storage.crash()).expect("opened");
    assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
    log.reader().verify().expect("whole");
}

#[test]
fn a_failed_write_and_a_failed_sync_after_it_lose_nothing() {
    for seed in 0..200 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = write(&mut log, &mut maker, 3);
        if seed % 3 == 0 {
            log.syncer().sync().expect("synced");
        }
        expected.extend(write(&mut log, &mut maker, 2 + seed % 5));
        storage.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
        push(&mut log, &maker.clone().next(5));
        assert!(matches!(log.write(), Err(LogError::Io { .. })));
        if seed % 2 == 0 {
            expected.extend(write(&mut log, &mut maker, 2));
        }
        storage.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
        assert!(matches!(log.syncer().sync(), Err(LogError::SyncFailed { .. })), "seed {seed}");
        log.recover_from_failed_sync().expect("recovered");
        for _ in 0..40 {
            expected.extend(write(&mut log, &mut maker, 5));
        }
        log.syncer().sync().expect("synced");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
        assert_kept(&storage, log, &expected, seed);
    }
}

#[test]
fn a_failed_sync_is_recovered_from_in_a_new_segment() {
    for seed in 0..120 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = write(&mut log, &mut maker, 3);
        log.syncer().sync().expect("synced");
        for _ in 0..seed % 40 {
            expected.extend(write(&mut log, &mut maker, 6));
        }
        expected.extend(write(&mut log, &mut maker, 1));
        if seed % 2 == 0 {
            log.syncer().expose();
        }
        let mut scan = log.reader().scan(Position::START).expect("scan");
        let mut seen = 0;
        while scan.next().expect("read").is_some() {
            seen += 1;
        }
        storage.set_faults(Faults { fail_sync: Some(1 + seed % 2), ..Faults::default() });
        if let Err(error) = log.syncer().sync() {
            assert!(matches!(error, LogError::SyncFailed { .. }), "{error}");
            push(&mut log, &maker.clone().next(1));
            assert!(matches!(log.write(), Err(LogError::SyncFailed { .. })));
            assert!(log.syncer().sync().is_err(), "never synced again");
            storage.set_space_left(Some(100));
            // A file that was prepared is room enough.
            if let Err(full) = log.recover_from_failed_sync() {
                assert!(matches!(full, LogError::StorageFull { .. }), "{full}");
            }
            storage.set_space_left(None);
            log.recover_from_failed_sync().expect("recovered");
        }
        storage.set_faults(Faults::default());
        assert_eq!(log.durable(), log.next_position());
        expected.extend(write(&mut log, &mut maker, 4));
        log.syncer().sync().expect("synced");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
        while let Some(record) = scan.next().expect("read") {
            assert_eq!(record.position, expected[seen].0, "seed {seed}: a scan went on");
            seen += 1;
        }
        assert_eq!(seen, expected.len());
        assert_eq!(log.reader().depot_bounds(0).expect("bounds"), (0, maker.offsets[0]));
        assert_kept(&storage, log, &expected, seed);
    }
}

/// A log that recovers from a failed sync when its active segment is as full as `seed` says, and then
/// goes on well beyond the segment that was written anew.
fn recovered_and_gone_on(storage: &SimStorage, seed: u64) -> (Log, Vec<(Position, Entry)>, Maker) {
    let (mut log, _) = open(storage).expect("opened");
    let mut maker = Maker::default();
    let mut expected = write(&mut log, &mut maker, 3);
    for _ in 0..seed {
        expected.extend(write(&mut log, &mut maker, 2));
        if seed.is_multiple_of(3) {
            log.syncer().sync().expect("synced");
        }
    }
    expected.extend(write(&mut log, &mut maker, 2));
    storage.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    assert!(matches!(log.syncer().sync(), Err(LogError::SyncFailed { .. })), "seed {seed}");
    storage.set_faults(Faults::default());
    log.recover_from_failed_sync().expect("recovered");
    let segments = log.segments().len();
    while log.segments().len() < segments + 3 {
        expected.extend(write(&mut log, &mut maker, 7));
        log.syncer().sync().expect("synced");
        assert_eq!(log.reader().end(), log.next_position());
    }
    (log, expected, maker)
}

#[test]
fn after_a_failed_sync_nothing_acknowledged_is_lost_however_the_log_is_stopped_later() {
    for seed in 0..150 {
        for ending in ["crash", "kill", "clean"] {
            let storage = SimStorage::with_faults(seed, Faults::default());
            let (log, expected, mut maker) = recovered_and_gone_on(&storage, seed);
            assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
            let bounds = log.reader().depot_bounds(0).expect("bounds");
            assert_eq!(bounds, (0, maker.offsets[0]), "seed {seed}");
            let storage = match ending {
                "crash" => storage.crash(),
                "kill" => storage.kill(),
                _ => {
                    log.close_clean().expect("closed");
                    storage
                }
            };
            let (mut log, recovered) = open(&storage).expect("opened");
            assert_eq!(recovered.how == HowStopped::Clean, ending == "clean");
            assert_eq!(read_all(&log.reader()).expect("read"), expected, "{ending}, seed {seed}");
            let mut expected = expected;
            expected.extend(write(&mut log, &mut maker, 5));
            log.syncer().sync().expect("synced");
            assert_eq!(read_all(&log.reader()).expect("read"), expected, "{ending}, seed {seed}");
            log.reader().verify().expect("whole");
        }
    }
}

// What it has read lies in a segment that ends before it by now, and once more in others.
#[test]
fn a_scan_goes_on_where_it_was_when_a_failed_sync_has_moved_the_records() {
    for seed in 0..12 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, mut expected, mut maker) = exposed(&storage, seed);
        let (mut all, mut later) = (log.reader().scan(Position::START).expect("scan"), Vec::new());
        let mut seen = 0;
        while let Some(record) = all.next().expect("read") {
            assert_eq!(record.position, expected[seen].0, "seed {seed}");
            seen += 1;
        }
        // From before the end that is shown, from the end, and from behind it.
        for from in [seen as u64 - 1, seen as u64, seen as u64 + 3] {
            let mut scan = log.reader().scan(Position::new(0, from)).expect("scan");
            while scan.next().expect("read").is_some() {}
            later.push((from.max(seen as u64), scan));
        }
        storage.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
        assert!(matches!(log.syncer().sync(), Err(LogError::SyncFailed { .. })), "seed {seed}");
        storage.set_faults(Faults::default());
        log.recover_from_failed_sync().expect("recovered");
        let segments = log.segments().len();
        while log.segments().len() < segments + 3 {
            expected.extend(write(&mut log, &mut maker, 7));
            log.syncer().sync().expect("synced");
        }
        later.push((seen as u64, all));
        for (from, mut scan) in later {
            let mut next = from as usize;
            while let Some(record) = scan.next().expect("read") {
                assert_eq!(record.position, expected[next].0, "seed {seed}, from {from}");
                next += 1;
            }
            assert_eq!(next, expected.len(), "seed {seed}, from {from}");
        }
    }
}

/// A log whose last records, as many as `seed` says, are shown and not durable.
fn exposed(storage: &SimStorage, seed: u64) -> (Log, Vec<(Position, Entry)>, Maker) {
    let (mut log, _) = open(storage).expect("opened");
    let mut maker = Maker::default();
    let mut expected = write(&mut log, &mut maker, 3);
    log.syncer().sync().expect("synced");
    for _ in 0..1 + seed % 20 {
        expected.extend(write(&mut log, &mut maker, 2));
    }
    log.syncer().expose();
    (log, expected, maker)
}

/// A log of which `seed` says how much was written after the last sync, when a sync fails: that of the first
/// segment which has some of it, or of the second, where there is one.
fn failed_sync(
    storage: &SimStorage,
    seed: u64,
    retain: bool,
) -> (Log, Vec<(Position, Entry)>, Maker) {
    let options = LogOptions { retain_unsynced: retain, ..options() };
    let opened = Log::open(Arc::new(storage.clone()), Path::new(DIR), options);
    let (mut log, mut maker) = (opened.expect("opened").0, Maker::default());
    let mut expected = write(&mut log, &mut maker, 3);
    log.syncer().sync().expect("synced");
    for _ in 0..seed % 30 {
        expected.extend(write(&mut log, &mut maker, 6));
    }
    expected.extend(write(&mut log, &mut maker, 1));
    log.syncer().expose();
    let fails = if log.segments().len() > 1 { 1 + seed % 2 } else { 1 };
    storage.set_faults(Faults { fail_sync: Some(fails), ..Faults::default() });
    assert!(matches!(log.syncer().sync(), Err(LogError::SyncFailed { .. })), "seed {seed}");
    storage.set_faults(Faults::default());
    (log, expected, maker)
}

// The system takes what it could not write for written: another sync says that all is well, and the next
// power loss takes it.
#[test]
fn a_restart_after_a_failed_sync_takes_nothing_for_durable_that_is_not() {
    for seed in 0..150 {
        for is_killed in [true, false] {
            let storage = SimStorage::with_faults(seed, Faults::default());
            let (log, mut expected, mut maker) = failed_sync(&storage, seed, true);
            drop(log);
            let storage = if is_killed { storage.kill() } else { storage };
            let (mut log, _) = open(&storage).expect("opened");
            assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
            for _ in 0..seed % 4 {
                expected.extend(write(&mut log, &mut maker, 5));
                log.syncer().sync().expect("synced");
            }
            assert_kept(&storage, log, &expected, seed);
        }
    }
}

#[test]
fn a_failed_sync_of_what_was_not_retained_is_written_again_in_its_place() {
    for seed in 0..100 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, mut expected, mut maker) = failed_sync(&storage, seed, false);
        log.recover_from_failed_sync().expect("recovered");
        assert_eq!(log.durable(), log.next_position());
        for _ in 0..seed % 20 {
            expected.extend(write(&mut log, &mut maker, 5));
            log.syncer().sync().expect("synced");
        }
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
        assert_kept(&storage, log, &expected, seed);
    }
}

// All before the segment is durable, and of the segment itself not even its header.
#[test]
fn a_segment_whose_first_sync_failed_is_there_after_a_restart_and_a_power_loss() {
    for seed in 0..20 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let (mut maker, mut expected) = (Maker::default(), Vec::new());
        while log.segments().len() < 2 {
            log.syncer().sync().expect("synced");
            expected.extend(write(&mut log, &mut maker, 1 + seed));
        }
        assert_eq!(log.durable(), log.segments()[1].first);
        storage.set_faults(Faults { fail_sync: Some(2), ..Faults::default() });
        assert!(matches!(log.syncer().sync(), Err(LogError::SyncFailed { .. })), "seed {seed}");
        drop(log);
        let storage = storage.kill();
        let (log, _) = open(&storage).expect("opened");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
        assert_kept(&storage, log, &expected, seed);
    }
}

// After a failed sync the system may have dropped what it could not write: then it is not there any more to
// be written again, and nobody is told that it is durable.
#[test]
fn what_the_system_has_lost_when_a_sync_failed_is_damage() {
    for seed in 0..30 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _, _) = failed_sync(&storage, seed, false);
        let last = log.segments().pop().expect("there is one");
        let file = storage.open(&segment(last.number)).expect("open");
        file.write_at(4096 + last.used - 16, &[0; 16]).expect("written");
        let error = log.recover_from_failed_sync().expect_err("it is gone");
        assert!(matches!(error, LogError::Damaged { .. }), "seed {seed}: {error}");
        assert!(log.durable() < log.next_position());
    }
}

// Of segments that nobody synced, a power loss may take any and leave those behind it.
#[test]
fn a_power_loss_before_any_sync_leaves_what_came_first() {
    let mut without_header = 0;
    for seed in 0..300 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        let mut expected = Vec::new();
        for round in 0..60 {
            expected.extend(write(&mut log, &mut maker, 14));
            if seed % 3 == 0 && round == 8 {
                log.syncer().sync().expect("synced");
            }
        }
        let (durable, segments) = (log.durable(), log.segments().len());
        assert!(segments > 3, "{segments} segments");
        drop(log);
        let storage = storage.crash();
        let (mut log, _) = open(&storage).expect("opened");
        let kept = read_all(&log.reader()).expect("read");
        assert!(expected.starts_with(&kept), "seed {seed}");
        let safe = expected.iter().filter(|(position, _)| *position < durable).count();
        assert!(kept.len() >= safe, "seed {seed}: {} of {safe} durable records", kept.len());
        without_header += usize::from(log.segments().len() + 1 < segments);
        // And the log goes on.
        expected = kept;
        maker = Maker::default();
        (0..expected.len()).for_each(|_| drop(maker.next(1)));
        expected.extend(write(&mut log, &mut maker, 40));
        log.syncer().sync().expect("synced");
        assert_kept(&storage, log, &expected, seed);
    }
    assert!(without_header > 10, "{without_header} times");
}

#[test]
fn a_log_with_the_two_orders_of_an_old_build_is_read_whole() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    let mut expected = Vec::new();
    while log.segments().len() < 3 {
        expected.extend(write(&mut log, &mut maker, 5));
    }
    expected.extend(write(&mut log, &mut maker, 5));
    log.syncer().sync().expect("synced");
    log.close_clean().expect("closed");
    let storage = storage.kill();
    // Old builds numbered the second file 3 and the third 2.
    let [mut second, mut third] = [2, 3].map(|number| whole(&storage, &segment(number)));
    reseal(&mut second, |page| put(page, 24, 3), |_| {});
    let exchange = |page: &mut [u8]| {
        put(page, 24, 2);
        put(page, 40, 3);
    };
    reseal(&mut third, exchange, |_| {});
    replace(&storage, &segment(3), &second);
    replace(&storage, &segment(2), &third);
    storage.remove(&Path::new(super::DIR).join("log/clean")).expect("removed");
    let (mut log, recovered) = open(&storage).expect("opened");
    assert_eq!(recovered.how, HowStopped::Unclean);
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
    expected.extend(write(&mut log, &mut maker, 5));
    log.syncer().sync().expect("synced");
    drop(log);
    let (log, _) = open(&storage.crash()).expect("opened");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
}

#[test]
fn oversized_records_and_batches_are_refused_before_anything_is_pushed() {
    let storage = std::sync::Arc::new(SimStorage::new());
    let options =
        super::LogOptions { record_bytes_max: 1000, batch_bytes_max: 2000, ..super::options() };
    let (mut log, _) = super::Log::open(storage, super::DIR.as_ref(), options).expect("opened");
    let meta = super::RecordMeta::default();
    let error = log.push(&meta, &[0; 1001]).expect_err("too large");
    assert!(matches!(error, LogError::RecordTooLarge { got: 1001, max: 1000 }), "{error}");
    log.push(&meta, &[1; 1000]).expect("fits");
    assert!(matches!(log.push(&meta, &[2; 1000]), Err(LogError::BatchFull { max: 2000 })));
    assert_eq!(log.write().expect("written").records, 1);
}
