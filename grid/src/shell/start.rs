//! Opening all partitions of all modules, in steps that each are done for all of them before the next
//! one begins: a start that is refused has changed none.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::StartError;
use crate::partition::check::check;
use crate::partition::open::{OpenOptions, Opened, begin, enter, settle};

use super::supervisor::Slot;

/// Opens the partitions of `slots`, each on its thread.
///
/// # Errors
/// That of the first partition that does not open. What the others had got so far is taken back.
pub(crate) async fn open_all(slots: &[Slot]) -> Result<Vec<Opened>, StartError> {
    let checked = on_all(slots, vec![(); slots.len()], |options, ()| check(options)).await?;
    let replayed = on_all(slots, checked, begin).await?;
    let entered = on_all(slots, replayed, enter).await?;
    let entered = enter_root(slots, entered).await?;
    on_all(slots, entered, |options, opened| Ok(settle(options, opened))).await
}

/// Lets the file at the root of the data folder hold the modules: the last that can fail of what a start
/// writes, because from then on their partitions are missed where they are not there.
async fn enter_root(slots: &[Slot], entered: Vec<Opened>) -> Result<Vec<Opened>, StartError> {
    let Some(first) = slots.first() else { return Ok(entered) };
    let mut modules: Vec<_> =
        slots.iter().map(|slot| (slot.shared.module, slot.open.partitions)).collect();
    modules.dedup();
    let (root, storage) = (first.open.root.clone(), Arc::clone(&first.open.storage));
    let folder = storage.display(Path::new(""));
    // Where it fails, what the partitions wrote is taken back, on a thread that may block.
    let enter = move || root.enter(&*storage, &modules).map(|()| entered);
    let held = match first.worker.spawn_blocking(enter).await {
        Ok(held) => held.map_err(io::Error::other),
        Err(error) => Err(io::Error::other(error)),
    };
    held.map_err(|source| StartError::Folder { folder, source })
}

/// Does one step for all partitions, on threads that may block.
async fn on_all<I: Send + 'static, O: Send + 'static>(
    slots: &[Slot],
    inputs: Vec<I>,
    step: fn(&OpenOptions, I) -> Result<O, StartError>,
) -> Result<Vec<O>, StartError> {
    let mut running = Vec::new();
    for (slot, input) in slots.iter().zip(inputs) {
        let options = slot.open.clone();
        running.push(slot.worker.spawn_blocking(move || step(&options, input)));
    }
    let (mut done, mut failed) = (Vec::new(), None);
    for (slot, running) in slots.iter().zip(running) {
        let ended = running.await.unwrap_or_else(|error| {
            let (module, partition) = (slot.shared.module.to_owned(), slot.shared.partition);
            Err(StartError::Partition { module, partition, message: error.to_string() })
        });
        match ended {
            Ok(output) => done.push(output),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let Some(error) = failed else { return Ok(done) };
    if let Some(first) = slots.first() {
        // To take back what was done is work for a thread that may block.
        let _ = first.worker.spawn_blocking(move || drop(done)).await;
    }
    Err(error)
}
