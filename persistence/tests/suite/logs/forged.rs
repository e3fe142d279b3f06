//! Logs whose checksums are right and whose numbers are not: typed errors, never a panic.

use proptest::prelude::*;

use gridmill_persistence::log::{Log, RecordMeta};
use gridmill_persistence::{LogError, SimStorage, Storage, manifest};

use super::forge::{put, replace, reseal, segment, set_offsets, u64_at, whole};
use super::{DIR, Maker, open, read_all, write};

/// Two sealed segments and one that goes on, stopped cleanly or not.
fn build(clean: bool) -> SimStorage {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    while log.segments().len() < 3 {
        write(&mut log, &mut maker, 5);
        log.syncer().sync().expect("synced");
    }
    write(&mut log, &mut maker, 5);
    if clean {
        log.close_clean().expect("closed");
    }
    storage.kill()
}

/// Everything that reads a log, by every way to it.
fn read_every_way(storage: &SimStorage) -> Result<(), LogError> {
    let (log, recovered) = open(storage)?;
    let reader = log.reader();
    for source in 0..3 {
        let (_, end) = reader.depot_bounds(source)?;
        for from in [0, 1, end / 2, end.saturating_sub(1), end, u64::MAX] {
            let mut scan = reader.depot_range(source, from, u64::MAX)?;
            while scan.next()?.is_some() {}
            reader.position_at_time(from as i64)?;
        }
    }
    reader.scan(recovered.end)?;
    log.bytes_after(recovered.end);
    read_all(&reader)?;
    reader.verify()?;
    go_on(log)?;
    open(storage).map(drop)
}

/// Logs some more behind what was found, and stops.
fn go_on(mut log: Log) -> Result<(), LogError> {
    for payload in [0, 30 << 10] {
        log.push(&RecordMeta::default(), &vec![1; payload])?;
        log.write()?;
        log.syncer().sync()?;
    }
    log.close_clean()
}

#[test]
fn an_offset_without_a_successor_is_damage() {
    for (number, clean) in [(1, false), (1, true), (3, false), (3, true)] {
        let storage = build(clean);
        let mut bytes = whole(&storage, &segment(number));
        reseal(&mut bytes, |_| {}, |batch| set_offsets(batch, |_| u64::MAX));
        replace(&storage, &segment(number), &bytes);
        let error = read_every_way(&storage).expect_err("damage");
        assert!(matches!(error, LogError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("expected an offset below 2^64-1"), "{error}");
    }
    let (mut log, _) = open(&SimStorage::new()).expect("opened");
    let meta = RecordMeta { depot_offset: u64::MAX, ..Default::default() };
    let error = log.push(&meta, b"").expect_err("refused");
    assert!(matches!(error, LogError::OffsetsExhausted { source_number: 0 }), "{error}");
}

#[test]
fn record_numbers_that_would_begin_again_are_damage() {
    let storage = build(false);
    let mut bytes = whole(&storage, &segment(1));
    let last = (1 << 48) - 1;
    let moved = |batch: &mut [u8]| {
        let base = u64_at(batch, 16);
        put(batch, 16, base + last);
    };
    reseal(&mut bytes, |page| put(page, 32, last), moved);
    replace(&storage, &segment(1), &bytes);
    let error = read_every_way(&storage).expect_err("damage");
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
}

#[test]
fn a_log_that_ends_near_the_last_record_number_is_damage() {
    for (first, opens) in [((1 << 47) - 10_000, true), (1 << 47, false)] {
        let storage = build(false);
        for number in 1..=3 {
            let mut bytes = whole(&storage, &segment(number));
            let moved = |batch: &mut [u8]| {
                let (base, durable_to) = (u64_at(batch, 16), u64_at(batch, 24));
                put(batch, 16, base + first);
                put(batch, 24, durable_to + first);
            };
            let header = |page: &mut [u8]| {
                for field in [32, 56, 64] {
                    let position = u64_at(page, field);
                    put(page, field, position + first);
                }
            };
            reseal(&mut bytes, header, moved);
            replace(&storage, &segment(number), &bytes);
        }
        let read = read_every_way(&storage);
        assert_eq!(read.is_ok(), opens, "{read:?}");
        if let Err(error) = read {
            assert!(error.to_string().contains("record numbers below 2^47"), "{error}");
        }
    }
}

#[test]
fn a_segment_with_the_last_of_all_numbers_is_damage() {
    let storage = build(true);
    storage.create(&segment(u64::MAX)).expect("made");
    let error = read_every_way(&storage).expect_err("damage");
    assert!(error.to_string().contains("expected a segment number below 2^63"), "{error}");
}

/// Numbers at which arithmetic ends.
fn edge() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 15, 4095, 4096, 16 << 10, (1 << 48) - 1, 1 << 48, u64::MAX - 1, u64::MAX];
    prop_oneof![prop::sample::select(edges.to_vec()), any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Fields of a segment's header, and of its batches, are anything, and all checksums are right.
    #[test]
    fn forged_segments_give_errors_or_records(
        number in 1u64..=3,
        clean: bool,
        header in prop::collection::vec((2usize..9, edge()), 0..3),
        batches in prop::collection::vec((0usize..50, 2usize..4, edge()), 0..3),
        offsets in prop::collection::vec((0usize..50, edge()), 0..3),
    ) {
        let storage = build(clean);
        let mut bytes = whole(&storage, &segment(number));
        let page = |page: &mut [u8]| header.iter().for_each(|&(at, to)| put(page, 8 * at, to));
        let mut count = 0;
        reseal(&mut bytes, page, |batch| {
            for &(index, field, to) in &batches {
                if index == count {
                    put(batch, 8 * field, to);
                }
            }
            for &(index, to) in &offsets {
                if index == count {
                    set_offsets(batch, |_| to);
                }
            }
            count += 1;
        });
        replace(&storage, &segment(number), &bytes);
        let _ = read_every_way(&storage);
    }

    /// Any number of the marker of a clean stop is anything, its index too.
    #[test]
    fn forged_markers_give_errors_or_records(
        fields in prop::collection::vec((0usize..4, edge()), 0..3),
        index in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let storage = build(true);
        let dir = std::path::Path::new(DIR).join("log");
        let marker = manifest::read_versioned(&storage, &dir, "clean", 2).expect("read");
        let (version, mut payload) = marker.expect("there");
        fields.iter().for_each(|&(field, to)| put(&mut payload, 8 * field, to));
        for (at, byte) in index {
            let at = 32 + at.index(payload.len() - 32);
            payload[at] = byte;
        }
        manifest::write_versioned(&storage, &dir, "clean", version, &payload).expect("written");
        let _ = read_every_way(&storage);
    }
}
