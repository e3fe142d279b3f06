//! The last segment of a log is gone: its predecessor says that there was one. And whatever a power loss takes,
//! no segment is missed that was never there.

use std::path::PathBuf;

use gridmill_persistence::log::Log;
use gridmill_persistence::{Faults, LogError, Position, SimStorage, Storage};

use super::forge::{replace, segment, whole};
use super::{Maker, open, read_all, write};

/// A log in its segment number `last`, which has `batches`, synced or only shown; all before is synced.
fn build(storage: &SimStorage, last: usize, batches: u64, synced: bool) -> (Log, Maker) {
    let (mut log, _) = open(storage).expect("opened");
    let mut maker = Maker::default();
    let mut step = |log: &mut Log| {
        write(log, &mut maker, 5);
        if synced || log.segments().len() < last {
            log.syncer().sync().expect("synced");
        } else {
            log.syncer().expose();
        }
    };
    while log.segments().len() < last {
        step(&mut log);
    }
    (1..batches).for_each(|_| step(&mut log));
    assert_eq!(log.segments().len(), last);
    (log, maker)
}

fn remove_last(storage: &SimStorage, log: Log) -> PathBuf {
    let last = segment(log.segments().last().expect("some").number);
    drop(log);
    storage.remove(&last).expect("removed");
    last
}

fn assert_missed(storage: &SimStorage, last: &std::path::Path) {
    let before = storage.digest();
    for _ in 0..2 {
        let error = open(storage).expect_err("the log has lost its end");
        assert!(matches!(error, LogError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&last.display().to_string()), "{error}");
        assert!(error.to_string().contains("got no such file"), "{error}");
    }
    assert_eq!(storage.digest(), before, "a refused start changes nothing");
}

#[test]
fn a_lost_last_segment_is_missed_after_a_kill() {
    // With the next segment prepared already, and without.
    for (last, batches) in [(2, 1), (2, 30), (3, 1), (3, 60)] {
        for synced in [true, false] {
            let storage = SimStorage::new();
            let (log, _) = build(&storage, last, batches, synced);
            let storage = storage.kill();
            let lost = remove_last(&storage, log);
            assert_missed(&storage, &lost);
        }
    }
}

#[test]
fn the_last_two_segments_are_missed_too() {
    let storage = SimStorage::new();
    let (log, _) = build(&storage, 3, 1, true);
    let storage = storage.kill();
    remove_last(&storage, log);
    storage.remove(&segment(2)).expect("removed");
    assert_missed(&storage, &segment(2));
}

#[test]
fn a_lost_last_segment_is_missed_after_a_power_loss() {
    for seed in 0..100 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        // The next one is prepared, and the footer of the one before was synced on that occasion.
        let (log, _) = build(&storage, 3, 60, true);
        let storage = storage.crash();
        let lost = remove_last(&storage, log);
        assert_missed(&storage, &lost);
    }
}

#[test]
fn a_segment_that_begins_an_epoch_is_missed() {
    let storage = SimStorage::new();
    let (log, mut maker) = build(&storage, 2, 3, true);
    drop(log);
    let storage = storage.kill();
    let (mut log, _) = open(&storage).expect("opened");
    write(&mut log, &mut maker, 5);
    log.syncer().sync().expect("synced");
    let storage = storage.kill();
    let lost = remove_last(&storage, log);
    assert_missed(&storage, &lost);
}

/// A start is refused where segment 2 is zeros from its first byte to its last.
fn assert_zeros_refused(storage: &SimStorage) {
    let len = whole(storage, &segment(2)).len();
    replace(storage, &segment(2), &vec![0; len]);
    let before = storage.digest();
    let error = open(storage).expect_err("what was durable is gone");
    let LogError::Damaged { file, offset: 0, got, .. } = &error else { panic!("{error}") };
    assert!(file.ends_with(segment(2)) && got == "zeros", "{error}");
    assert_eq!(storage.digest(), before, "a refused start changes nothing");
}

// A power loss may leave zeros of a segment that nobody synced, and keep the one behind it. Here that one says
// of the zeros that they were durable: by its header, or by a batch.
#[test]
fn zeros_in_the_place_of_a_segment_that_was_durable_are_damage() {
    for with_batches in [true, false] {
        let storage = SimStorage::new();
        drop(build(&storage, 3, 1, true));
        let storage = storage.kill();
        if !with_batches {
            let mut bytes = whole(&storage, &segment(3));
            bytes[4096..].fill(0);
            replace(&storage, &segment(3), &bytes);
        }
        assert_zeros_refused(&storage);
    }
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    while log.segments().len() < 3 {
        write(&mut log, &mut maker, 5);
    }
    log.syncer().sync().expect("synced");
    write(&mut log, &mut maker, 5);
    drop(log);
    assert_zeros_refused(&storage.kill());
}

/// What a start does whose power goes at some moment.
fn go_on(storage: &SimStorage, stop_first: bool) -> Result<(), LogError> {
    let mut maker = Maker::default();
    let (mut log, _) = open(storage)?;
    if stop_first {
        log.close_clean()?;
        log = open(storage)?.0;
    }
    for _ in 0..3 {
        log.push(&maker.next(1).meta, b"another")?;
        log.write()?;
        log.syncer().sync()?;
    }
    log.close_clean()
}

#[test]
fn no_segment_is_missed_that_a_power_loss_left_without_records() {
    let mut sealed_ends = 0;
    for seed in 0..60 {
        for (at, stop_first) in (1..30).flat_map(|at| [(at, false), (at, true)]) {
            let storage = SimStorage::with_faults(seed, Faults::default());
            // Shown and not synced: the footer may be there and the header of the segment behind it not.
            drop(build(&storage, 3, 2, false));
            let storage = storage.crash();
            let (log, recovered) = open(&storage).expect("opened");
            let found = read_all(&log.reader()).expect("read");
            sealed_ends += usize::from(log.segments().len() < 3);
            drop(log);
            storage.set_faults(Faults { power_off: Some(at), ..Faults::default() });
            let _ = go_on(&storage, stop_first);
            let storage = storage.crash();
            let opened = open(&storage);
            let (log, _) = opened.unwrap_or_else(|error| panic!("seed {seed}, {at}: {error}"));
            let read = read_all(&log.reader()).expect("read");
            assert_eq!(read.get(..found.len()), Some(&found[..]), "seed {seed}, {at}");
            assert!(
                recovered.end.number() == found.len() as u64 && recovered.end > Position::START
            );
        }
    }
    assert!(sealed_ends > 0, "no power loss took a header");
}
