//! One PState on one partition: its root as handlers borrow it, over the store that keeps it.
//!
//! A keyed root (`Map<K, V>`) is lent with the overlay inside. Any other root is one value, kept
//! under the empty key. [`Cell`] is the face that the engine uses without knowing the type.

use std::any::Any;
use std::ops::Bound;
use std::sync::Arc;

use gridmill_client::engine::ViewRoot;
use gridmill_model::engine::{Damaged, ReadStore, RootStore};
use gridmill_model::{Key, PState, Ref, Root, State};
use gridmill_persistence::Run;
use gridmill_persistence::run::KEY_BYTES_MAX;

use crate::panics::caught;

use super::cache::Fetch;
use super::flush::{Frozen, FrozenRoot};
use super::layers::{Layers, View};
use super::marks::{Mark, Marks, ScopeId};
use super::memtable::MemtableView;
use super::overlay::{Excess, Overlay, excess_of};
use super::room::Room;

/// A published root, type erased: an `Arc<ViewRoot<R::Value>>`.
pub(crate) type AnyView = Arc<dyn Any + Send + Sync>;

/// How many keys of a PState's oldest run are asked where they belong when a partition is opened.
const KEYS_ASKED: usize = 8;

/// Where entries take more bytes than this, on average, only the ends of runs are asked: a start reads little.
const ASKED_BYTES_MAX: u64 = 2 << 10;

/// Where a cell lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellPlace {
    pub(crate) partition: u32,
    /// Partitions of the PState.
    pub(crate) partitions: u32,
    /// Bytes, about, that the writer's cache may take.
    pub(crate) cache_bytes: usize,
}

/// What a handler may not do to a PState.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error(
        "the value under key {key} of PState `{pstate}` takes {bytes} bytes, at most {limit} are \
         allowed; spread it over more keys, or raise `value_bytes_max` (up to 32 MiB)"
    )]
    TooLarge { pstate: String, key: String, bytes: usize, limit: usize },
    #[error(
        "the key {key} of PState `{pstate}` has {bytes} bytes, at most {limit} are allowed; use a \
         shorter one, such as a hash of it"
    )]
    LongKey { pstate: String, key: String, bytes: usize, limit: usize },
    #[error(
        "key {key} of PState `{pstate}` belongs to partition {home}, but the handler runs on \
         partition {partition}, where readers would not find it; append such events to a depot that \
         is partitioned by the same key, or declare the PState `.local()`"
    )]
    Elsewhere { pstate: String, key: String, home: u32, partition: u32 },
    #[error(
        "the function that partitions PState `{pstate}` panics for key {key}; let it answer for every \
         key"
    )]
    Nowhere { pstate: String, key: String },
}

/// Changes that no new view shows any more. To drop the last hold on them takes long.
pub(crate) trait LetGo: Send {
    /// Whether nobody else holds them.
    fn is_last(&self) -> bool;
    /// About how many bytes of memory they take.
    fn weight(&self) -> usize;
}

/// What is to be dropped on another thread once it is the last.
pub(crate) type Spent = Box<dyn LetGo>;

impl<V: State> LetGo for Arc<MemtableView<V>> {
    fn is_last(&self) -> bool {
        Arc::strong_count(self) == 1 && MemtableView::is_last(self)
    }

    fn weight(&self) -> usize {
        MemtableView::weight(self)
    }
}

/// How far an undo got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The record is undone.
    Record,
    /// The handler assigned the root, so that what earlier records of the batch did is lost: roll
    /// the batch back and run it again with a seal after each record.
    Lost,
}

