//! Where versions lie: blocks that are added and never moved.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use gridmill_model::{KeyBytes, State};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

/// The most versions of one block.
pub(super) const ENTRIES_MAX: usize = 1 << ENTRY_BITS;
const ENTRY_BITS: u32 = 16;

/// The most blocks of a memtable.
pub(super) const BLOCKS_MAX: u32 = (1 << BLOCK_BITS) - 1;
const BLOCK_BITS: u32 = 24;

/// How many bits a [`Spot`] has.
pub(super) const SPOT_BITS: u32 = BLOCK_BITS + ENTRY_BITS;

/// Where a version lies: in which block, counted from 1, and at which place of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot(NonZeroU64);

impl Spot {
    pub(super) fn new(block: u32, entry: usize) -> Option<Self> {
        Self::from_bits(u64::from(block) << ENTRY_BITS | entry as u64)
    }

    /// The spot with these [`Spot::bits`]; 0 is none.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// A number below 2 to the power of [`SPOT_BITS`].
    pub(super) fn bits(self) -> u64 {
        self.0.get()
    }

    pub(super) fn block(self) -> u32 {
        (self.0.get() >> ENTRY_BITS) as u32
    }

    fn entry(self) -> usize {
        self.0.get() as usize % ENTRIES_MAX
    }
}

/// What one batch made of an entry.
#[derive(Debug)]
pub(crate) struct Version<V> {
    key: KeyBytes,
    /// `None` says that the entry was removed, and is what is left of a version that nobody can see.
    value: Mutex<Option<V>>,
    prior: Option<Spot>,
}

impl<V: State> Version<V> {
    pub(super) fn new(key: KeyBytes, value: Option<V>, prior: Option<Spot>) -> Self {
        Self { key, value: Mutex::new(value), prior }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> Option<V> {
        self.value.lock().clone()
    }

    pub(crate) fn is_value(&self) -> bool {
        self.value.lock().is_some()
    }

    /// The value, for as long as it is looked at.
    pub(crate) fn lock(&self) -> Option<MappedMutexGuard<'_, V>> {
        MutexGuard::try_map(self.value.lock(), Option::as_mut).ok()
    }

    /// The version before it.
    pub(super) fn prior(&self) -> Option<Spot> {
        self.prior
    }

    /// Takes the value out.
    pub(super) fn take(&self) -> Option<V> {
        self.value.lock().take()
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight(&mut self) -> usize {
        let spilled = if self.key.spilled() { self.key.len() } else { 0 };
        size_of::<Self>() + spilled + self.value.get_mut().as_ref().map_or(0, State::weight)
    }
}

/// How many groups there are: the group of a block is the length of its number.
const GROUPS: usize = BLOCK_BITS as usize;

type Group<V> = Box<[OnceLock<Block<V>>]>;

#[derive(Debug)]
struct Block<V> {
    versions: Box<[Version<V>]>,
    /// A bit for each version: whether there is a newer one.
    overwritten: Box<[AtomicU64]>,
}

/// Blocks by number, in groups of which each is twice as long as the one before.
#[derive(Debug)]
pub(super) struct Blocks<V> {
    groups: [OnceLock<Group<V>>; GROUPS],
}

impl<V> Blocks<V> {
    pub(super) fn new() -> Self {
        Self { groups: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Enters a block under a number that has none yet.
    pub(super) fn put(&self, number: u32, versions: Box<[Version<V>]>) {
        let (group, place) = split(number);
        let make = || (0..1_u32 << group).map(|_| OnceLock::new()).collect();
        let words = versions.len().div_ceil(WORD_BITS);
        let overwritten = (0..words).map(|_| AtomicU64::new(0)).collect();
        let free = self.groups[group].get_or_init(make)[place].set(Block { versions, overwritten });
        debug_assert!(free.is_ok(), "a block is put once");
    }

    pub(super) fn get(&self, spot: Spot) -> &Version<V> {
        &self.block(spot.block())[spot.entry()]
    }

    /// The versions of a block, none where there is no such block.
    pub(super) fn block(&self, number: u32) -> &[Version<V>] {
        self.find(number).map_or(&[], |block| &block.versions)
    }

    fn find(&self, number: u32) -> Option<&Block<V>> {
        let (group, place) = split(number);
        self.groups[group].get()?[place].get()
    }

    /// Notes that there is a newer version than this one; by one thread at a time.
    pub(super) fn overwrite(&self, spot: Spot) {
        let Some(block) = self.find(spot.block()) else { return };
        let word = &block.overwritten[spot.entry() / WORD_BITS];
        let bit = 1 << (spot.entry() % WORD_BITS);
        word.store(word.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
    }

    /// The versions of blocks 1 to `last` that no newer one followed, in the order in which they lie.
    pub(super) fn newest(&self, last: u32) -> impl Iterator<Item = (Spot, &Version<V>)> {
        let blocks = (1..=last).filter_map(|number| Some((number, self.find(number)?)));
        blocks.flat_map(|(number, block)| {
            let versions = block.versions.iter().enumerate();
            let newest = versions.filter(|(entry, _)| !block.is_overwritten(*entry));
            newest.filter_map(move |(entry, version)| Some((Spot::new(number, entry)?, version)))
        })
    }
}

impl<V> Block<V> {
    fn is_overwritten(&self, entry: usize) -> bool {
        let word = self.overwritten[entry / WORD_BITS].load(Ordering::Relaxed);
        word >> (entry % WORD_BITS) & 1 == 1
    }
}

const WORD_BITS: usize = u64::BITS as usize;

/// The group of a block, and its place there.
fn split(number: u32) -> (usize, usize) {
    let group = number.ilog2();
    (group as usize, (number - (1 << group)) as usize)
}
