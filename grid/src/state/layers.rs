//! The layers of a root: changes in memory over a few immutable runs on disk.

use std::ops::Bound;
use std::sync::Arc;

use gridmill_model::engine::{Changes, Damaged, Found, ReadStore, StoreRange, StoreScan};
use gridmill_model::{Ref, State};
use gridmill_persistence::run::hash_key;
use gridmill_persistence::{Run, Slot};

use super::memtable::{Memtable, MemtableView};
use super::merge::{MergedRange, MergedScan, Source};
use super::room::Room;
use super::table::damaged;

/// What a reader of a root looks through, newest first. Cloning copies three pointers.
#[derive(Debug)]
pub(crate) struct Layers<V> {
    /// What was written since the last flush began.
    open: Arc<MemtableView<V>>,
    /// What a flush is writing to a run.
    frozen: Option<Arc<MemtableView<V>>>,
    runs: Arc<[Run]>,
}

impl<V> Clone for Layers<V> {
    fn clone(&self) -> Self {
        Self {
            open: Arc::clone(&self.open),
            frozen: self.frozen.clone(),
            runs: Arc::clone(&self.runs),
        }
    }
}

impl<V: State> Layers<V> {
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        Self { open: Memtable::start(false), frozen: None, runs: runs.into() }
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// What a flush is writing.
    pub(crate) fn frozen(&self) -> Option<&Arc<MemtableView<V>>> {
        self.frozen.as_ref()
    }

    /// The changes in memory, newest first, as far as older ones count.
    fn cuts(&self) -> impl Iterator<Item = &MemtableView<V>> {
        let frozen = self.frozen.as_deref().filter(|_| !self.open.clears());
        std::iter::once(&*self.open).chain(frozen)
    }

    /// The runs, as far as they count.
    fn counting_runs(&self) -> &[Run] {
        if self.cuts().any(MemtableView::clears) { &[] } else { &self.runs }
    }

    /// About how many bytes of memory the changes take.
    pub(crate) fn weight(&self) -> usize {
        self.open.weight() + self.frozen.as_ref().map_or(0, |frozen| frozen.weight())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<V>, Damaged> {
        self.get_hashed(key, hash_key(key))
    }

    /// [`Layers::get`] for a caller that has the [`hash_key`] of `key` already.
    pub(crate) fn get_hashed(&self, key: &[u8], hash: u64) -> Result<Option<V>, Damaged> {
        match self.get_warm(key, hash) {
            Some(said) => Ok(said),
            None => self.get_cold(key, hash),
        }
    }

    /// What the changes in memory say of an entry, where they say something.
    pub(crate) fn get_warm(&self, key: &[u8], hash: u64) -> Option<Option<V>> {
        self.cuts().find_map(|cut| cut.get(key, hash))
    }

    /// [`Layers::get_warm`] with the value's room.
    pub(crate) fn get_warm_sized(&self, key: &[u8], hash: u64) -> Option<(Option<V>, Room)> {
        let said = self.cuts().find_map(|cut| cut.get_sized(key, hash))?;
        Some(said.map_or((None, Room::default()), |(value, room)| (Some(value), room)))
    }

    /// Whether there is an entry; its value is not decoded.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool, Damaged> {
        let hash = hash_key(key);
        if let Some(said) = self.cuts().find_map(|cut| cut.contains(key, hash)) {
            return Ok(said);
        }
        for run in self.counting_runs() {
            if let Some(slot) = run.get_hashed(key, hash).map_err(damaged)? {
                return Ok(slot != Slot::Deleted);
            }
        }
        Ok(false)
    }

    /// Brings what [`Layers::get`] will look at first for `hashes` into the processor's cache.
    pub(crate) fn warm(&self, hashes: &[u64]) {
        self.cuts().for_each(|cut| cut.warm(hashes));
        for run in self.runs.iter() {
            run.warm(hashes);
        }
    }

