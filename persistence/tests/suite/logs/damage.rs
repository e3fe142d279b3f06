//! Flipped bits: every one below what is known to be durable is damage with a name; one above it
//! cuts a torn tail at most.

use std::path::{Path, PathBuf};

use gridmill_persistence::log::HowStopped;
use gridmill_persistence::{LogError, SimStorage, Storage};

use super::{DIR, Entry, Maker, open, read_all, write};
use gridmill_persistence::Position;

struct Built {
    storage: SimStorage,
    records: Vec<(Position, Entry)>,
}

/// Three synced batches and a fourth that says so; then a kill or a clean stop.
fn build(clean: bool) -> Built {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let (mut maker, mut records) = (Maker::default(), Vec::new());
    for size in [2, 1, 3, 1] {
        records.extend(write(&mut log, &mut maker, size));
        log.syncer().sync().expect("synced");
    }
    if clean {
        log.close_clean().expect("closed");
    }
    Built { storage: storage.kill(), records }
}

fn segment() -> PathBuf {
    Path::new(DIR).join("log/0000000001.seg")
}

fn used(storage: &SimStorage) -> u64 {
    let file = storage.open_read(&segment()).expect("open");
    let bytes = file.map(0..file.len().expect("length")).expect("mapped");
    bytes.iter().rposition(|&byte| byte != 0).expect("written") as u64 + 1
}

/// Opens the damaged log and reads all of it.
fn outcome(storage: &SimStorage) -> Result<(HowStopped, Vec<(Position, Entry)>), LogError> {
    let (log, recovered) = open(storage)?;
    let records = read_all(&log.reader())?;
    log.reader().verify()?;
    Ok((recovered.how, records))
}

#[test]
fn every_flip_in_an_uncleanly_stopped_log_is_damage_or_a_torn_last_batch() {
    let end = used(&build(false).storage);
    let (mut damaged, mut torn) = (0, 0);
    let header = (0..100).chain([4000]);
    for offset in header.chain(4096..end.next_multiple_of(16) + 64) {
        let built = build(false);
        built.storage.flip_bit(&segment(), offset, (offset % 8) as u8).expect("flipped");
        match outcome(&built.storage) {
            Err(LogError::Damaged { file, .. }) => {
                assert!(file.ends_with("p0/log/0000000001.seg"));
                damaged += 1;
            }
            Err(LogError::UnknownVersion { .. }) => damaged += 1,
            Err(error) => panic!("byte {offset}: {error}"),
            Ok((HowStopped::TornTail { .. }, records)) => {
                // The last batch, or only the flipped zero behind it.
                let whole = [built.records.len() - 1, built.records.len()];
                assert!(whole.contains(&records.len()), "byte {offset}: {}", records.len());
                assert_eq!(records, built.records[..records.len()]);
                torn += 1;
            }
            Ok((how, _)) => panic!("byte {offset} went unnoticed: {how:?}"),
        }
    }
    assert!(damaged > 700 && torn > 100, "{damaged} damaged, {torn} torn");
}

#[test]
fn every_flip_in_a_cleanly_stopped_log_is_damage() {
    let end = used(&build(true).storage).next_multiple_of(16);
    for offset in (0..100).chain(4096..end) {
        let built = build(true);
        built.storage.flip_bit(&segment(), offset, (offset % 7) as u8).expect("flipped");
        match outcome(&built.storage) {
            Err(LogError::Damaged { .. } | LogError::UnknownVersion { .. }) => {}
            other => panic!("byte {offset}: {other:?}"),
        }
    }
}

#[test]
fn every_flip_in_the_marker_of_a_clean_stop_is_damage() {
    let marker = Path::new(DIR).join("log/clean");
    let storage = build(true).storage;
    let len = storage.open_read(&marker).and_then(|file| file.len()).expect("length");
    for offset in 0..len {
        let built = build(true);
        built.storage.flip_bit(&marker, offset, (offset % 8) as u8).expect("flipped");
        let error = outcome(&built.storage).expect_err("damage");
        assert!(error.to_string().contains("clean"), "{error}");
    }
}

