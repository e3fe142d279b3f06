//! What was written is read back: by position, by depot, by time, across segments and restarts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_persistence::log::{HowStopped, LogReader};
use gridmill_persistence::{FileStorage, Position, SimStorage};

use super::{DIR, Maker, open, open_on, read_all, read_from, write};

#[test]
fn records_are_read_back_across_segments_and_clean_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(FileStorage::new(folder.path()));
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    for start in 0..4 {
        let (mut log, recovered) = open_on(disk.clone()).expect("opened");
        let how = if start == 0 { HowStopped::New } else { HowStopped::Clean };
        assert_eq!(recovered.how, how);
        assert_eq!(recovered.end, Position::new(0, maker.made));
        for batch in 0..60 {
            expected.extend(write(&mut log, &mut maker, 1 + batch % 13));
            if batch % 7 == 0 {
                log.syncer().sync().expect("synced");
            }
        }
        log.syncer().sync().expect("synced");
        assert_eq!(read_all(&log.reader()).expect("read"), expected);
        log.close_clean().expect("closed");
    }
    let (reader, recovered) = LogReader::open_dir(disk, Path::new(DIR)).expect("opened");
    assert_eq!(recovered.how, HowStopped::Clean);
    assert_eq!(read_all(&reader).expect("read"), expected);
    let report = reader.verify().expect("whole");
    assert_eq!((report.records, report.batches), (expected.len() as u64, 240));
    assert_eq!(report.without_footer, 0);
    assert!(report.segments > 3);
}

#[test]
fn a_scan_follows_the_log_and_sees_only_what_is_durable() {
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let mut maker = Maker::default();
    let mut scan = log.reader().scan(Position::START).expect("scan");
    for _ in 0..400 {
        let batch = write(&mut log, &mut maker, 3);
        assert!(scan.next().expect("read").is_none(), "not durable yet");
        assert_eq!(log.reader().end(), batch[0].0);
        log.syncer().sync().expect("synced");
        assert_eq!(log.reader().end(), log.next_position());
        for (position, entry) in batch {
            let record = scan.next().expect("read").expect("durable");
            assert_eq!((record.position, record.payload), (position, &entry.payload[..]));
            assert_eq!(&scan.payload()[..], &entry.payload[..]);
        }
    }
    assert!(log.segments().len() > 2);
}

#[test]
fn exposed_records_are_read_before_they_are_durable() {
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let batch = write(&mut log, &mut Maker::default(), 5);
    assert_eq!(log.syncer().expose(), Position::new(0, 5));
    assert_eq!(log.durable(), Position::START);
    assert_eq!(read_all(&log.reader()).expect("read"), batch);
}

#[test]
fn a_scan_starts_at_any_position() {
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    for batch in 0..150 {
        expected.extend(write(&mut log, &mut maker, 1 + batch % 9));
    }
    log.syncer().sync().expect("synced");
    for start in (0..expected.len()).step_by(17) {
        let records = read_from(&log.reader(), expected[start].0).expect("read");
        assert_eq!(records, expected[start..]);
        let after = log.bytes_after(expected[start].0);
        let least: usize =
            expected[start..].iter().map(|(_, entry)| 32 + entry.payload.len()).sum();
        assert!(after >= least as u64, "{after} < {least}");
    }
    assert!(read_from(&log.reader(), log.next_position()).expect("read").is_empty());
}

#[test]
fn depots_and_times_are_found_in_open_and_sealed_segments() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    for batch in 0..300 {
        expected.extend(write(&mut log, &mut maker, 1 + batch % 5));
        log.syncer().sync().expect("synced");
    }
    check_depots(&log.reader(), &expected);
    drop(log);
    let (log, recovered) = open(&storage.kill()).expect("opened");
    let offsets: Vec<_> = recovered.next_offsets.values().copied().collect();
    assert_eq!(offsets, maker.offsets);
    assert_eq!(recovered.last_time, expected.last().expect("some").1.meta.time);
    check_depots(&log.reader(), &expected);
}