    /// What the runs have of an entry of which the changes in memory say nothing.
    pub(crate) fn get_cold(&self, key: &[u8], hash: u64) -> Result<Option<V>, Damaged> {
        for run in self.counting_runs() {
            match run.get_hashed(key, hash).map_err(damaged)? {
                Some(Slot::Value(bytes)) => return decode(run, bytes).map(Some),
                Some(Slot::Deleted) => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// One entry, whose value is left where it lies.
    pub(crate) fn look(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Damaged> {
        let hash = hash_key(key);
        if let Some(said) = self.cuts().find_map(|cut| cut.get(key, hash)) {
            return Ok(said.map(Found::Made));
        }
        for run in self.counting_runs() {
            match run.look_hashed(key, hash).map_err(damaged)? {
                Some(Slot::Value(bytes)) => return found(run, bytes).map(Some),
                Some(Slot::Deleted) => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// All entries in `from..to`, in key order, whose values are left where they lie.
    pub(crate) fn scan<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> MergedScan<'a, V> {
        let runs = self.counting_runs().iter().map(|run| Source::unread(run, from, to));
        MergedScan::new(self.sources(None, from, to).chain(runs).collect())
    }

    /// All entries in `from..to`, in key order, under `top` (changes newer than every layer).
    pub(crate) fn range<'a>(
        &'a self,
        top: Option<Source<'a, V>>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> MergedRange<'a, V> {
        let runs = self.counting_runs().iter().map(|run| Source::run(run, from, to));
        MergedRange::new(self.sources(top, from, to).chain(runs).collect())
    }

    /// What lies in memory of `from..to`, newest first.
    fn sources<'a>(
        &'a self,
        top: Option<Source<'a, V>>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = Source<'a, V>> {
        let mut sources: Vec<Source<'a, V>> = top.into_iter().collect();
        for cut in self.cuts() {
            let lists = cut.sorted().iter();
            sources.extend(lists.map(|list| Source::entries(cut, list, from, to)));
        }
        sources.into_iter()
    }

    /// Layers to which a batch of `count` entries can be added: with `clears`, everything older is
    /// gone.
    pub(crate) fn opened(&self, count: usize, clears: bool) -> Self {
        let open = if clears { Memtable::start(true) } else { self.open.with_room(count) };
        self.with_open(open)
    }

    /// The changes that can be added to, and their cut.
    pub(crate) fn open(&self) -> &Arc<MemtableView<V>> {
        &self.open
    }

    /// The layers after a batch was added.
    pub(crate) fn with_open(&self, open: Arc<MemtableView<V>>) -> Self {
        Self { open, ..self.clone() }
    }

    /// All present changes frozen, for a flush.
    pub(crate) fn freeze(&self) -> Self {
        if self.open.is_empty() {
            return self.clone();
        }
        let frozen = Some(Arc::clone(&self.open));
        Self { open: Memtable::start(false), frozen, runs: Arc::clone(&self.runs) }
    }

    /// The frozen changes live on: their flush failed.
    pub(crate) fn rejoin(&self) -> Self {
        let open = match &self.frozen {
            Some(frozen) if self.open.is_empty() => Arc::clone(frozen),
            Some(frozen) if !self.open.clears() => {
                frozen.with_room(self.open.keys()).with(&self.open)
            }
            _ => Arc::clone(&self.open),
        };
        Self { open, frozen: None, runs: Arc::clone(&self.runs) }
    }

    /// The layers after the frozen changes were written into `run`. With `cleared`, the older runs are
    /// gone.
    pub(crate) fn install(&self, run: Option<Run>, cleared: bool) -> Self {
        let older = if cleared { &[] } else { &self.runs[..] };
        let runs = run.into_iter().chain(older.iter().cloned()).collect();
        Self { open: Arc::clone(&self.open), frozen: None, runs }
    }

    /// The layers after `merged` became `run`. A flush may have put runs before them meanwhile, or have
    /// made them void.
    pub(crate) fn replace_runs(&self, merged: &[Run], run: Option<Run>) -> Self {
        let mut runs = self.runs.to_vec();
        let same = |window: &[Run]| {
            window.iter().zip(merged).all(|(one, other)| one.file() == other.file())
        };
        if let Some(first) = self.runs.windows(merged.len().max(1)).position(same) {
            runs.splice(first..first + merged.len(), run);
        }
        Self { runs: runs.into(), ..self.clone() }
    }
}

/// Reads an archived value.
pub(crate) fn decode<V: State>(run: &Run, bytes: &[u8]) -> Result<V, Damaged> {
    V::unarchive(bytes).map_err(|error| super::table::undecodable(run, &error))
}

/// An archived value where it lies; decoded, where it cannot be read in place.
pub(crate) fn found<'a, V: State>(run: &'a Run, bytes: &'a [u8]) -> Result<Found<'a, V>, Damaged> {
    if let Some(cold) = super::table::archive(run, bytes).root::<V>() {
        return Ok(Found::Cold(cold));
    }
    run.verify_part(bytes).map_err(damaged)?;
    decode(run, bytes).map(Found::Made)
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
        Ok(self.layers.get(key)?.map(Ref::Owned))
    }

    fn look(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Damaged> {
        self.layers.look(key)
    }

    fn scan<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreScan<'a, V>
    where
        V: 'a,
    {
        Box::new(self.layers.scan(from, to))
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

    fn changes(&self) -> Vec<Changes> {
        let layers = &self.layers;
        let memtables = layers.frozen.iter().chain([&layers.open]);
        memtables.map(|memtable| memtable.changes()).collect()
    }
}
