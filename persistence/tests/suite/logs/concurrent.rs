//! One writer, two syncing threads and two reading ones on the real disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_persistence::log::{LogReader, LogSyncer};
use gridmill_persistence::{FileStorage, Position};

use super::{Maker, open_on, read_all, write};

const BATCHES: u64 = 600;

/// Syncs until the writer is done and the last record is durable.
fn sync_on(syncer: &LogSyncer, done: &AtomicBool) {
    let mut durable = Position::START;
    loop {
        let last = done.load(Ordering::Acquire);
        let now = syncer.sync().expect("synced");
        assert!(now >= durable, "durable never goes back");
        durable = now;
        if last {
            return;
        }
    }
}

/// Follows the log to its end and checks that no record is missing, doubled or wrong.
fn read_on(reader: &LogReader, syncer: &LogSyncer, records: u64) {
    let (mut maker, mut scan) = (Maker::default(), reader.scan(Position::START).expect("scan"));
    while maker.made < records {
        let Some(record) = scan.next().expect("read") else {
            std::thread::yield_now();
            continue;
        };
        let (number, entry) = (maker.made, maker.next(1));
        assert_eq!(record.position, Position::new(0, number));
        assert_eq!(record.payload, entry.payload);
        assert!(record.position < syncer.durable(), "nothing is read that is not durable");
    }
}

#[test]
fn readers_follow_a_writer_and_syncers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut log, _) = open_on(Arc::new(FileStorage::new(folder.path()))).expect("opened");
    let records = (0..BATCHES).map(|batch| 1 + batch % 9).sum();
    let (syncer, reader, done) = (log.syncer(), log.reader(), AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| sync_on(&syncer, &done));
            threads.spawn(|| read_on(&reader, &syncer, records));
        }
        let mut maker = Maker::default();
        for batch in 0..BATCHES {
            write(&mut log, &mut maker, 1 + batch % 9);
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(log.durable(), log.next_position());
    assert_eq!(read_all(&reader).expect("read").len() as u64, records);
    assert_eq!(reader.verify().expect("whole").batches, BATCHES);
}
