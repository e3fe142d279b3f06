//! Opening all partitions of all modules, in steps that each are done for all of them before the next
//! one begins: a start that is refused has changed none.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use gridmill_persistence::planted::{Bug, is_planted};

use crate::error::StartError;
use crate::machine::check::{Checked, Surveyed, check, meet, settle_generations, survey};
use crate::machine::open::{OpenOptions, Opened, begin, enter, open, settle};

use super::slot::Slot;

/// One step of opening a partition, with what the step before it gave.
pub(crate) type StartStep<I, O> = fn(&OpenOptions, I) -> Result<O, StartError>;

/// Behind a pointer, the compiler sees for every caller that a start may move between threads.
pub(crate) type Starting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who does the steps of a start.
pub(crate) trait Opening {
    /// Does a step for each of `slots`, in any order or at once.
    ///
    /// # Errors
    /// That of the first partition whose step failed; what the others gave is dropped, which takes it back.
    fn each<'a, I: Send + 'static, O: Send + 'static>(
        &'a mut self,
        slots: &'a [Slot],
        inputs: Vec<I>,
        step: StartStep<I, O>,
    ) -> Starting<'a, Result<Vec<O>, StartError>>;

    /// Does something that may block.
    fn block<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Starting<'_, io::Result<T>>;
}

/// Opens the partitions of `slots`.
///
/// # Errors
/// That of the first partition that does not open. What the others had got so far is taken back.
pub(crate) async fn open_all(
    slots: &[Slot],
    opening: &mut impl Opening,
) -> Result<Vec<Opened>, StartError> {
    if is_planted(Bug::RefusedStartWrites) {
        let inputs = vec![(); slots.len()];
        return opening.each(slots, inputs, |options, ()| open(options)).await;
    }
    let inputs = vec![(); slots.len()];
    let surveyed = opening.each(slots, inputs, |options, ()| survey(options)).await?;
    let checked = opening.each(slots, with_generations(slots, surveyed), check).await?;
    let checked = together(slots, checked)?;
    let replayed = opening.each(slots, checked, begin).await?;
    let entered = opening.each(slots, replayed, enter).await?;
    let entered = enter_root(slots, entered, opening).await?;
    opening.each(slots, entered, |options, opened| Ok(settle(options, opened))).await
}

/// What each partition has, with the generations that its module's partitions agree on.
fn with_generations(
    slots: &[Slot],
    surveyed: Vec<Surveyed>,
) -> Vec<(Surveyed, Option<Arc<[u32]>>)> {
    let mut surveyed = surveyed.into_iter();
    let mut all = Vec::with_capacity(slots.len());
    for module in slots.chunk_by(same_module) {
        let mine: Vec<Surveyed> = surveyed.by_ref().take(module.len()).collect();
        let generations = settle_generations(&module[0].open.plan, &mine);
        all.extend(mine.into_iter().map(|one| (one, Some(Arc::clone(&generations)))));
    }
    all
}

/// Lets the partitions of each module know what the others have of what they sent.
fn together(slots: &[Slot], checked: Vec<Checked>) -> Result<Vec<Checked>, StartError> {
    let mut checked = checked.into_iter();
    let mut all = Vec::with_capacity(slots.len());
    for module in slots.chunk_by(same_module) {
        let mut mine: Vec<_> = module.iter().map(|slot| &slot.open).zip(checked.by_ref()).collect();
        meet(&mut mine)?;
        all.extend(mine.into_iter().map(|(_, checked)| checked));
    }
    Ok(all)
}

/// The partitions of a module stand together, by number.
fn same_module(one: &Slot, next: &Slot) -> bool {
    one.shared.module == next.shared.module
}

/// Lets the file at the root of the data folder hold the modules: the last that can fail of what a start
/// writes, because from then on their partitions are missed where they are not there.
async fn enter_root(
    slots: &[Slot],
    entered: Vec<Opened>,
    opening: &mut impl Opening,
) -> Result<Vec<Opened>, StartError> {
    let Some(first) = slots.first() else { return Ok(entered) };
    let mut modules: Vec<_> =
        slots.iter().map(|slot| (slot.shared.module, slot.open.partitions)).collect();
    modules.dedup();
    let (root, storage) = (first.open.root.clone(), Arc::clone(&first.open.storage));
    let folder = storage.display(Path::new(""));
    // Where it fails, what the partitions wrote is taken back, where blocking is allowed.
    let enter = move || root.enter(&*storage, &modules).map(|()| entered);
    let held = opening.block(enter).await.and_then(|held| held.map_err(io::Error::other));
    held.map_err(|source| StartError::Folder { folder, source })
}