fn check_depots(reader: &LogReader, expected: &[(Position, super::Entry)]) {
    for source in 0..3 {
        let of_source: Vec<_> =
            expected.iter().filter(|(_, entry)| entry.meta.source == source).collect();
        let len = of_source.len() as u64;
        assert_eq!(reader.depot_bounds(source).expect("bounds"), (0, len));
        for from in [0, 1, len / 3, len / 2, len - 1, len] {
            let mut scan = reader.depot_range(source, from, from + 20).expect("range");
            for (position, entry) in of_source.iter().skip(from as usize).take(20) {
                let record = scan.next().expect("read").expect("in range");
                assert_eq!((record.position, record.payload), (*position, &entry.payload[..]));
            }
            assert!(scan.next().expect("read").is_none());
        }
    }
    assert_eq!(reader.depot_bounds(9).expect("unknown"), (0, 0));
    for (position, entry) in expected.iter().step_by(31) {
        let found = reader.position_at_time(entry.meta.time - 5).expect("found");
        assert_eq!(found, *position);
        let (source, time) = (entry.meta.source, entry.meta.time);
        let offset = reader.depot_offset_at_time(source, time).expect("found");
        assert_eq!(offset, entry.meta.depot_offset);
    }
    for (_, entry) in expected.iter().step_by(53) {
        for source in 0..3 {
            // Records of others may come first.
            let later = |(_, known): &&(Position, super::Entry)| {
                known.meta.source == source && known.meta.time >= entry.meta.time
            };
            let first = expected.iter().find(later).map(|(_, known)| known.meta.depot_offset);
            let end = reader.depot_bounds(source).expect("bounds").1;
            let offset = reader.depot_offset_at_time(source, entry.meta.time).expect("found");
            assert_eq!(offset, first.unwrap_or(end));
        }
    }
    assert_eq!(reader.position_at_time(i64::MAX).expect("end"), reader.end());
    assert_eq!(
        reader.depot_offset_at_time(0, i64::MAX).expect("end"),
        reader.depot_bounds(0).expect("bounds").1
    );
}

#[test]
fn discarded_records_leave_nothing() {
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let mut maker = Maker::default();
    super::push(&mut log, &maker.next(3));
    log.discard();
    assert_eq!(log.next_position(), Position::START);
    assert_eq!(log.write().expect("nothing").records, 0);
    let expected = write(&mut log, &mut Maker::default(), 2);
    log.syncer().sync().expect("synced");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
}

#[test]
fn a_batch_larger_than_any_segment_gets_one_of_its_size() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let (mut maker, mut expected) = (Maker::default(), Vec::new());
    for records in [150, 2000, 3, 1000] {
        expected.extend(write(&mut log, &mut maker, records));
        log.syncer().sync().expect("synced");
    }
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
    drop(log);
    let (log, _) = open(&storage.kill()).expect("opened");
    assert_eq!(read_all(&log.reader()).expect("read"), expected);
}

#[test]
fn a_folder_is_read_without_being_changed() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let expected = write(&mut log, &mut Maker::default(), 8);
    let storage = storage.kill();
    let disk = Arc::new(storage.clone());
    let (reader, recovered) = LogReader::open_dir(disk, Path::new(DIR)).expect("opened");
    assert_eq!(recovered.how, HowStopped::Unclean);
    assert_eq!(read_all(&reader).expect("read"), expected);
    let (_, recovered) = open(&storage).expect("opened");
    assert_eq!(recovered.how, HowStopped::Unclean, "reading has left no trace");
    assert_eq!(recovered.end, Position::new(1, 8));
}

/// A log has many segments, and a process few handles.
#[cfg(target_os = "linux")]
#[test]
fn a_segment_that_is_full_and_durable_has_no_handle() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut log, _) = open_on(Arc::new(FileStorage::new(folder.path()))).expect("opened");
    let mut maker = Maker::default();
    while log.segments().len() < 5 {
        write(&mut log, &mut maker, 61);
        log.syncer().sync().expect("synced");
    }
    let handles = std::fs::read_dir("/proc/self/fd").expect("a list of handles").flatten();
    let open: Vec<_> =
        handles.filter_map(|handle| std::fs::read_link(handle.path()).ok()).collect();
    for segment in log.segments() {
        let name = segment.file.file_name().expect("a name");
        let is_it = |open: &&PathBuf| open.starts_with(folder.path()) && open.ends_with(name);
        let handles = open.iter().filter(is_it).count();
        assert_eq!(handles == 0, segment.sealed, "{}: {handles}", segment.file.display());
    }
}
