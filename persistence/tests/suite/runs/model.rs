//! A run against a sorted map.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::run::{Run, RunOptions, Slot, hash_key};
use gridmill_persistence::{FileStorage, Storage};
use proptest::prelude::*;

use super::{Model, aligned, counted, open, slot, write, written};

/// Short keys over few letters, so that prefixes, neighbours and the empty key are common.
pub(super) fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', b'b', 255]), 0..5),
        2 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 200usize..3000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn values() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        2 => Just(None),
        6 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Some),
        1 => (any::<u8>(), 1000usize..5000).prop_map(|(byte, len)| Some(vec![byte; len])),
        1 => (any::<u8>(), 65_530usize..65_540).prop_map(|(byte, len)| Some(vec![byte; len])),
    ]
}

/// Entries of all kinds, or entries that are all alike but for a few.
pub(super) fn models(entries: usize) -> impl Strategy<Value = Model> {
    let various = |entries| prop::collection::btree_map(keys(), values(), 0..entries);
    let key = prop::collection::vec(any::<u8>(), 3);
    let value = prop::collection::vec(any::<u8>(), 5).prop_map(Some);
    let alike = prop::collection::btree_map(key, value, 0..entries);
    let mixed = (alike, various(3)).prop_map(|(mut alike, few)| {
        alike.extend(few);
        alike
    });
    prop_oneof![various(entries), mixed]
}

fn bounds() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        keys().prop_map(Bound::Included),
        keys().prop_map(Bound::Excluded),
    ]
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

fn within(key: &[u8], from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    let after = match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from.as_slice(),
        Bound::Excluded(from) => key > from.as_slice(),
    };
    let before = match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= to.as_slice(),
        Bound::Excluded(to) => key < to.as_slice(),
    };
    after && before
}

fn check_range(
    run: &Run,
    model: &Model,
    from: &Bound<Vec<u8>>,
    to: &Bound<Vec<u8>>,
    ends: &[bool],
) {
    let mut expected = model
        .iter()
        .filter(|(key, _)| within(key, from, to))
        .map(|(key, value)| (key.as_slice(), slot(value)));
    let mut range = run.range(borrowed(from), borrowed(to));
    for front in ends.iter().cycle() {
        let (got, want) = match front {
            true => (range.next(), expected.next()),
            false => (range.next_back(), expected.next_back()),
        };
        assert_eq!(got.transpose().unwrap(), want);
        if want.is_none() {
            break;
        }
    }
    assert!(range.next().is_none() && range.next_back().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_run_says_what_was_written(
        model in models(120),
        probes in prop::collection::vec(keys(), 20),
        ranges in prop::collection::vec((bounds(), bounds()), 6),
        ends in prop::collection::vec(any::<bool>(), 1..8),
        align in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
    ) {
        let run = written(&model, aligned(align));
        run.verify().unwrap();
        prop_assert_eq!(run.len(), model.len() as u64);
        let deleted = model.values().filter(|value| value.is_none()).count() as u64;
        prop_assert_eq!(run.tombstones(), deleted);
        for key in model.keys().chain(&probes) {
            let found = run.get(key).unwrap();
            prop_assert_eq!(found, model.get(key).map(slot));
            prop_assert_eq!(run.get_hashed(key, hash_key(key)).unwrap(), found);
        }
        let hashes: Vec<u64> = model.keys().chain(&probes).map(|key| hash_key(key)).collect();
        run.warm(&hashes);
        for (from, to) in &ranges {
            check_range(&run, &model, from, to, &ends);
        }
    }
}

#[test]
fn values_are_aligned_in_a_mapped_file() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(folder.path()));
    let model: Model =
        (0..500u16).map(|i| (vec![7; usize::from(i) % 90 + 1], Some(vec![1; 33]))).collect();
    storage.create_dir_all(Path::new("todo/0")).unwrap();
    for align in [1, 2, 4, 8, 16] {
        let path = format!("todo/0/{align}.run");
        let info = write(&storage, &path, aligned(align), &model).unwrap();
        assert_eq!(info.file, format!("{align}.run"));
        for item in open(&storage, &path).unwrap().range(Bound::Unbounded, Bound::Unbounded) {
            let value = item.unwrap().1.value().unwrap();
            assert_eq!(value.as_ptr().align_offset(align), 0);
        }
    }
}

