//! Both ways to the index give the same bytes, and the file beside a run goes as it came.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::run::{Run, RunError, RunInfo, RunOptions, RunWriter, is_unfinished};
use crate::{Faults, SimStorage};

type Model = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

const PATH: &str = "table.run";
const SIDE: &str = "table.run.side.tmp";

/// The greatest print.
const TOP: u64 = (1 << 40) - 1;

/// Entries of these prints, remembered within `room`.
fn remembered(room: MemoryLimits, prints: &[u64]) -> Remembered {
    let storage = Arc::new(SimStorage::new());
    let mut remembered = Remembered::new(storage, PathBuf::from(SIDE), room, 0);
    for (number, print) in prints.iter().enumerate() {
        remembered.add(Print::from_bits(*print), number as u64 % 3 + 1).unwrap();
    }
    remembered
}

fn index(remembered: &Remembered, shape: Shape, entries: usize) -> Vec<u8> {
    let storage = SimStorage::new();
    let file = storage.create(Path::new("index")).unwrap();
    let mut sink = Sink::new(Arc::clone(&file));
    remembered.put_index(&mut sink, shape, entries as u64).unwrap();
    sink.finish_pages().unwrap();
    file.map(0..file.len().unwrap()).unwrap().to_vec()
}

fn slices(remembered: &Remembered, shape: Shape, entries: usize) -> Slices<'_> {
    let (side, streams) = (&remembered.side, remembered.streams.as_slice());
    Slices { side, streams, shape, buckets: shape.buckets(entries as u64) }
}

fn shapes() -> [Shape; 2] {
    [Shape::of(1 << 32), Shape::of((1 << 32) + 1)]
}

/// Checks that both ways lead to one index; says from which slice on the slices had to be filled for
/// what wraps around, and how much did.
fn compare(prints: &[u64], shape: Shape) -> (usize, usize) {
    let kept = remembered(MemoryLimits { entries: prints.len(), ..MemoryLimits::NONE }, prints);
    let parted = remembered(MemoryLimits { stream: 50 * RECORD, ..MemoryLimits::NONE }, prints);
    assert!(kept.streams.is_empty() && parted.words.is_empty());
    let expected = index(&kept, shape, prints.len());
    assert!(index(&parted, shape, prints.len()) == expected, "{} prints", prints.len());
    if prints.is_empty() {
        return (0, 0);
    }
    let slices = slices(&parted, shape, prints.len());
    (slices.decisive(), slices.wrapping().unwrap().len())
}

fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}

#[test]
fn what_moves_on_from_the_last_bucket_is_filed_from_the_first_on() {
    for shape in shapes() {
        let top: Vec<u64> = (0..400).map(|number| TOP - number * 1000).collect();
        let (_, wrapped) = compare(&top, shape);
        assert!(wrapped > 350, "{wrapped} of 400");
        // Beside many others, and before and after them.
        let others = (0..4000).map(mixed);
        let (_, early) =
            compare(&top.iter().copied().chain(others.clone()).collect::<Vec<_>>(), shape);
        let (_, late) = compare(&others.chain(top).collect::<Vec<_>>(), shape);
        assert!(early > 300 && late > 300, "{early} and {late} of 400");
    }
}

#[test]
fn what_fills_several_slices_before_the_end_wraps_around_too() {
    for shape in shapes() {
        // All of them come from the middle, or from the start and around once more.
        for home in [0, TOP / 2, TOP / 256 * 254] {
            let prints: Vec<u64> = (0..6000).map(|number| home + number).collect();
            let (decisive, wrapped) = compare(&prints, shape);
            // All slices had to be looked at, or the entries end where they cannot matter.
            assert_eq!((decisive == 0, wrapped > 0), (home > 0, home > 0));
        }
    }
}

#[test]
fn with_keys_that_nobody_chose_few_slices_are_filled_twice() {
    for shape in shapes() {
        let prints: Vec<u64> = (0..300_000).map(mixed).collect();
        let (decisive, _) = compare(&prints, shape);
        assert!((246..256).contains(&decisive), "from slice {decisive} on");
    }
}

