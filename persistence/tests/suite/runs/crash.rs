//! Writers that fail, are dropped, or lose power: a run is complete or absent.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::run::{
    KEY_BYTES_MAX, RunError, RunOptions, RunWriter, VALUE_BYTES_MAX, is_unfinished,
};
use gridmill_persistence::{Faults, SimStorage, Storage};

use super::{aligned, counted, disk, open, slot, write};

fn writer(storage: &Arc<dyn Storage>) -> RunWriter {
    RunWriter::create(Arc::clone(storage), Path::new("table.run"), aligned(8)).unwrap()
}

#[test]
fn keys_out_of_order_are_refused_and_the_writer_goes_on() {
    let storage = disk();
    let mut writer = writer(&storage);
    writer.add(b"b", Some(b"1")).unwrap();
    for key in [&b"b"[..], b"a", b""] {
        let error = writer.add(key, None).expect_err("not ascending");
        assert!(matches!(&error, RunError::KeyOrder { previous, .. } if previous == b"b"));
    }
    writer.add(b"ba", None).unwrap();
    assert_eq!((writer.len(), writer.finish().unwrap().entries), (2, 2));
    open(&storage, "table.run").unwrap().verify().unwrap();
}

#[test]
fn what_is_too_large_is_refused_and_the_writer_goes_on() {
    let storage = disk();
    let mut writer = writer(&storage);
    let refused = writer.add(&vec![0; KEY_BYTES_MAX + 1], None).expect_err("a long key");
    assert!(matches!(refused, RunError::TooLarge { limit: 65_535, got: 65_536, .. }));
    let large = vec![0; VALUE_BYTES_MAX + 1];
    assert!(matches!(writer.add(b"k", Some(&large)), Err(RunError::TooLarge { .. })));
    let longest = vec![7; KEY_BYTES_MAX];
    writer.add(&longest, Some(&large[1..])).unwrap();
    writer.finish().unwrap();
    let run = open(&storage, "table.run").unwrap();
    let value = run.get(&longest).unwrap().and_then(|slot| slot.value());
    assert_eq!(value.map(<[u8]>::len), Some(VALUE_BYTES_MAX));
}

#[test]
fn impossible_options_are_refused() {
    for align in [0, 3, 32] {
        let made = RunWriter::create(disk(), Path::new("a.run"), aligned(align));
        assert!(matches!(made, Err(RunError::Align { got, .. }) if got == align));
    }
    let options = RunOptions { user: vec![0; (1 << 20) + 1], ..RunOptions::default() };
    let made = RunWriter::create(disk(), Path::new("a.run"), options);
    assert!(matches!(made, Err(RunError::TooLarge { .. })));
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let storage = disk();
    let mut writer = writer(&storage);
    writer.add(b"a", None).unwrap();
    let names = storage.list(Path::new("")).unwrap();
    assert!(names.len() == 1 && is_unfinished(&names[0]), "{names:?}");
    drop(writer);
    assert_eq!(storage.list(Path::new("")).unwrap(), Vec::<String>::new());
}

#[test]
fn a_leftover_of_a_crash_is_replaced() {
    let storage = disk();
    storage.create(Path::new("table.run.tmp")).unwrap().write_at(0, &[1; 9000]).unwrap();
    write(&storage, "table.run", aligned(8), &counted(3)).unwrap();
    open(&storage, "table.run").unwrap().verify().unwrap();
}

#[test]
fn a_full_disk_fails_the_run_and_leaves_nothing() {
    let model = counted(100);
    for space in [0, 10, 1000, 3000] {
        let faults = Faults { space_left: Some(space), ..Faults::default() };
        let storage: Arc<dyn Storage> = Arc::new(SimStorage::with_faults(1, faults));
        let error = write(&storage, "table.run", aligned(8), &model).expect_err("no room");
        assert!(matches!(error, RunError::Io { action: "write", .. }), "{error}");
        assert_eq!(storage.list(Path::new("")).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_failed_sync_fails_the_run() {
    let faults = Faults { fail_sync: Some(1), ..Faults::default() };
    let storage: Arc<dyn Storage> = Arc::new(SimStorage::with_faults(1, faults));
    assert!(write(&storage, "table.run", aligned(8), &counted(9)).is_err());
    assert!(open(&storage, "table.run").is_err());
}

/// The power goes at every single operation, with several outcomes each. A run whose `finish`
/// returned is whole; any other is whole or absent.
#[test]
fn power_loss_leaves_a_whole_run_or_none() {
    let model = counted(60);
    for seed in 0..20 {
        for operation in 1.. {
            let faults = Faults { power_off: Some(operation), ..Faults::default() };
            let sim = SimStorage::with_faults(seed, faults);
            let storage: Arc<dyn Storage> = Arc::new(sim.clone());
            let finished = write(&storage, "table.run", aligned(8), &model).is_ok();
            let after: Arc<dyn Storage> = Arc::new(sim.crash());
            let there = after.list(Path::new("")).unwrap().iter().any(|name| name == "table.run");
            assert!(there || !finished, "seed {seed}, operation {operation}: lost");
            if there {
                let run = open(&after, "table.run").unwrap();
                run.verify().unwrap();
                assert!(model.iter().all(|(k, v)| run.get(k).unwrap() == Some(slot(v))));
            }
            if finished {
                break;
            }
        }
    }
}
