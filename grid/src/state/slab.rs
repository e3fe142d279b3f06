//! Slots by number, in blocks that stay where they are: growing copies nothing.

/// Slots of one block.
const BLOCK: usize = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 9;

#[derive(Debug)]
pub(super) struct Slab<T> {
    blocks: Vec<Vec<T>>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// Adds a slot; returns its number.
    pub(super) fn push(&mut self, slot: T) -> u32 {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let block = self.blocks.len() - 1;
        let slots = &mut self.blocks[block];
        slots.push(slot);
        (block * BLOCK + slots.len() - 1) as u32
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.blocks[(number >> BLOCK_BITS) as usize][number as usize % BLOCK]
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut T {
        &mut self.blocks[(number >> BLOCK_BITS) as usize][number as usize % BLOCK]
    }

    /// All slots, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    /// The same slots, given away.
    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.blocks.into_iter().flatten()
    }
}