/// Anywhere, or close together in few places.
fn prints() -> impl Strategy<Value = Vec<u64>> {
    let place = prop::sample::select(vec![0, TOP / 256, TOP / 2, TOP - (TOP >> 6), TOP - 999]);
    let close =
        (place, 0..1000_u64, 0..30_u32).prop_map(|(place, by, bits)| (place + (by << bits)) & TOP);
    let any = || 0..=TOP;
    prop_oneof![
        prop::collection::vec(any(), 0..3000),
        prop::collection::vec(close, 0..1500),
        prop::collection::vec(prop_oneof![any().boxed(), (TOP - 99..=TOP).boxed()], 0..1500),
    ]
}

/// Short keys over few letters, uniform for a while or not at all, some of them deleted.
fn models() -> impl Strategy<Value = Model> {
    let key = prop_oneof![
        3 => prop::collection::vec(prop::sample::select(vec![0, 1, 255]), 5),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let value = prop_oneof![
        6 => any::<[u8; 4]>().prop_map(|value| Some(value.to_vec())),
        1 => Just(None),
        1 => (0..3000_usize).prop_map(|len| Some(vec![7; len])),
    ];
    let alike = any::<[u8; 3]>().prop_map(|key| (key.to_vec(), Some(key.to_vec())));
    let few = prop::collection::btree_map(key, value, 0..120);
    (few, prop::collection::vec(alike, 0..300)).prop_map(|(mut few, alike)| {
        few.extend(alike);
        few
    })
}

fn write(storage: &SimStorage, room: MemoryLimits, model: &Model) -> Result<RunInfo, RunError> {
    let options = RunOptions { value_align: 4, ..RunOptions::default() };
    let storage = Arc::new(storage.clone());
    let mut writer = RunWriter::create_within(storage, Path::new(PATH), options, room)?;
    for (key, value) in model {
        writer.add(key, value.as_deref())?;
    }
    writer.finish()
}

fn bytes_of(storage: &SimStorage, path: &str) -> Vec<u8> {
    let file = storage.open_read(Path::new(path)).unwrap();
    file.map(0..file.len().unwrap()).unwrap().to_vec()
}

fn names(storage: &SimStorage) -> Vec<String> {
    storage.list(Path::new("")).unwrap()
}

/// Large enough to have marks, fences and streams in the file.
fn counted(count: u64) -> Model {
    let entry = |i: u64| (i.to_be_bytes().to_vec(), (i % 5 != 2).then(|| vec![1; 300]));
    (0..count).map(entry).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_ways_lead_to_the_same_index(prints in prints()) {
        for shape in shapes() {
            compare(&prints, shape);
        }
    }

    /// A run is the same to the byte, and so says the same of every key.
    #[test]
    fn both_ways_lead_to_the_same_run(model in models(), kept in 0..300_usize) {
        let storage = SimStorage::new();
        write(&storage, MemoryLimits::USUAL, &model).unwrap();
        let expected = bytes_of(&storage, PATH);
        for room in [MemoryLimits::NONE, MemoryLimits { entries: kept, ..MemoryLimits::NONE }] {
            write(&storage, room, &model).unwrap();
            prop_assert!(bytes_of(&storage, PATH) == expected);
        }
        prop_assert_eq!(names(&storage), [PATH]);
        let run = Run::open(&storage, Path::new(PATH)).unwrap();
        run.verify().unwrap();
        for (key, value) in &model {
            let found = run.get(key).unwrap();
            prop_assert_eq!(found.map(|slot| slot.value()), Some(value.as_deref()));
        }
    }
}

#[test]
fn the_file_is_there_while_it_is_needed_and_never_synced() {
    let storage = SimStorage::new();
    storage.create(Path::new(SIDE)).unwrap().write_at(0, &[1; 9000]).unwrap();
    let options = RunOptions::default();
    let shared = Arc::new(storage.clone());
    let mut writer =
        RunWriter::create_within(shared, Path::new(PATH), options, MemoryLimits::NONE).unwrap();
    storage.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    for (key, value) in &counted(600) {
        writer.add(key, value.as_deref()).unwrap();
    }
    assert!(names(&storage).contains(&SIDE.to_owned()) && is_unfinished(SIDE));
    // The run itself is synced once.
    storage.set_faults(Faults { fail_sync: Some(2), ..Faults::default() });
    writer.finish().unwrap();
    assert_eq!(names(&storage), [PATH]);
}

#[test]
fn small_runs_need_no_file() {
    let storage = SimStorage::new();
    let run = |model: &Model| {
        storage.set_faults(Faults::default());
        write(&storage, MemoryLimits::USUAL, model).unwrap();
        storage.operations()
    };
    // Made, written, and its end; synced, renamed, its folder synced.
    assert_eq!((run(&Model::new()), run(&counted(100))), (6, 6));
}

/// Every write fails once, and the disk is full at every size: of the run and of the file beside it.
#[test]
fn what_fails_leaves_nothing() {
    let model = counted(500);
    let fails = |faults: Faults| {
        let storage = SimStorage::with_faults(1, faults);
        let written = write(&storage, MemoryLimits::NONE, &model);
        let left = names(&storage);
        if written.is_ok() {
            assert_eq!(left, [PATH]);
            return false;
        }
        assert!(matches!(written, Err(RunError::Io { action: "write", .. })), "{written:?}");
        assert!(left.is_empty(), "{faults:?}: {left:?}");
        true
    };
    let failed =
        (1..).take_while(|at| fails(Faults { fail_write: Some(*at), ..Faults::default() }));
    assert!(failed.count() > 50);
    let full = (0..).map(|at| at * 1000);
    let full = full.take_while(|at| fails(Faults { space_left: Some(*at), ..Faults::default() }));
    assert!(full.count() > 100);
}

#[test]
fn a_dropped_writer_takes_the_file_along() {
    let storage = SimStorage::new();
    let (shared, options) = (Arc::new(storage.clone()), RunOptions::default());
    let mut writer =
        RunWriter::create_within(shared, Path::new(PATH), options, MemoryLimits::NONE).unwrap();
    for key in 0..1000_u32 {
        writer.add(&key.to_be_bytes(), None).unwrap();
    }
    assert_eq!(names(&storage).len(), 2);
    drop(writer);
    assert!(names(&storage).is_empty());
}

/// The power goes at every single operation. The run is whole or absent, and what else is left has the
/// name of a leftover.
#[test]
fn power_loss_leaves_a_whole_run_or_none() {
    let model = counted(100);
    for seed in 0..5 {
        for operation in 1.. {
            let faults = Faults { power_off: Some(operation), ..Faults::default() };
            let storage = SimStorage::with_faults(seed, faults);
            let finished = write(&storage, MemoryLimits::NONE, &model).is_ok();
            let after = storage.crash();
            let left = names(&after);
            assert!(left.iter().all(|name| name == PATH || is_unfinished(name)), "{left:?}");
            assert!(!finished || left == [PATH], "seed {seed}, operation {operation}: {left:?}");
            if left.iter().any(|name| name == PATH) {
                Run::open(&after, Path::new(PATH)).unwrap().verify().unwrap();
            }
            if finished {
                break;
            }
        }
    }
}

/// A disk that falsifies what the writer set aside must not make a run that believes it.
#[test]
fn what_the_disk_falsifies_fails_the_run() {
    for spoil in [false, true] {
        let storage = SimStorage::new();
        let (shared, options) = (Arc::new(storage.clone()), RunOptions::default());
        let mut writer =
            RunWriter::create_within(shared, Path::new(PATH), options, MemoryLimits::NONE).unwrap();
        for key in 0..2000_u32 {
            writer.add(&key.to_be_bytes(), None).unwrap();
        }
        if spoil {
            storage.set_unreadable(Path::new(SIDE), Some(4096..4097)).unwrap();
        } else {
            storage.flip_bit(Path::new(SIDE), 4096, 3).unwrap();
        }
        let error = writer.finish().expect_err("read back otherwise");
        assert!(matches!(error, RunError::Io { action: "write", .. }), "{error}");
        assert!(names(&storage).is_empty());
    }
}
