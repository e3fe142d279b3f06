//! Files that are whole and lie in the wrong place: of another log, or of another time of this one, as a
//! backup brings them back. Each is refused by name, and nothing is changed.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::log::Log;
use gridmill_persistence::{LogError, Position, SimStorage, Storage, manifest};

use super::forge::{put, replace, reseal, segment, u64_at, whole};
use super::{DIR, LogOptions, Maker, open, options, write};

/// What becomes of a number in a header.
type Change = fn(u64) -> u64;

/// Three segments, stopped cleanly or not.
fn build(clean: bool) -> SimStorage {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    while log.segments().len() < 3 {
        write(&mut log, &mut maker, 5);
        log.syncer().sync().expect("synced");
    }
    write(&mut log, &mut maker, 5);
    log.syncer().sync().expect("synced");
    if clean {
        log.close_clean().expect("closed");
    }
    storage.kill()
}

/// Opens the log and reads all of it.
fn verified(storage: &SimStorage) -> Result<(), LogError> {
    let (log, _) = open(storage)?;
    log.reader().verify().map(drop)
}

/// Where in a segment's header these are.
const NUMBER: usize = 24;
const FIRST: usize = 32;
const PREVIOUS_END: usize = 48;
const PREVIOUS_NEXT: usize = 56;

