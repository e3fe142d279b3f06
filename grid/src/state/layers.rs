//! The layers of a root: a few immutable deltas in memory over a few immutable runs on disk.

use std::ops::Bound;
use std::sync::Arc;

use gridmill_model::engine::{Damaged, ReadStore, StoreRange};
use gridmill_model::{Ref, State};
use gridmill_persistence::run::hash_key;
use gridmill_persistence::{Run, Slot};

use super::delta::Delta;
use super::merge::{MergedRange, Source};
use super::table::damaged;

/// Merging stops where the older delta is this many times larger: every entry is then merged
/// O(log n) times, and a reader meets O(log n) deltas.
const MERGE_RATIO: usize = 3;

/// What a reader of a root looks through, newest first. Cloning copies two pointers.
#[derive(Debug)]
pub(crate) struct Layers<V> {
    deltas: Arc<[Arc<Delta<V>>]>,
    /// How many of the oldest deltas are being written to a run.
    frozen: usize,
    runs: Arc<[Run]>,
}

impl<V> Clone for Layers<V> {
    fn clone(&self) -> Self {
        Self { deltas: Arc::clone(&self.deltas), frozen: self.frozen, runs: Arc::clone(&self.runs) }
    }
}

impl<V: State> Layers<V> {
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        Self { deltas: Arc::new([]), frozen: 0, runs: runs.into() }
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(crate) fn deltas(&self) -> &[Arc<Delta<V>>] {
        &self.deltas
    }

    /// About how many bytes of memory the deltas take.
    pub(crate) fn weight(&self) -> usize {
        self.deltas.iter().map(|delta| delta.weight()).sum()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        self.get_hashed(key, hash_key(key))
    }

    /// [`Layers::get`] for a caller that has the [`hash_key`] of `key` already.
    pub(crate) fn get_hashed(&self, key: &[u8], hash: u64) -> Result<Option<Ref<'_, V>>, Damaged> {
        for delta in self.deltas.iter() {
            if let Some(value) = delta.get(key, hash) {
                return Ok(value.as_ref().map(Ref::Borrowed));
            }
            if delta.clears() {
                return Ok(None);
            }
        }
        self.get_cold(key, hash)
    }

    /// Whether there is an entry; its value is not decoded.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool, Damaged> {
        let hash = hash_key(key);
        for delta in self.deltas.iter() {
            if let Some(value) = delta.get(key, hash) {
                return Ok(value.is_some());
            }
            if delta.clears() {
                return Ok(false);
            }
        }
        for run in self.runs.iter() {
            if let Some(slot) = run.get_hashed(key, hash).map_err(damaged)? {
                return Ok(slot != Slot::Deleted);
            }
        }
        Ok(false)
    }

    /// Brings what [`Layers::get`] will look at for `hashes` into the processor's cache, as far as
    /// it lies in runs: deltas are small.
    pub(crate) fn warm(&self, hashes: &[u64]) {
        for run in self.runs.iter() {
            run.warm(hashes);
        }
    }

    fn get_cold(&self, key: &[u8], hash: u64) -> Result<Option<Ref<'_, V>>, Damaged> {
        for run in self.runs.iter() {
            match run.get_hashed(key, hash).map_err(damaged)? {
                Some(Slot::Value(bytes)) => return Ok(Some(Ref::Owned(decode(run, bytes)?))),
                Some(Slot::Deleted) => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// All entries in `from..to`, in key order, under `top` (changes newer than every layer).
    pub(crate) fn range<'a>(
        &'a self,
        top: Option<Source<'a, V>>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> MergedRange<'a, V> {
        let mut sources: Vec<Source<'a, V>> = top.into_iter().collect();
        for delta in self.deltas.iter() {
            sources.push(Source::delta(delta, from, to));
            if delta.clears() {
                return MergedRange::new(sources);
            }
        }
        sources.extend(self.runs.iter().map(|run| Source::run(run, from, to)));
        MergedRange::new(sources)
    }

    /// Puts `delta` on top and merges it with its neighbours while they are of similar size. Frozen
    /// deltas are being written out and stay as they are.
    pub(crate) fn push(&self, delta: Delta<V>) -> Self {
        let mut top = delta;
        let open = self.deltas.len() - self.frozen;
        let mut merged = 0;
        while merged < open {
            let next = &self.deltas[merged];
            if next.len() >= MERGE_RATIO * top.len().max(1) {
                break;
            }
            top = Delta::merge(&top, next);
            merged += 1;
        }
        let rest = self.deltas[merged..].iter().cloned();
        Self {
            deltas: std::iter::once(Arc::new(top)).chain(rest).collect(),
            frozen: self.frozen,
            runs: Arc::clone(&self.runs),
        }
    }

    /// All present deltas frozen, for a fold.
    pub(crate) fn freeze(&self) -> Self {
        Self { frozen: self.deltas.len(), ..self.clone() }
    }

    /// The frozen deltas live on: their fold failed.
    pub(crate) fn thaw(&self) -> Self {
        Self { frozen: 0, ..self.clone() }
    }

    /// The layers after the frozen deltas were written into `run`. With `cleared`, the older runs are
    /// gone.
    pub(crate) fn unfreeze(&self, run: Option<Run>, cleared: bool) -> Self {
        let keep = self.deltas.len() - self.frozen;
        let older = if cleared { &[] } else { &self.runs[..] };
        let runs: Vec<Run> = run.into_iter().chain(older.iter().cloned()).collect();
        let deltas = self.deltas[..keep].iter().cloned().collect();
        Self { deltas, frozen: 0, runs: runs.into() }
    }

    /// The layers after the `count` runs from `first` on were merged into `run`.
    pub(crate) fn replace_runs(&self, first: usize, count: usize, run: Option<Run>) -> Self {
        let mut runs = self.runs.to_vec();
        runs.splice(first..first + count, run);
        Self { runs: runs.into(), ..self.clone() }
    }
}

/// Reads an archived value.
pub(crate) fn decode<V: State>(run: &Run, bytes: &[u8]) -> Result<V, Damaged> {
    V::unarchive(bytes).map_err(|error| super::table::undecodable(run, &error))
}

/// A published root: layers that nobody changes, and how many entries they have.
pub(crate) struct View<V> {
    layers: Layers<V>,
    len: u64,
}

impl<V: State> View<V> {
    pub(crate) fn new(layers: Layers<V>, len: u64) -> Self {
        Self { layers, len }
    }
}

impl<V: State> ReadStore<V> for View<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        self.layers.get(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool, Damaged> {
        self.layers.contains(key)
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V> {
        Box::new(self.layers.range(None, from, to))
    }
}
