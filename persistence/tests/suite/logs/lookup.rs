//! Looking something up: it is found wherever it lies, and little is read for it.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::log::{Log, LogOptions, LogReader};
use gridmill_persistence::{LogError, Position, SimStorage, Storage};

use super::forge::segment;
use super::{DIR, Entry, Maker, open, push, read_from, write};

/// A log with all of its records in one segment of more than half a megabyte.
fn build() -> (SimStorage, Log, Vec<(Position, Entry)>) {
    let storage = SimStorage::new();
    let options = LogOptions {
        segment_bytes_min: 1 << 20,
        segment_bytes_max: 1 << 20,
        partition: Some(7),
        ..LogOptions::default()
    };
    let (mut log, _) =
        Log::open(Arc::new(storage.clone()), Path::new(DIR), options).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    while log.segments()[0].used < 700 << 10 {
        expected.extend(write(&mut log, &mut maker, 7));
        log.syncer().sync().expect("synced");
    }
    assert_eq!(log.segments().len(), 1);
    (storage, log, expected)
}

/// Looks for each of these records by its position, its offset in its depot and its time.
fn look_up(reader: &LogReader, records: &[&(Position, Entry)]) -> Result<(), LogError> {
    for (position, entry) in records {
        let found = |at: Position, payload: &[u8]| {
            assert_eq!((at, payload), (*position, &entry.payload[..]));
        };
        let mut scan = reader.scan(*position)?;
        let record = scan.next()?.expect("it is there");
        found(record.position, record.payload);
        let (source, offset) = (entry.meta.source, entry.meta.depot_offset);
        let mut scan = reader.depot_range(source, offset, offset + 1)?;
        let record = scan.next()?.expect("it is there");
        found(record.position, record.payload);
        assert!(scan.next()?.is_none());
        assert_eq!(reader.position_at_time(entry.meta.time)?, *position);
        assert_eq!(reader.position_at_time(entry.meta.time - 3)?, *position);
        assert_eq!(reader.depot_offset_at_time(source, entry.meta.time)?, offset);
    }
    Ok(())
}

#[test]
fn a_record_is_found_wherever_it_lies_in_a_large_segment() {
    let (storage, log, expected) = build();
    let some: Vec<_> = expected.iter().step_by(61).chain(expected.last()).collect();
    look_up(&log.reader(), &some).expect("read");
    log.close_clean().expect("closed");
    let (log, _) = open(&storage.kill()).expect("opened");
    look_up(&log.reader(), &some).expect("read");
    let storage = storage.kill();
    storage.remove(&Path::new(DIR).join("log/clean")).expect("removed");
    let (log, _) = open(&storage).expect("opened");
    look_up(&log.reader(), &some).expect("read");
}

// A bad sector is no reason to lose what lies elsewhere, and a look-up does not read all that is before
// what it looks for.
#[test]
fn what_lies_far_from_a_bad_sector_can_be_read() {
    let (storage, log, expected) = build();
    let middle = 4096 + log.segments()[0].used / 2;
    storage.set_unreadable(&segment(1), Some(4096..middle - (100 << 10))).expect("there");
    let late = &expected[expected.len() / 2 + 20..];
    let some: Vec<_> = late.iter().step_by(97).chain(late.last()).collect();
    look_up(&log.reader(), &some).expect("nothing of it is bad");
    storage.set_unreadable(&segment(1), Some(middle + (100 << 10)..1 << 20)).expect("there");
    let early = &expected[..expected.len() / 2 - 20];
    let some: Vec<_> = early.iter().step_by(97).chain(early.last()).collect();
    look_up(&log.reader(), &some).expect("nothing of it is bad");
    let error = read_from(&log.reader(), Position::START).expect_err("here it is");
    assert!(matches!(error, LogError::Unreadable { .. }), "{error}");
}

#[test]
fn a_range_of_a_depot_ends_with_what_was_there_when_it_was_asked_for() {
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let mut maker = Maker::default();
    write(&mut log, &mut maker, 10);
    log.syncer().sync().expect("synced");
    let asked = maker.offsets[0];
    let mut scan = log.reader().depot_range(0, 0, u64::MAX).expect("range");
    write(&mut log, &mut maker, 10);
    log.syncer().sync().expect("synced");
    let mut read = 0;
    while let Some(record) = scan.next().expect("read") {
        assert_eq!(record.depot_offset, read);
        read += 1;
    }
    assert_eq!(read, asked);
}

// A footer knows the depots of all segments before it. Where none can be read, a depot that was written to
// long ago still goes on where it ended.
#[test]
fn a_depot_goes_on_where_it_ended_although_no_footer_can_be_read() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    for depot_offset in 0..3 {
        let mut entry = maker.clone().next(1);
        (entry.meta.source, entry.meta.depot_offset) = (9, depot_offset);
        push(&mut log, &entry);
    }
    log.write().expect("written");
    while log.segments().len() < 4 {
        write(&mut log, &mut maker, 5);
        log.syncer().sync().expect("synced");
    }
    let sealed = log.segments().into_iter().filter(|segment| segment.sealed);
    let footers: Vec<_> = sealed.map(|known| (segment(known.number), 4096 + known.used)).collect();
    drop(log);
    let storage = storage.kill();
    for (path, at) in footers {
        storage.flip_bit(&path, at + 40, 1).expect("flipped");
    }
    let (log, recovered) = open(&storage).expect("footers are derived");
    assert_eq!(recovered.next_offsets.get(&9), Some(&3));
    assert_eq!(log.reader().depot_bounds(9).expect("rebuilt"), (0, 3));
    let report = log.reader().verify().expect("records are whole");
    assert_eq!(report.without_footer, 3);
}

#[test]
fn zeros_in_the_place_of_a_batch_are_damage() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    let mut ends = vec![4096];
    for _ in 0..3 {
        write(&mut log, &mut maker, 4);
        log.syncer().sync().expect("synced");
        ends.push(4096 + log.segments()[0].used);
    }
    let file = storage.open(&segment(1)).expect("open");
    file.write_at(ends[1], &vec![0; (ends[2] - ends[1]) as usize]).expect("written");
    let error = log.reader().verify().expect_err("a batch is missing");
    let LogError::Damaged { offset, got, .. } = &error else { panic!("{error}") };
    assert_eq!((*offset, got.as_str()), (ends[1], "zeros"));
}
