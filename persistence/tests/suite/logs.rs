//! The partition log, against a model, crashes, damage, a full disk and failing syncs.

mod concurrent;
mod crash;
mod damage;
mod disk;
mod forge;
mod forged;
mod golden;
mod lookup;
mod lost;
mod other_times;
mod reading;
mod sizes;
mod unreadable;

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::log::{Log, LogOptions, LogReader, RecordMeta, Recovered};
use gridmill_persistence::{LogError, Position, SimStorage, Storage};

pub(crate) const DIR: &str = "p0";

/// Small segments, so that every test crosses some.
pub(crate) fn options() -> LogOptions {
    LogOptions {
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 64 << 10,
        partition: Some(7),
        ..LogOptions::default()
    }
}

pub(crate) fn open(storage: &SimStorage) -> Result<(Log, Recovered), LogError> {
    open_on(Arc::new(storage.clone()))
}

pub(crate) fn open_on(storage: Arc<dyn Storage>) -> Result<(Log, Recovered), LogError> {
    Log::open(storage, Path::new(DIR), options())
}

/// A record that says of itself which one it is; sources 0, 1 and 2 take turns unevenly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) meta: RecordMeta,
    pub(crate) payload: Vec<u8>,
}

/// Makes entries with growing offsets per source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Maker {
    pub(crate) made: u64,
    pub(crate) offsets: [u64; 3],
}

impl Maker {
    pub(crate) fn next(&mut self, salt: u64) -> Entry {
        let number = self.made;
        self.made += 1;
        let source = [0, 0, 1, 0, 2][(number % 5) as usize];
        let depot_offset = self.offsets[source];
        self.offsets[source] += 1;
        let len = (number * 37 + salt * 11) % 190;
        let meta = RecordMeta {
            time: 1_000_000 + number as i64 * 10,
            depot_offset,
            type_id: (number ^ salt) as u32,
            source: source as u16,
            kind: (number % 3) as u8,
            id: number.is_multiple_of(4).then_some([salt as u8; 16]),
        };
        let payload = (0..len).map(|at| (at ^ salt ^ number) as u8).collect();
        Entry { meta, payload }
    }
}

pub(crate) fn push(log: &mut Log, entry: &Entry) -> Position {
    log.push(&entry.meta, &entry.payload).expect("pushed")
}

/// Writes `records` entries in one batch, past the page cache or not.
pub(crate) fn write(log: &mut Log, maker: &mut Maker, records: u64) -> Vec<(Position, Entry)> {
    let batch = (0..records).map(|_| {
        let entry = maker.next(1);
        (push(log, &entry), entry)
    });
    let batch: Vec<_> = batch.collect();
    let direct = records % 2 == 1;
    let written = if direct { log.write_direct() } else { log.write() }.expect("written");
    assert_eq!(Some(written.first), batch.first().map(|(position, _)| *position));
    assert_eq!(Some(written.last), batch.last().map(|(position, _)| *position));
    batch
}

pub(crate) fn read_all(reader: &LogReader) -> Result<Vec<(Position, Entry)>, LogError> {
    read_from(reader, Position::START)
}

pub(crate) fn read_from(
    reader: &LogReader,
    from: Position,
) -> Result<Vec<(Position, Entry)>, LogError> {
    let mut scan = reader.scan(from)?;
    let mut records = Vec::new();
    while let Some(record) = scan.next()? {
        let meta = RecordMeta {
            time: record.time,
            depot_offset: record.depot_offset,
            type_id: record.type_id,
            source: record.source,
            kind: record.kind,
            id: record.id,
        };
        records.push((record.position, Entry { meta, payload: record.payload.to_vec() }));
    }
    Ok(records)
}
