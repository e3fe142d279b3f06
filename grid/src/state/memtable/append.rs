//! Adding a batch to a memtable.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use gridmill_model::{KeyBytes, State};

use super::super::room::Room;
use super::blocks::{BLOCK_MAX, Spot};
use super::entry::Entry;
use super::versions::{Block, Version, version_bytes};
use super::{Memtable, MemtableView, Writer};
use crate::sync::MutexGuard;

/// A batch drops this many times as many versions as it adds at most, so that what piled up behind a
/// reader who took long does not hold up one batch alone.
const DROPS_PER_ADDED: usize = 4;

/// A batch may always drop this many.
const DROPS_MIN: usize = 1024;

/// The versions of one batch. Nobody sees them before [`Appender::finish`].
pub(crate) struct Appender<'a, V> {
    table: &'a Arc<Memtable<V>>,
    writer: MutexGuard<'a, Writer<V>>,
    /// Those of the block in the making.
    versions: Vec<Version<V>>,
    /// Their rooms, where values differ in that.
    rooms: Vec<Room>,
    /// The entries that they belong to, as far as these were there before.
    known: Vec<(Spot, Spot)>,
    /// The other ones, and the hashes of their keys.
    entries: Vec<Entry>,
    hashes: Vec<u64>,
    /// What they take the place of.
    overwritten: Vec<Spot>,
    /// About how many bytes that takes: as many as what is there instead.
    overwritten_bytes: usize,
    weight: usize,
}

impl<'a, V: State> Appender<'a, V> {
    pub(super) fn new(table: &'a Arc<Memtable<V>>, count: usize) -> Self {
        Self {
            table,
            writer: table.writer.lock(),
            versions: Vec::with_capacity(count.min(BLOCK_MAX)),
            rooms: Vec::with_capacity(if V::FIXED { 0 } else { count.min(BLOCK_MAX) }),
            known: Vec::with_capacity(count.min(BLOCK_MAX)),
            entries: Vec::new(),
            hashes: Vec::new(),
            overwritten: Vec::with_capacity(count),
            overwritten_bytes: 0,
            weight: 0,
        }
    }

    /// Adds what the batch made of `key`, whose `hash_key` is `hash`; `None` removes it. `room` is that of
    /// the value. Each key may come once. `known` is where its entry lies, if the caller has kept that.
    /// Returns where it lies now. [`MemtableView::with_room`] sees to it that there is room.
    pub(crate) fn add(
        &mut self,
        hash: u64,
        key: &[u8],
        value: Option<V>,
        room: Room,
        known: Option<Spot>,
    ) -> Option<Spot> {
        if self.versions.len() == BLOCK_MAX {
            self.close_blocks();
        }
        let version = Spot::new(self.writer.versions + 1, self.versions.len())?;
        self.weight += version_bytes::<V>() + room.heap();
        if !V::FIXED {
            self.rooms.push(room);
        }
        let entry = known.or_else(|| self.find(hash, key));
        let Some(entry) = entry else {
            self.versions.push(Version::new(value, None));
            return self.add_entry(hash, Entry::new(KeyBytes::from_slice(key), version));
        };
        let prior = self.table.entries.get(entry).newest();
        self.versions.push(Version::new(value, prior));
        self.known.push((entry, version));
        if let Some(prior) = prior {
            self.overwritten.push(prior);
            self.overwritten_bytes += version_bytes::<V>() + room.heap();
        }
        Some(entry)
    }

    fn add_entry(&mut self, hash: u64, entry: Entry) -> Option<Spot> {
        let spot = Spot::new(self.writer.entries + 1, self.entries.len());
        self.weight += entry.weight();
        self.entries.push(entry);
        self.hashes.push(hash);
        spot
    }

    /// Where the entry of a key lies.
    fn find(&self, hash: u64, key: &[u8]) -> Option<Spot> {
        let is_it = |spot: &Spot| self.table.entries.get(*spot).key() == key;
        self.writer.index.with_hash(hash).find(is_it)
    }

    /// Puts versions and entries where they stay, and only then leads readers there. Cuts before this
    /// batch step over them.
    fn close_blocks(&mut self) {
        if self.versions.is_empty() {
            return;
        }
        let writer = &mut *self.writer;
        writer.versions += 1;
        let versions = std::mem::take(&mut self.versions);
        let block = Block::new(versions, std::mem::take(&mut self.rooms));
        self.table.versions.put(writer.versions, block, &mut writer.held);
        for (entry, version) in self.known.drain(..) {
            self.table.entries.get(entry).set_newest(version);
        }
        if !self.entries.is_empty() {
            self.close_entries();
        }
    }

    fn close_entries(&mut self) {
        let writer = &mut *self.writer;
        let entries = std::mem::take(&mut self.entries);
        writer.keys += entries.len();
        writer.entries += 1;
        self.table.entries.put(writer.entries, entries.into());
        if let Some(larger) = writer.index.grown(writer.keys) {
            writer.index = Arc::new(larger);
        }
        for (place, hash) in self.hashes.drain(..).enumerate() {
            if let Some(spot) = Spot::new(writer.entries, place) {
                writer.index.insert(hash, spot);
            }
        }
    }

    /// The cut that sees the batch.
    pub(crate) fn finish(mut self) -> Arc<MemtableView<V>> {
        self.close_blocks();
        let writer = &mut *self.writer;
        let cut = Arc::new(MemtableView {
            table: Arc::clone(self.table),
            index: Arc::clone(&writer.index),
            last: writer.versions,
            entries: writer.entries,
            order: OnceLock::new(),
        });
        let mut drops = DROPS_MIN.max(DROPS_PER_ADDED * self.overwritten.len());
        writer.retired.add(cut.last, self.overwritten, self.overwritten_bytes, &cut);
        let mut dropped = 0;
        while drops > 0
            && let Some(unseen) = writer.retired.next_unseen()
        {
            drops = drops.saturating_sub(unseen.len());
            dropped += self.table.versions.drop_unseen(&unseen, &mut writer.held);
        }
        self.table.weight.fetch_add(self.weight.wrapping_sub(dropped), Ordering::Relaxed);
        self.table.past.store(writer.retired.bytes(), Ordering::Relaxed);
        cut
    }
}
