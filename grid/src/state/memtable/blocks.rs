//! Where things lie that are added in blocks and never moved.

use std::num::NonZeroU64;
use std::sync::OnceLock;

/// The most things of one block.
pub(super) const BLOCK_MAX: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 16;

/// The most blocks; few in tests, which would take long to fill more.
pub(super) const BLOCKS_MAX: u32 = if cfg!(test) { 1023 } else { (1 << BLOCK_BITS) - 1 };
const BLOCK_BITS: u32 = 24;

/// How many bits a [`Spot`] has.
pub(super) const SPOT_BITS: u32 = BLOCK_BITS + PLACE_BITS;

/// Where something lies: in which block, counted from 1, and at which place of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot(NonZeroU64);

impl Spot {
    /// A place of a block; `None` for block 0.
    pub(super) fn new(block: u32, place: usize) -> Option<Self> {
        Self::from_bits(u64::from(block) << PLACE_BITS | place as u64).filter(|_| block > 0)
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
        (self.0.get() >> PLACE_BITS) as u32
    }

    pub(super) fn place(self) -> usize {
        self.0.get() as usize % BLOCK_MAX
    }
}

/// How many groups there are: the group of a block is the length of its number.
const GROUPS: usize = BLOCK_BITS as usize;

/// Something for each number from 1 on, in groups of which each is twice as long as the one before.
#[derive(Debug)]
pub(super) struct Numbered<T>([OnceLock<Box<[T]>>; GROUPS]);

impl<T> Numbered<T> {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }

    /// What stands at a number; `empty` makes what stands there at first.
    pub(super) fn get_or_make(&self, number: u32, empty: impl Fn() -> T) -> &T {
        let (group, place) = split(number);
        &self.0[group].get_or_init(|| (0..1_u32 << group).map(|_| empty()).collect())[place]
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (group, place) = split(number);
        self.0[group].get().map(|group| &group[place])
    }
}

/// The group of a number, and its place there.
fn split(number: u32) -> (usize, usize) {
    let group = number.ilog2();
    (group as usize, (number - (1 << group)) as usize)
}

/// Blocks that stay.
#[derive(Debug)]
pub(super) struct Blocks<T>(Numbered<OnceLock<Box<[T]>>>);

impl<T> Blocks<T> {
    pub(super) fn new() -> Self {
        Self(Numbered::new())
    }

    /// Enters a block under a number that has none yet.
    pub(super) fn put(&self, number: u32, block: Box<[T]>) {
        let free = self.0.get_or_make(number, OnceLock::new).set(block);
        debug_assert!(free.is_ok(), "a block is put once");
    }

    pub(super) fn get(&self, spot: Spot) -> &T {
        &self.block(spot.block())[spot.place()]
    }

    /// What lies in a block; nothing where there is none.
    fn block(&self, number: u32) -> &[T] {
        self.0.get(number).and_then(OnceLock::get).map_or(&[], |block| block)
    }

    /// What lies in some blocks, in the order in which it was added.
    pub(super) fn iter(
        &self,
        blocks: impl Iterator<Item = u32>,
    ) -> impl Iterator<Item = (Spot, &T)> {
        blocks.flat_map(|number| {
            let placed = self.block(number).iter().enumerate();
            placed.filter_map(move |(place, thing)| Some((Spot::new(number, place)?, thing)))
        })
    }
}