/// What the engine asks of a PState's partition.
pub(crate) trait Cell: Send {
    /// Brings something of the entries with these hashes, if there are any, into the processor's
    /// cache.
    fn fetch(&mut self, hashes: &[u64], fetch: Fetch);
    /// Starts a record that [`Cell::rollback_record`] can undo.
    fn begin_record(&mut self) -> Result<(), Damaged>;
    /// Keeps what the record did.
    fn commit_record(&mut self) -> Result<(), Damaged>;
    fn rollback_record(&mut self) -> Result<Undone, Damaged>;
    fn rollback_batch(&mut self) -> Result<(), Damaged>;
    /// Puts what handlers did to the root where [`Cell::seal`] finds it; refuses values over `limit`.
    fn check(&mut self, limit: usize) -> Result<Result<(), Violation>, Damaged>;
    /// The first of some stored keys that readers would look for on another partition.
    fn misplaced(&self) -> Option<Violation>;
    /// Makes what was done since the last seal the newest layer.
    fn seal(&mut self) -> Result<(), Damaged>;
    /// Watches entries of the root from now on, or no longer.
    fn mark(&mut self, mark: &Mark);
    /// Adds what was touched of what is watched, by batches that were sealed since this was asked last.
    fn take_hits(&mut self, into: &mut Vec<ScopeId>);
    /// The root as of the last seal.
    fn view(&mut self) -> AnyView;
    /// Entries of the root as of the last seal.
    fn len(&self) -> u64;
    /// About how many bytes of memory its layers take.
    fn weight(&self) -> usize;
    /// The heap bytes of the largest value that was sealed since this was asked last.
    fn take_largest(&mut self) -> usize;
    fn runs(&self) -> &[Run];
    /// Sets the sealed changes aside to be written out; [`Cell::install`] or [`Cell::rejoin`] follows.
    fn freeze(&mut self) -> Box<dyn Frozen>;
    /// Puts what was written in the place of the changes that were set aside; returns those.
    fn install(&mut self, run: Option<Run>, cleared: bool) -> Option<Spent>;
    fn rejoin(&mut self);
    /// Puts what `merged` were merged into in their places, where they still stand side by side.
    fn replace_runs(&mut self, merged: &[Run], run: Option<Run>);
    /// A number that tells apart what batches did, for the check that handlers are deterministic.
    /// To be called after [`Cell::check`].
    fn changed_digest(&mut self) -> Result<u64, Damaged>;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// The cell of a PState with root `R`.
pub(crate) struct RootCell<R: Root> {
    pstate: PState<R>,
    place: CellPlace,
    /// What handlers borrow. A keyed root holds the overlay while no handler took it out.
    root: R,
    /// The store of a root that is one value; for a keyed root it lies in `root`.
    single: Option<Overlay<R::Value>>,
    /// The overlay of a keyed root, to tell whether a handler put another root in its place.
    id: u64,
    /// Layers as of the last seal, from which a lost overlay is made again.
    sealed: Layers<R::Value>,
    sealed_len: u64,
    /// The published form of `sealed`, made when somebody asks.
    view: Option<AnyView>,
    /// What is watched, if anything.
    marks: Option<Box<Marks>>,
}

impl<R: Root> RootCell<R> {
    pub(crate) fn new(
        pstate: PState<R>,
        place: CellPlace,
        runs: Vec<Run>,
        len: u64,
    ) -> Result<Self, Damaged> {
        let fresh = runs.is_empty() && len == 0;
        let mut cell = Self {
            pstate,
            place,
            root: pstate.initial_value(),
            single: None,
            id: 0,
            sealed: Layers::new(runs),
            sealed_len: len,
            view: None,
            marks: None,
        };
        cell.reset()?;
        if fresh {
            cell.start_from_initial()?;
        }
        Ok(cell)
    }

    /// A fresh PState of entries begins with those of its initial value that readers look for here.
    fn start_from_initial(&mut self) -> Result<(), Damaged> {
        let (pstate, CellPlace { partition, partitions, .. }) = (self.pstate, self.place);
        let everywhere = pstate.is_global() || pstate.is_local();
        if R::KEYED
            && let Some(overlay) = self.overlay()
        {
            for (key, value) in pstate.initial_value().into_entries() {
                if everywhere || home(&pstate, &key, partitions) == Some(partition) {
                    *overlay.slot_mut(&key)? = Some(value);
                }
            }
        }
        self.seal()
    }

    /// The root, for a handler.
    pub(crate) fn lend(&mut self) -> &mut R {
        &mut self.root
    }

    /// Makes the root anew from the sealed layers.
    fn reset(&mut self) -> Result<(), Damaged> {
        let overlay = Overlay::new(self.sealed.clone(), self.sealed_len, self.place.cache_bytes);
        if R::KEYED {
            self.id = overlay.id();
            if let Some(root) = R::from_store(Box::new(overlay)) {
                self.root = root;
            }
            return Ok(());
        }
        let value = self.sealed.get(&[])?;
        self.root = self.single_root(value);
        self.single = Some(overlay);
        Ok(())
    }

    /// The root that is one value: the value itself.
    fn single_root(&self, value: Option<R::Value>) -> R {
        let value = value.as_ref().and_then(|value| (value as &dyn Any).downcast_ref::<R>());
        value.cloned().unwrap_or_else(|| self.pstate.initial_value())
    }

    fn set_layers(&mut self, layers: Layers<R::Value>) {
        self.sealed = layers.clone();
        self.view = None;
        if let Some(overlay) = self.overlay() {
            overlay.set_layers(layers);
        }
    }

    fn overlay(&mut self) -> Option<&mut Overlay<R::Value>> {
        if !R::KEYED {
            return self.single.as_mut();
        }
        let id = self.id;
        let overlay = self.root.store_mut()?.as_any_mut().downcast_mut::<Overlay<R::Value>>()?;
        (overlay.id() == id).then_some(overlay)
    }