#[test]
fn an_empty_run_and_one_of_one_entry_are_small() {
    let empty = written(&Model::new(), RunOptions::default());
    assert!(empty.is_empty() && empty.min_key().is_empty() && empty.bytes() < 512);
    assert_eq!(empty.get(b"").unwrap(), None);
    assert_eq!(empty.range(Bound::Unbounded, Bound::Unbounded).count(), 0);
    empty.verify().unwrap();

    let one = written(&Model::from([(Vec::new(), Some(Vec::new()))]), RunOptions::default());
    assert!(one.len() == 1 && one.bytes() < 512, "{} bytes", one.bytes());
    assert_eq!(one.get(b"").unwrap(), Some(Slot::Value(b"")));
    one.verify().unwrap();
}

#[test]
fn a_run_keeps_what_its_writer_was_told() {
    let options =
        RunOptions { schema: 77, value_align: 4, entries_hint: 3, covers: 9, user: vec![1, 2] };
    let run = written(&counted(10), options);
    assert_eq!((run.schema(), run.value_align(), run.covers()), (77, 4, 9));
    assert_eq!(run.user(), [1, 2]);
    let info = run.info();
    assert_eq!((info.file.as_str(), info.entries, info.tombstones), ("table.run", 10, 1));
    assert_eq!((info.min_key.as_slice(), info.bytes), (run.min_key(), run.bytes()));
    assert_eq!(info.max_key, b"user-000000000018");
}

/// The sizes that a partition really has, on a real disk: both passes of the index, many fences,
/// several pages of checksums.
#[test]
fn two_hundred_thousand_entries() {
    const COUNT: u64 = 200_000;
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(folder.path()));
    let model = counted(COUNT);
    let info = write(&storage, "big.run", aligned(8), &model).unwrap();
    let run = open(&storage, "big.run").unwrap();
    assert_eq!(run.info(), info);
    assert!(info.bytes < 45 * COUNT, "{} bytes an entry", info.bytes / COUNT);
    for (i, (key, value)) in model.iter().enumerate() {
        assert_eq!(run.get(key).unwrap(), Some(slot(value)));
        let absent = format!("user-{:012}", i * 2 + 1).into_bytes();
        assert_eq!(run.get(&absent).unwrap(), None);
        if i % 1000 == 0 {
            let next = run.range(Bound::Excluded(&absent), Bound::Unbounded).next();
            let next = next.transpose().unwrap().map(|(key, _)| key.to_vec());
            assert_eq!(next.as_ref(), model.keys().nth(i + 1));
        }
    }
    let back = run.range(Bound::Unbounded, Bound::Unbounded).rev();
    assert!(back.map(|item| item.unwrap().0).eq(model.keys().rev().map(Vec::as_slice)));
    run.verify().unwrap();
}

/// Under one hash, only the very key is found: any other bit, any other length is another key.
#[test]
fn a_key_is_compared_in_full() {
    for len in 0..40 {
        let key: Vec<u8> = (0..len).collect();
        let run = written(&Model::from([(key.clone(), None)]), aligned(8));
        let hash = hash_key(&key);
        assert_eq!(run.get_hashed(&key, hash).unwrap(), Some(Slot::Deleted));
        for bit in 0..key.len() * 8 {
            let mut other = key.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(run.get_hashed(&other, hash).unwrap(), None, "bit {bit} of {len} bytes");
        }
        let longer = [key.as_slice(), &[0]].concat();
        assert_eq!(run.get_hashed(&longer, hash).unwrap(), None);
    }
}
