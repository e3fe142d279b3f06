//! Adding a batch to a memtable.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use gridmill_model::{KeyBytes, State};
use parking_lot::MutexGuard;

use super::blocks::{ENTRIES_MAX, Spot, Version};
use super::retired::Retired;
use super::{Cut, Memtable, Writer};

/// The versions of one batch. Nobody sees them before [`Appender::finish`].
pub(crate) struct Appender<'a, V> {
    table: &'a Arc<Memtable<V>>,
    writer: MutexGuard<'a, Writer<V>>,
    /// Those of the block in the making, and the hashes of their keys.
    versions: Vec<Version<V>>,
    hashes: Vec<u64>,
    /// What they take the place of.
    overwritten: Vec<Spot>,
    weight: usize,
}

impl<'a, V: State> Appender<'a, V> {
    pub(super) fn new(table: &'a Arc<Memtable<V>>, count: usize) -> Self {
        let count = count.min(ENTRIES_MAX);
        let (versions, hashes) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let writer = table.writer.lock();
        Self { table, writer, versions, hashes, overwritten: Vec::new(), weight: 0 }
    }

    /// Adds what the batch made of `key`, whose `hash_key` is `hash`; `None` removes it. Each key may
    /// come once. `known` is the key's version before, if the caller has kept that. Returns where the
    /// new one lies; `None` where the memtable is full, which [`Cut::is_full`] tells before.
    pub(crate) fn add(
        &mut self,
        hash: u64,
        key: KeyBytes,
        value: Option<V>,
        known: Option<Spot>,
    ) -> Option<Spot> {
        if self.versions.len() == ENTRIES_MAX {
            self.close_block();
        }
        let spot = Spot::new(self.writer.last + 1, self.versions.len());
        let prior = known.or_else(|| self.find(hash, &key));
        match prior {
            Some(prior) => self.overwrite(prior),
            None => self.writer.keys += 1,
        }
        let mut version = Version::new(key, value, prior);
        self.weight += version.weight();
        self.versions.push(version);
        self.hashes.push(hash);
        spot
    }

    fn overwrite(&mut self, prior: Spot) {
        self.table.blocks.overwrite(prior);
        if Retired::<V>::is_worth_it() {
            self.overwritten.push(prior);
        }
    }

    /// The newest version of a key.
    fn find(&self, hash: u64, key: &[u8]) -> Option<Spot> {
        let is_it = |spot: &Spot| self.table.blocks.get(*spot).key() == key;
        self.writer.index.with_hash(hash).find(is_it)
    }

    /// Puts the versions into a block and leads their keys there. Cuts before this batch step over it.
    fn close_block(&mut self) {
        let versions = std::mem::take(&mut self.versions);
        if versions.is_empty() {
            return;
        }
        let writer = &mut *self.writer;
        writer.last += 1;
        self.table.blocks.put(writer.last, versions.into());
        if let Some(larger) = writer.index.grown(writer.keys) {
            writer.index = Arc::new(larger);
        }
        let versions = self.table.blocks.block(writer.last);
        for (entry, (version, hash)) in versions.iter().zip(self.hashes.drain(..)).enumerate() {
            if let Some(spot) = Spot::new(writer.last, entry) {
                writer.index.store(hash, spot, version.prior());
            }
        }
    }

    /// The cut that sees the batch.
    pub(crate) fn finish(mut self) -> Arc<Cut<V>> {
        self.close_block();
        let writer = &mut *self.writer;
        let (table, index) = (Arc::clone(self.table), Arc::clone(&writer.index));
        let cut = Arc::new(Cut { table, index, last: writer.last, order: OnceLock::new() });
        writer.retired.add(cut.last, self.overwritten, &cut);
        let dropped = writer.retired.drop_unseen(&self.table.blocks);
        self.table.weight.fetch_add(self.weight.wrapping_sub(dropped), Ordering::Relaxed);
        cut
    }
}
