//! Writing the changes of a root out: a frozen memtable becomes one run, small runs become one larger.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_model::State;
use gridmill_model::archive::ArchiveBuf;
use gridmill_persistence::run::MergedRange;
use gridmill_persistence::{Run, RunError, RunOptions, RunWriter, Slot, Storage};

use super::layers::Layers;

/// What a flush of one root produced.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// The run, unless nothing was left to write.
    pub(crate) run: Option<Run>,
    /// Whether the older runs of the root are void.
    pub(crate) cleared: bool,
}

/// Sealed changes of one root, ready to be written on another thread.
pub(crate) trait Frozen: Send {
    /// Whether there is anything to write.
    fn is_empty(&self) -> bool;
    /// Writes the run `path` and opens it.
    fn write(
        &self,
        storage: &Arc<dyn Storage>,
        path: &Path,
        stamp: Stamp,
    ) -> Result<Flushed, FlushError>;
}

/// What a run says of where it comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamp {
    /// The log position that it covers.
    pub(crate) covers: u64,
    /// Who wrote it.
    pub(crate) note: Vec<u8>,
}

/// Why a flush failed. The changes stay in memory, the log keeps its tail: nothing is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlushError {
    #[error("a value cannot be archived: {0}")]
    Archive(#[from] gridmill_model::archive::ArchiveError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("it was told to stop")]
    Cancelled,
}

pub(crate) struct FrozenRoot<V> {
    layers: Layers<V>,
    schema: u64,
}

impl<V: State> FrozenRoot<V> {
    pub(crate) fn new(layers: Layers<V>, schema: u64) -> Self {
        Self { layers, schema }
    }
}

impl<V: State> Frozen for FrozenRoot<V> {
    fn is_empty(&self) -> bool {
        self.layers.frozen().is_none_or(|frozen| frozen.is_empty())
    }

    fn write(
        &self,
        storage: &Arc<dyn Storage>,
        path: &Path,
        stamp: Stamp,
    ) -> Result<Flushed, FlushError> {
        let Some(frozen) = self.layers.frozen() else {
            return Ok(Flushed { run: None, cleared: false });
        };
        let cleared = frozen.clears();
        let oldest = cleared || self.layers.runs().is_empty();
        let sorted = frozen.sorted_at_once();
        let entries_hint = sorted.len() as u64;
        let options = RunOptions {
            schema: self.schema,
            value_align: V::ARCHIVE_ALIGN,
            entries_hint,
            covers: stamp.covers,
            user: stamp.note,
        };
        let mut writer = RunWriter::create(Arc::clone(storage), path, options)?;
        let mut archive = ArchiveBuf::default();
        let mut written = 0u64;
        for (at, spot) in sorted.iter().enumerate() {
            frozen.fetch_ahead(&sorted, at);
            let entry = frozen.entry(*spot);
            let filled = frozen
                .read(entry, |value| value.map(|value| value.archive(&mut archive)).transpose());
            // What the cut does not see came after it.
            let Some(filled) = filled.transpose()? else { continue };
            match filled {
                Some(()) => writer.add(entry.key(), Some(archive.as_slice()))?,
                None if oldest => continue,
                None => writer.add(entry.key(), None)?,
            }
            written += 1;
        }
        // A root that was emptied gets a run without entries: with none it would count as fresh, and
        // its initial value would come back.
        if written == 0 && !oldest {
            return Ok(Flushed { run: None, cleared });
        }
        writer.finish()?;
        Ok(Flushed { run: Some(Run::open(&**storage, path)?), cleared })
    }
}

/// Merges `runs` (newest first) into the run `path`, until `cancel` says otherwise. A deletion vanishes
/// only when the oldest run of the root takes part.
pub(crate) fn merge_runs(
    storage: &Arc<dyn Storage>,
    path: PathBuf,
    runs: &[Run],
    oldest: bool,
    cancel: &AtomicBool,
    note: Vec<u8>,
) -> Result<Option<Run>, FlushError> {
    let Some(newest) = runs.first() else { return Ok(None) };
    let options = RunOptions {
        schema: newest.schema(),
        value_align: runs.iter().map(Run::value_align).fold(1, usize::max),
        entries_hint: runs.iter().map(Run::len).sum(),
        covers: newest.covers(),
        user: note,
    };
    let mut writer = RunWriter::create(Arc::clone(storage), &path, options)?;
    for item in MergedRange::of_runs(runs) {
        if cancel.load(Ordering::Relaxed) {
            return Err(FlushError::Cancelled);
        }
        let (key, slot) = item?;
        if !(oldest && slot == Slot::Deleted) {
            writer.add(key, slot.value())?;
        }
    }
    writer.finish()?;
    Ok(Some(Run::open(&**storage, &path)?))
}
