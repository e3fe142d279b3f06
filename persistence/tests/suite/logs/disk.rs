//! A full disk, failing writes and failing syncs: typed errors, nothing acknowledged lost, and the
//! log goes on when the disk does.

use gridmill_persistence::log::HowStopped;
use gridmill_persistence::{Faults, LogError, Position, SimStorage};

use super::{Maker, open, push, read_all, write};

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
            let full = log.recover_from_failed_sync().expect_err("no room");
            assert!(matches!(full, LogError::StorageFull { .. }), "{full}");
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
        drop(log);
        let (log, _) = open(&storage.crash()).expect("opened");
        assert_eq!(read_all(&log.reader()).expect("read"), expected, "seed {seed}");
    }
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
