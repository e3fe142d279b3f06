//! The bytes themselves: what this build writes is what every build of this version wrote.

use std::fs;
use std::path::PathBuf;

use gridmill_persistence::run::{RunOptions, Slot};

use super::{Model, bytes_of, counted, disk, disk_with, open, write};

fn golden_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/run-v1.run")
}

fn golden_model() -> Model {
    let mut model = counted(20);
    model.insert(b"user".to_vec(), None);
    model.insert(b"zz".to_vec(), Some(vec![0x5a; 40]));
    model
}

fn golden_options() -> RunOptions {
    let schema = 0x1122_3344_5566_7788;
    RunOptions { schema, value_align: 8, covers: 42, user: b"note".to_vec(), ..Default::default() }
}

/// If this fails, the format has changed: raise its version, keep reading the old one, and only
/// then write a new golden file (`GRIDMILL_BLESS=1`).
#[test]
fn a_run_is_written_byte_for_byte_as_ever() {
    let storage = disk();
    write(&storage, "table.run", golden_options(), &golden_model()).unwrap();
    let bytes = bytes_of(&storage, "table.run");
    if std::env::var_os("GRIDMILL_BLESS").is_some() {
        fs::write(golden_path(), &bytes).unwrap();
    }
    assert!(bytes == fs::read(golden_path()).unwrap(), "the bytes of a run have changed");
}

#[test]
fn the_golden_run_is_read() {
    let storage = disk_with(&fs::read(golden_path()).unwrap());
    let run = open(&storage, "table.run").unwrap();
    run.verify().unwrap();
    assert_eq!((run.schema(), run.covers(), run.user()), (0x1122_3344_5566_7788, 42, &b"note"[..]));
    assert_eq!(run.get(b"user").unwrap(), Some(Slot::Deleted));
    assert_eq!(run.get(b"user-000000000004").unwrap(), Some(Slot::Value(&2u64.to_le_bytes())));
    assert_eq!(run.get(b"zz").unwrap(), Some(Slot::Value(&[0x5a; 40])));
    assert_eq!(run.len(), 22);
}

/// The arithmetic of `FORMAT.md`: an entry of a 17-byte key and an 8-byte value costs 25 bytes, and
/// 7 more where the run begins with an entry that looks different; its share of all else is below 7.
#[test]
fn a_counter_costs_what_the_format_says() {
    let cost = |model: &Model| {
        let options = RunOptions { value_align: 1, ..RunOptions::default() };
        write(&disk(), "table.run", options, model).unwrap().bytes as f64 / 1e5
    };
    let mut model: Model =
        counted(100_000).into_keys().map(|key| (key, Some(vec![1; 8]))).collect();
    let uniform = cost(&model);
    assert!((31.4..31.5).contains(&uniform), "{uniform} bytes");
    model.insert(b"!".to_vec(), None);
    let loose = cost(&model);
    assert!((38.9..39.1).contains(&loose), "{loose} bytes");
}