#[test]
fn flips_in_footers_are_healed_and_in_sealed_segments_named() {
    let build = || {
        let storage = SimStorage::new();
        let (mut log, _) = open(&storage).expect("opened");
        let (mut maker, mut records) = (Maker::default(), Vec::new());
        while log.segments().len() < 3 {
            records.extend(write(&mut log, &mut maker, 5));
            log.syncer().sync().expect("synced");
        }
        records.extend(write(&mut log, &mut maker, 5));
        log.syncer().sync().expect("synced");
        let first = log.segments()[0].clone();
        (storage, records, maker, 4096 + first.used)
    };
    let (_, _, _, end) = build();
    for offset in (end..end + 64).step_by(3) {
        let (storage, records, maker, _) = build();
        let storage = storage.kill();
        storage.flip_bit(&segment(), offset, 3).expect("flipped");
        let (log, recovered) = open(&storage).expect("footers are derived");
        assert_eq!(recovered.next_offsets.values().copied().collect::<Vec<_>>(), maker.offsets);
        assert_eq!(read_all(&log.reader()).expect("read"), records);
        assert_eq!(log.reader().depot_bounds(0).expect("rebuilt"), (0, maker.offsets[0]));
    }
    for offset in (4096..end).step_by(37) {
        let (storage, _, _, _) = build();
        let storage = storage.kill();
        storage.flip_bit(&segment(), offset, 5).expect("flipped");
        let error = outcome(&storage).expect_err("damage");
        assert!(matches!(error, LogError::Damaged { .. }), "byte {offset}: {error}");
    }
}

#[test]
fn a_torn_tail_is_said_with_its_place_and_its_length() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut ends = Vec::new();
    for depot_offset in 0..3 {
        let meta = super::RecordMeta { depot_offset, ..Default::default() };
        log.push(&meta, &[0xff; 48]).expect("pushed");
        log.write().expect("written");
        log.syncer().expose();
        ends.push(4096 + log.segments()[0].used);
    }
    drop(log);
    let storage = storage.kill();
    storage.flip_bit(&segment(), ends[1] + 70, 2).expect("flipped");
    let (log, recovered) = open(&storage).expect("nothing of it was durable");
    let HowStopped::TornTail { file, offset, bytes_lost } = recovered.how else {
        panic!("{recovered:?}")
    };
    assert!(file.ends_with(segment()), "{}", file.display());
    assert_eq!((offset, bytes_lost), (ends[1], ends[2] - ends[1]));
    assert_eq!(read_all(&log.reader()).expect("read").len(), 2);
}

#[test]
fn a_later_segment_proves_what_was_durable_in_an_earlier_one() {
    let build = || {
        let storage = SimStorage::new();
        let (mut log, _) = open(&storage).expect("opened");
        let mut maker = Maker::default();
        while log.segments().len() < 2 {
            write(&mut log, &mut maker, 5);
        }
        log.syncer().sync().expect("synced");
        write(&mut log, &mut maker, 1);
        let end = 4096 + log.segments()[0].used;
        (storage.kill(), end)
    };
    let (_, end) = build();
    for offset in (4096..end).step_by(101) {
        let (storage, _) = build();
        storage.flip_bit(&segment(), offset, 1).expect("flipped");
        let error = outcome(&storage).expect_err("damage");
        assert!(error.to_string().contains("0000000001.seg is damaged"), "byte {offset}: {error}");
    }
}

#[test]
fn a_missing_segment_and_a_foreign_one_are_refused() {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    while log.segments().len() < 3 {
        write(&mut log, &mut maker, 5);
    }
    log.close_clean().expect("closed");
    let foreign = super::LogOptions { partition: Some(8), ..super::options() };
    let shared = std::sync::Arc::new(storage.clone());
    let error = super::Log::open(shared, Path::new(DIR), foreign).expect_err("foreign");
    assert!(matches!(error, LogError::WrongPartition { expected: 8, got: 7, .. }), "{error}");
    storage.remove(&segment()).expect("removed");
    let error = open(&storage).expect_err("a hole");
    assert!(error.to_string().contains("no such file"), "{error}");
}
