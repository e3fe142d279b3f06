//! Runs: against a model, against damage, against crashes, and against their own past.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod crash;
mod damage;
mod forged;
mod format;
mod large;
mod merged;
mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::run::{Run, RunError, RunInfo, RunOptions, RunWriter, Slot};
use gridmill_persistence::{SimStorage, Storage};

/// What a run should say: a value, or that the key is deleted.
type Model = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

const PATH: &str = "table.run";

fn disk() -> Arc<dyn Storage> {
    Arc::new(SimStorage::new())
}

fn write(
    storage: &Arc<dyn Storage>,
    path: &str,
    options: RunOptions,
    model: &Model,
) -> Result<RunInfo, RunError> {
    let mut writer = RunWriter::create(Arc::clone(storage), Path::new(path), options)?;
    for (key, value) in model {
        writer.add(key, value.as_deref())?;
    }
    writer.finish()
}

fn open(storage: &Arc<dyn Storage>, path: &str) -> Result<Run, RunError> {
    Run::open(&**storage, Path::new(path))
}

fn written(model: &Model, options: RunOptions) -> Run {
    let storage = disk();
    write(&storage, PATH, options, model).unwrap();
    open(&storage, PATH).unwrap()
}

fn slot(value: &Option<Vec<u8>>) -> Slot<'_> {
    value.as_deref().map_or(Slot::Deleted, Slot::Value)
}

fn aligned(value_align: usize) -> RunOptions {
    RunOptions { value_align, ..RunOptions::default() }
}

/// All bytes of a file.
fn bytes_of(storage: &Arc<dyn Storage>, path: &str) -> Vec<u8> {
    let file = storage.open_read(Path::new(path)).unwrap();
    file.map(0..file.len().unwrap()).unwrap().to_vec()
}

/// A disk on which the run is `bytes`.
fn disk_with(bytes: &[u8]) -> Arc<dyn Storage> {
    let storage = disk();
    storage.create(Path::new(PATH)).unwrap().write_at(0, bytes).unwrap();
    storage
}

/// A model of `count` keys with gaps between them; every seventh is deleted.
fn counted(count: u64) -> Model {
    let entry = |i: u64| {
        let value = (i % 7 != 3).then(|| i.to_le_bytes().to_vec());
        (format!("user-{:012}", i * 2).into_bytes(), value)
    };
    (0..count).map(entry).collect()
}