#[test]
fn segments_that_do_not_follow_each_other_are_damage() {
    for clean in [true, false] {
        verified(&build(clean)).expect("as it was written");
        let cases: &[(usize, Change, &str)] = &[
            (NUMBER, |number| number + 7, "expected segment 2, got segment 9"),
            (FIRST, |first| first + 1_000_000, "expected positions before"),
            (PREVIOUS_END, |_| 1 << 20, "expected batches up to byte 1048576"),
            (PREVIOUS_END, |_| 4080, "expected batches up to byte 4080"),
            (PREVIOUS_END, |end| end - 16, "is damaged at byte"),
            (PREVIOUS_END, |end| end + 16, "is damaged at byte"),
            (PREVIOUS_NEXT, |next| next + 1, "expected an end at"),
            (PREVIOUS_NEXT, |next| next - 1, "expected an end at"),
        ];
        for &(field, forge, says) in cases {
            let storage = build(clean);
            let mut bytes = whole(&storage, &segment(2));
            let forged = forge(u64_at(&bytes, field));
            let moved = |batch: &mut [u8]| {
                if field == FIRST {
                    let base = u64_at(batch, 16);
                    put(batch, 16, base + 1_000_000);
                }
            };
            reseal(&mut bytes, |page| put(page, field, forged), moved);
            replace(&storage, &segment(2), &bytes);
            let error = verified(&storage).expect_err("they do not fit");
            assert!(matches!(error, LogError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
    }
}

#[test]
fn batches_that_do_not_follow_each_other_are_damage() {
    for clean in [true, false] {
        let storage = build(clean);
        let mut bytes = whole(&storage, &segment(1));
        let mut batches = 0;
        let skip_one = |batch: &mut [u8]| {
            batches += 1;
            if batches > 2 {
                let base = u64_at(batch, 16);
                put(batch, 16, base + 1);
            }
        };
        reseal(&mut bytes, |_| {}, skip_one);
        replace(&storage, &segment(1), &bytes);
        let error = verified(&storage).expect_err("a record is missing");
        assert!(matches!(error, LogError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("expected 0:10"), "{error}");
    }
}

#[test]
fn a_segment_of_another_log_is_no_leftover_of_this_one() {
    for clean in [true, false] {
        let other = SimStorage::new();
        let options = LogOptions { partition: Some(8), ..options() };
        let (mut log, _) =
            Log::open(Arc::new(other.clone()), Path::new(DIR), options).expect("opened");
        write(&mut log, &mut Maker::default(), 3);
        log.syncer().sync().expect("synced");
        let storage = build(clean);
        replace(&storage, &segment(0), &whole(&other, &segment(1)));
        let error = open(&storage).expect_err("somebody misses it");
        assert!(matches!(error, LogError::WrongPartition { expected: 7, got: 8, .. }), "{error}");
        assert!(storage.open_read(&segment(0)).is_ok(), "it stays where it is");
        storage.remove(&segment(0)).expect("removed");
        verified(&storage).expect("nothing was changed");
    }
}

/// The version and the bytes of the marker of a clean stop.
fn marker(storage: &SimStorage) -> (u32, Vec<u8>) {
    let read = manifest::read_versioned(storage, &Path::new(DIR).join("log"), "clean", 2);
    read.expect("read").expect("there")
}

fn set_marker(storage: &SimStorage, (version, payload): (u32, &[u8])) {
    let dir = Path::new(DIR).join("log");
    manifest::write_versioned(storage, &dir, "clean", version, payload).expect("written");
}

/// A log that was stopped cleanly with five records in its last segment, of an epoch that is not the first.
fn five(before: u64) -> SimStorage {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    write(&mut log, &mut maker, before);
    log.syncer().sync().expect("synced");
    drop(log);
    let storage = storage.kill();
    let (mut log, _) = open(&storage).expect("opened");
    (0..5).for_each(|_| drop(write(&mut log, &mut maker, 1)));
    log.close_clean().expect("closed");
    storage.kill()
}

#[test]
fn a_marker_of_a_clean_stop_that_is_of_another_time_is_refused() {
    const CAPACITY: u64 = 16 << 10;
    let (number, offset, next) = (0, 8, 16);
    let cases: &[(usize, Change)] = &[
        (number, |number| number - 1),
        (number, |number| number + 1),
        (offset, |_| 0),
        (offset, |_| CAPACITY + 16),
        (next, |next| next - 1),
        (next, |next| next + 1),
        // An epoch before that of the segment: positions would be given again.
        (next, |next| Position::new(0, Position::from_bits(next).number()).to_bits()),
    ];
    for (field, forge) in cases {
        let storage = five(3);
        let (version, mut payload) = marker(&storage);
        let forged = forge(u64_at(&payload, *field));
        put(&mut payload, *field, forged);
        set_marker(&storage, (version, &payload));
        let error = open(&storage).expect_err("it is not of this log's end");
        let LogError::Damaged { file, .. } = &error else { panic!("{error}") };
        assert!(file.ends_with("log/clean"), "field {field}: {error}");
    }
    // Its index has as many records, and has them elsewhere.
    let (storage, other) = (five(3), five(90));
    let (version, mut payload) = marker(&storage);
    let (_, of_other) = marker(&other);
    payload.truncate(32);
    payload.extend_from_slice(&of_other[32..]);
    set_marker(&storage, (version, &payload));
    let error = open(&storage).expect_err("it is not of this log's end");
    assert!(matches!(&error, LogError::Damaged { file, .. } if file.ends_with("log/clean")));
}

#[test]
fn a_marker_of_an_earlier_clean_stop_is_refused() {
    let storage = SimStorage::new();
    let mut maker = Maker::default();
    let (mut log, _) = open(&storage).expect("opened");
    write(&mut log, &mut maker, 5);
    log.close_clean().expect("closed");
    let (version, earlier) = marker(&storage);
    let (mut log, _) = open(&storage).expect("opened");
    write(&mut log, &mut maker, 5);
    log.close_clean().expect("closed");
    let (_, now) = marker(&storage);
    // As far as it goes, all is well; but the log went on.
    let cut = u64_at(&earlier, 8) + 16;
    let mut between = now.clone();
    put(&mut between, 8, cut);
    set_marker(&storage, (version, &between));
    let error = open(&storage).expect_err("it cuts through a batch");
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    set_marker(&storage, (version, &now));
    verified(&storage).expect("nothing was changed");
}
