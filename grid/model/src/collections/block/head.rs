//! What lies before the elements of a block: who shares them, and which places are taken.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize};

/// The most patches of a block: whoever reads an element goes through them.
const PATCHES_MAX: usize = 12;

/// The head of a block.
pub(super) struct Head {
    /// Clones that share the elements.
    pub(super) owners: AtomicUsize,
    /// [`Taken`].
    taken: AtomicU32,
    /// By patch, which element it is of.
    patched: [AtomicU8; PATCHES_MAX],
}

/// The places of a block that are taken, from the front by elements and from the end by patches; together
/// never more than there is room, and never less of either than what an owner knows of.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) elements: u32,
    pub(super) patches: u32,
}

impl Taken {
    /// Both in 16 bits each, so that they change together.
    fn of(bits: u32) -> Self {
        Self { elements: bits & 0xffff, patches: bits >> 16 }
    }

    fn bits(self) -> u32 {
        self.elements | self.patches << 16
    }

    fn if_in(self, room: u16) -> Option<Self> {
        (self.elements + self.patches <= room.into()).then_some(self)
    }

    /// With one more element than `len`, if nobody has taken that place and there is room.
    fn with_element(self, len: u32, room: u16) -> Option<Self> {
        let free = self.elements == len;
        free.then_some(Self { elements: len + 1, ..self })?.if_in(room)
    }

    /// With one more patch than `patches`, as above.
    fn with_patch(self, patches: u16, room: u16) -> Option<Self> {
        let free = self.patches == u32::from(patches) && usize::from(patches) < PATCHES_MAX;
        free.then_some(Self { patches: self.patches + 1, ..self })?.if_in(room)
    }
}

impl Head {
    /// One owner, and nothing taken.
    pub(super) fn new() -> Self {
        Self {
            owners: AtomicUsize::new(1),
            taken: AtomicU32::new(0),
            patched: [const { AtomicU8::new(0) }; PATCHES_MAX],
        }
    }

    pub(super) fn taken(&self) -> Taken {
        Taken::of(self.taken.load(Relaxed))
    }

    /// For an owner that is alone: from now on so many elements are taken, and no patches. Returns what was
    /// taken.
    pub(super) fn set_taken(&self, elements: u32) -> Taken {
        Taken::of(self.taken.swap(Taken { elements, patches: 0 }.bits(), Relaxed))
    }

    /// Takes the place behind `len` elements, unless another has, or there is no room.
    #[inline]
    pub(super) fn take_element(&self, len: u32, room: u16) -> bool {
        let next = |bits| Taken::of(bits).with_element(len, room).map(Taken::bits);
        self.taken.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Whether [`Head::take_patch`] would take a place now.
    pub(super) fn has_patch_place(&self, patches: u16, room: u16) -> bool {
        self.taken().with_patch(patches, room).is_some()
    }

    /// Takes the place of the patch after `patches`, for the element `of`, as above.
    pub(super) fn take_patch(&self, patches: u16, of: u8, room: u16) -> bool {
        let next = |bits| Taken::of(bits).with_patch(patches, room).map(Taken::bits);
        let taken = self.taken.fetch_update(Relaxed, Relaxed, next).is_ok();
        if taken {
            self.patched[usize::from(patches)].store(of, Relaxed);
        }
        taken
    }

    /// Which elements the first `patches` patches are of.
    pub(super) fn patched(
        &self,
        patches: u16,
    ) -> impl DoubleEndedIterator<Item = (u16, usize)> + '_ {
        (0..patches).map(|patch| (patch, self.patched[usize::from(patch)].load(Relaxed).into()))
    }
}