    /// Finds out whether a handler assigned the root. What it assigned replaces all entries.
    fn notice_assignment(&mut self) -> Result<(), Damaged> {
        if !R::KEYED {
            return self.store_single();
        }
        if self.overlay().is_some() {
            return Ok(());
        }
        let assigned = std::mem::replace(&mut self.root, self.pstate.initial_value());
        let entries = assigned.into_entries();
        self.reset()?;
        let Some(overlay) = self.overlay() else { return Ok(()) };
        overlay.clear();
        for (key, value) in entries {
            *overlay.slot_mut(&key)? = Some(value);
        }
        Ok(())
    }

    /// Copies a root that is one value into its store, where it changed.
    fn store_single(&mut self) -> Result<(), Damaged> {
        let Some(single) = self.single.as_mut() else { return Ok(()) };
        let now = (&self.root as &dyn Any).downcast_ref::<R::Value>();
        let same = match (single.get(&[])?, now) {
            // What it holds is not compared: that would take as long as it is large.
            (Some(Ref::Borrowed(stored)), Some(now)) => stored.is_same(now),
            // As reading it just did.
            (Some(Ref::Owned(stored)), Some(now)) => stored.is_same(now) || stored == *now,
            (stored, now) => stored.is_none() && now.is_none(),
        };
        if !same {
            *single.slot_mut(&[])? = now.cloned();
        }
        Ok(())
    }
}

impl<R: Root> Cell for RootCell<R> {
    fn fetch(&mut self, hashes: &[u64], fetch: Fetch) {
        if R::KEYED
            && let Some(overlay) = self.overlay()
        {
            overlay.fetch(hashes, fetch);
        }
    }

    fn begin_record(&mut self) -> Result<(), Damaged> {
        // Records before this one, of handlers that never refuse, left what they did in the root.
        self.notice_assignment()?;
        if let Some(overlay) = self.overlay() {
            overlay.begin_record();
        }
        Ok(())
    }

    fn commit_record(&mut self) -> Result<(), Damaged> {
        self.notice_assignment()?;
        if let Some(overlay) = self.overlay() {
            overlay.commit_record();
        }
        Ok(())
    }

    fn rollback_record(&mut self) -> Result<Undone, Damaged> {
        let Some(overlay) = self.overlay() else { return Ok(Undone::Lost) };
        overlay.rollback_record();
        if !R::KEYED {
            let value = overlay.get(&[])?.map(Ref::into_owned);
            self.root = self.single_root(value);
        }
        Ok(Undone::Record)
    }

    fn rollback_batch(&mut self) -> Result<(), Damaged> {
        self.reset()
    }

    fn check(&mut self, limit: usize) -> Result<Result<(), Violation>, Damaged> {
        self.notice_assignment()?;
        let (pstate, place) = (self.pstate, self.place);
        let Some(overlay) = self.overlay() else { return Ok(Ok(())) };
        if let Some(excess) = overlay.excess(limit) {
            return Ok(Err(violation(&pstate, &excess, limit)));
        }
        if R::KEYED && !pstate.is_global() && !pstate.is_local() {
            // Entries that are there already are where they are: each is asked about once.
            let misplaced = overlay.made().find_map(|key| misplaced(&pstate, place, key));
            return Ok(misplaced.map_or(Ok(()), Err));
        }
        Ok(Ok(()))
    }

    fn misplaced(&self) -> Option<Violation> {
        if !R::KEYED || self.pstate.is_local() {
            return None;
        }
        // One without entries, of a root that was emptied, has no first and last key.
        let filled = self.sealed.runs().iter().filter(|run| !run.is_empty());
        let ends = filled.flat_map(|run| [run.min_key(), run.max_key()]);
        // What cannot be read is named by who needs it.
        let small = |run: &&Run| run.bytes() / run.len().max(1) <= ASKED_BYTES_MAX;
        let oldest = self.sealed.runs().last().filter(small).into_iter();
        let first = oldest.flat_map(|run| run.range(Bound::Unbounded, Bound::Unbounded));
        let first = first.take(KEYS_ASKED).map_while(Result::ok).map(|(key, _)| key);
        ends.chain(first).find_map(|key| misplaced(&self.pstate, self.place, key))
    }

    fn changed_digest(&mut self) -> Result<u64, Damaged> {
        let before = self.sealed.clone();
        match self.overlay() {
            Some(overlay) => super::digest::of_changed(overlay.touched(), &before),
            None => Ok(0),
        }
    }

    fn seal(&mut self) -> Result<(), Damaged> {
        self.notice_assignment()?;
        let mut marks = self.marks.take();
        if let Some(overlay) = self.overlay()
            && !overlay.is_clean()
        {
            overlay.seal(marks.as_deref_mut());
            let (layers, len) = (overlay.layers().clone(), overlay.sealed_len());
            (self.sealed, self.sealed_len) = (layers, len);
            self.view = None;
        }
        self.marks = marks;
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) {
        let marks = self.marks.get_or_insert_default();
        match mark.enters {
            true => marks.enter(mark.scope, &mark.what),
            false => marks.leave(mark.scope, &mark.what),
        }
        if marks.is_empty() {
            self.marks = None;
        }
    }

    fn take_hits(&mut self, into: &mut Vec<ScopeId>) {
        self.marks.iter_mut().for_each(|marks| marks.take_hits(into));
    }

    fn view(&mut self) -> AnyView {
        let (layers, len) = (&self.sealed, self.sealed_len);
        let publish = || -> AnyView {
            Arc::new(ViewRoot::<R::Value>(Box::new(View::new(layers.clone(), len))))
        };
        Arc::clone(self.view.get_or_insert_with(publish))
    }

    fn len(&self) -> u64 {
        self.sealed_len
    }

    fn weight(&self) -> usize {
        self.sealed.weight()
    }

    fn take_largest(&mut self) -> usize {
        self.overlay().map_or(0, |overlay| overlay.take_largest())
    }

    fn runs(&self) -> &[Run] {
        self.sealed.runs()
    }

    fn freeze(&mut self) -> Box<dyn Frozen> {
        self.set_layers(self.sealed.freeze());
        Box::new(FrozenRoot::new(self.sealed.clone(), R::schema().fingerprint()))
    }

    fn install(&mut self, run: Option<Run>, cleared: bool) -> Option<Spent> {
        let spent = self.sealed.frozen().cloned();
        self.set_layers(self.sealed.install(run, cleared));
        spent.map(|spent| -> Spent { Box::new(spent) })
    }

    fn rejoin(&mut self) {
        self.set_layers(self.sealed.rejoin());
    }

    fn replace_runs(&mut self, merged: &[Run], run: Option<Run>) {
        self.set_layers(self.sealed.replace_runs(merged, run));
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Whether what a PState begins with may be kept: what handlers make is checked when they made it.
pub(crate) fn check_initial<R: Root>(pstate: PState<R>, limit: usize) -> Result<(), Violation> {
    for (key, value) in pstate.initial_value().into_entries() {
        let excess = excess_of(&key, Room::of(Some(&value)).archive_len::<R::Value>(), limit);
        excess.map_or(Ok(()), |excess| Err(violation(&pstate, &excess, limit)))?;
    }
    Ok(())
}

/// What a handler or a declaration is told.
fn violation<R: Root>(pstate: &PState<R>, excess: &Excess, limit: usize) -> Violation {
    let pstate = pstate.name().to_owned();
    match excess {
        Excess::Value(key, bytes) => {
            Violation::TooLarge { pstate, key: show::<R>(key), bytes: *bytes, limit }
        }
        Excess::Key(key) => {
            let (bytes, limit) = (key.len(), KEY_BYTES_MAX);
            Violation::LongKey { pstate, key: show::<R>(key), bytes, limit }
        }
    }
}

/// How many characters of a key a message shows.
const SHOWN_MAX: usize = 200;

/// A key as its type shows it; its bytes where they cannot be decoded. A long one is cut.
fn show<R: Root>(key: &[u8]) -> String {
    let shown = match R::Key::decode_key(key) {
        Ok(key) => format!("{key:?}"),
        Err(_) => format!("{key:02x?}"),
    };
    match shown.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}..", &shown[..end]),
        None => shown,
    }
}

/// Whether readers look for a key on another partition than this.
fn misplaced<R: Root>(pstate: &PState<R>, place: CellPlace, key: &[u8]) -> Option<Violation> {
    let asked = || if pstate.is_global() { Some(0) } else { home(pstate, key, place.partitions) };
    // What chooses the partition may be code of the user.
    let home = caught(asked);
    let name = || pstate.name().to_owned();
    match home {
        Some(None) => None,
        Some(Some(home)) if home == place.partition => None,
        Some(Some(home)) => Some(Violation::Elsewhere {
            pstate: name(),
            key: show::<R>(key),
            home,
            partition: place.partition,
        }),
        None => Some(Violation::Nowhere { pstate: name(), key: show::<R>(key) }),
    }
}

/// The partition on which readers look for a key.
fn home<R: Root>(pstate: &PState<R>, key: &[u8], partitions: u32) -> Option<u32> {
    let key = R::Key::decode_key(key).ok()?;
    Some(match pstate.partitioner() {
        Some(partitioner) => partitioner(&key, partitions),
        None => key.route().partition(partitions),
    })
}
