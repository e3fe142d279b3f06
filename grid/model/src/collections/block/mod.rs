//! A vector that clones in O(1), and of which one clone appends and changes elements without copying
//! the others: the one place of this crate that needs `unsafe`.
//!
//! A view shares a list with the writer, who goes on with its own clone. Most lists grow at their end,
//! or an element of theirs is changed, and copying all of a list for that is what it would cost. So
//! clones share one piece of memory with room for more. Each knows how many elements are its own; behind
//! them it may append if nobody else has: the others do not look there. Go's slices do the same; here the
//! places that are taken are counted, so that two clones never take the same one. In the same way an
//! element of which others see the old value gets a *patch*: its new value takes a place at the far end
//! of the room, and each clone knows how many of the patches it sees. Where the room is used up, or
//! nobody else is left, patches go to where they belong. What was behind the end of the last owner, or
//! under its patches, is dropped then.
#![expect(unsafe_code, reason = "elements are made one by one in memory that clones share")]

mod edit;
mod head;
mod iter;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{NonNull, slice_from_raw_parts_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

use head::{Head, Taken};
pub(super) use iter::{IntoIter, Iter};

/// A vector that clones in O(1).
///
/// Invariants: `start` dangles, and `len`, `patches` and `room` are 0, or before it lies a [`Head`] in the same
/// allocation, which has the layout of its `room`, and which this clone keeps alive by one of `owners`.
/// Places that are taken hold values. Those of the first `len` elements and `patches` patches are neither
/// changed nor dropped while another owner knows of them; the next place of either kind is written only by
/// the one that took it. A patch is of an element below `len`.
pub(super) struct Block<T> {
    start: NonNull<T>,
    len: u32,
    patches: u16,
    /// Elements and patches that there is memory for.
    room: u16,
    /// Invariant: what one clone appends lives as long as the others.
    owned: PhantomData<fn(T) -> T>,
}

// SAFETY: like an `Arc<[T]>`: clones on several threads lend `&T`, and the last of them, on whatever
// thread, drops the elements, also those that another thread appended.
unsafe impl<T: Send + Sync> Send for Block<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Block<T> {}

impl<T> Block<T> {
    /// Where the elements begin in the allocation.
    const OFFSET: usize = size_of::<Head>().next_multiple_of(align_of::<T>());

    /// No elements, and no memory.
    pub(super) const fn new() -> Self {
        Self { start: NonNull::dangling(), len: 0, patches: 0, room: 0, owned: PhantomData }
    }

    /// No elements, and room for so many.
    ///
    /// # Panics
    /// Where that is more than 65,535, or than fits into memory.
    pub(super) fn with_room(room: usize) -> Self {
        if room == 0 {
            return Self::new();
        }
        let layout = Self::layout(room);
        let room = u16::try_from(room).expect("a block holds fewer than 2^16 elements");
        // SAFETY: the layout is not empty, since it has a head. The memory is large enough and aligned for a head
        // at its beginning, and for elements from `OFFSET` on, which therefore is not null.
        let start = unsafe {
            let Some(memory) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            memory.cast::<Head>().write(Head::new());
            memory.byte_add(Self::OFFSET).cast()
        };
        Self { start, room, ..Self::new() }
    }

    fn layout(room: usize) -> Layout {
        let elements = Layout::array::<T>(room).and_then(|all| Layout::new::<Head>().extend(all));
        let (layout, offset) = elements.expect("a block fits into memory");
        debug_assert_eq!(offset, Self::OFFSET, "elements begin where the layout says");
        layout
    }

    /// What lies before the elements, if there is memory.
    #[inline]
    fn head(&self) -> Option<&Head> {
        // SAFETY: a block that has room has a head there for as long as it has an owner, such as this one; all
        // that changes in it is atomic.
        (self.room > 0)
            .then(|| unsafe { self.start.byte_sub(Self::OFFSET).cast::<Head>().as_ref() })
    }

    /// How many elements there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// How many elements and patches there is memory for.
    fn room(&self) -> usize {
        self.room.into()
    }

    /// What a change reads and writes, but for the elements: the head, the next element's place, and the
    /// next patch's.
    pub(super) fn spans(&self) -> [Range<*const u8>; 3] {
        let start = self.start.as_ptr();
        let place = |index: usize| {
            let place = start.wrapping_add(index.min(self.room())).cast_const();
            place.cast()..place.wrapping_add(1).cast()
        };
        let head = if self.room == 0 { 0 } else { Self::OFFSET };
        let head = start.cast::<u8>().wrapping_sub(head).cast_const()..start.cast_const().cast();
        let patch = self.room().saturating_sub(usize::from(self.patches) + 1);
        [head, place(self.len()), place(patch)]
    }

    /// The elements as they were before this clone's patches.
    #[inline]
    fn unpatched(&self) -> &[T] {
        // SAFETY: elements below `len` are alive, and nobody changes them while this owner lends them;
        // where nothing is allocated, there are none.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len()) }
    }

    /// Where a patch lies. `patch` is less than `room`.
    fn patch_place(&self, patch: u16) -> NonNull<T> {
        // SAFETY: the place is within the room.
        unsafe { self.start.add(self.room() - 1 - usize::from(patch)) }
    }

    /// The element at a position.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let element = self.unpatched().get(index)?;
        Some(if self.patches == 0 { element } else { self.patch_of(index).unwrap_or(element) })
    }

    /// Whether `more` elements can be appended in place, unless another clone does that first.
    fn has_places(&self, more: usize) -> bool {
        self.head().is_some_and(|head| {
            let taken = head.taken();
            let total = (taken.elements + taken.patches) as usize;
            taken.elements == self.len && total + more <= self.room()
        })
    }

    /// This clone's patches, and which elements they are of.
    fn patched(&self) -> impl DoubleEndedIterator<Item = (u16, usize)> {
        self.head().into_iter().flat_map(|head| head.patched(self.patches))
    }

    /// The newest patch of an element.
    fn patch_of(&self, index: usize) -> Option<&T> {
        let (patch, _) = self.patched().rfind(|(_, of)| *of == index)?;
        // SAFETY: patches below `patches` are alive, and nobody changes them while this owner lends them.
        Some(unsafe { self.patch_place(patch).as_ref() })
    }

    /// The bytes that the memory for so many elements takes, where it was not made for a known number.
    pub(super) fn bytes_for(len: usize) -> usize {
        if len == 0 { 0 } else { Self::OFFSET + Self::room_for(len) * size_of::<T>() }
    }

    /// How much room a block gets that has to move: a quarter more than it needs, for elements and patches.
    fn room_for(len: usize) -> usize {
        len + len / 4 + 2
    }

    /// Whether the elements of both lie in the same memory.
    pub(super) fn shares_memory(&self, other: &Self) -> bool {
        self.room > 0 && self.start == other.start
    }

    /// Which elements have another value than in `was`, of the same memory, as far as both have them; some
    /// more than once. All are below 256: others have no patches.
    pub(super) fn patched_since(&self, was: &Self) -> impl Iterator<Item = usize> {
        let common = self.patches.min(was.patches);
        let patched = self.patched().chain(was.patched());
        patched.filter(move |(patch, _)| *patch >= common).map(|(_, of)| of)
    }

    /// Whether both have the same elements in the same memory.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let which = |block: &Self| (block.start, block.len, block.patches);
        which(self) == which(other)
    }

    /// Whether no clone shares the elements.
    #[inline]
    fn is_unique(&self) -> bool {
        // Whoever was an owner has stopped reading before it stopped being one.
        self.head().is_none_or(|head| head.owners.load(Acquire) == 1)
    }

    /// Appends where the place behind the last element is free; gives the value back where it is not.
    #[inline]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        if !self.head().is_some_and(|head| head.take_element(self.len, self.room)) {
            return Err(value);
        }
        // SAFETY: the place is within the room and this thread's alone: it was taken once. Nobody drops it
        // before it is written, as this owner has to go first.
        unsafe { self.start.add(self.len()).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Makes the elements' own places hold them, without anything behind them, where nobody shares them.
    fn settle(&mut self) {
        let patches = std::mem::take(&mut self.patches);
        let Some(head) = self.head() else { return };
        let taken = head.set_taken(self.len);
        for (patch, of) in head.patched(patches) {
            // SAFETY: there is no other owner, and `&mut self` keeps one from coming to be. Both places are
            // alive, and are not the same, as those taken from either end are no more than the room.
            unsafe { self.start.add(of).swap(self.patch_place(patch)) };
        }
        // SAFETY: as above. Nobody else sees these values, which are not counted as taken any more.
        unsafe { self.drop_taken(self.len(), taken) };
    }

    /// Drops the patches, and the elements from `first` on.
    ///
    /// # Safety
    /// These places were taken, so that they hold values; nobody uses these any more.
    unsafe fn drop_taken(&self, first: usize, taken: Taken) {
        let (elements, patches) = (taken.elements as usize, taken.patches as usize);
        let places = |first: usize, count: usize| {
            // SAFETY: the places are within the room.
            slice_from_raw_parts_mut(unsafe { self.start.add(first) }.as_ptr(), count)
        };
        // SAFETY: the caller says so.
        unsafe {
            places(first, elements - first).drop_in_place();
            places(self.room() - patches, patches).drop_in_place();
        }
    }

    /// Moves the elements, which are this clone's alone and settled, to where there is more room.
    fn relocate(&mut self, room: usize) {
        let mut larger = Self::with_room(room);
        if let (Some(from), Some(to)) = (self.head(), larger.head()) {
            // SAFETY: both have room for so many elements, and lie apart. They are alive here, and from now
            // on there: the count here goes to 0, so that nobody drops them twice.
            unsafe { self.start.copy_to_nonoverlapping(larger.start, self.len()) };
            to.set_taken(self.len);
            from.set_taken(0);
            larger.len = std::mem::take(&mut self.len);
        }
        *self = larger;
    }

    /// The elements of a block that is this clone's alone and settled.
    fn settled(&mut self) -> &mut [T] {
        // SAFETY: elements below `len` are alive, and there is no other owner; where nothing is
        // allocated, there are none.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len()) }
    }
}

impl<T: Clone> Block<T> {
    /// The element at a position, to be changed: by a patch, if it is shared and there is room for one.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len() {
            return None;
        }
        if !self.is_unique()
            && let Some(mut place) = self.try_patch(index)
        {
            // SAFETY: the patch is alive, and this owner's alone while it is lent: `&mut self` keeps a clone
            // that would know of it from coming to be.
            return Some(unsafe { place.as_mut() });
        }
        self.make_mut().get_mut(index)
    }

    /// Takes the last element off.
    pub(super) fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        if !self.is_unique() {
            let element = self.get(last).cloned();
            self.cut(last);
            return element;
        }
        self.settle();
        self.len -= 1;
        self.head()?.set_taken(self.len);
        // SAFETY: the element is alive, nobody shares it, and it is not counted as taken any more.
        Some(unsafe { self.start.add(last).read() })
    }

    /// Keeps the first `len` elements, of more.
    fn cut(&mut self, len: usize) {
        if self.patched().any(|(_, of)| of >= len) {
            // Another element will stand there, and is not to have that patch.
            self.make_mut();
        }
        self.len = self.len.min(len as u32);
        if self.is_unique() {
            self.settle();
        }
    }

    /// Patches an element by a copy of itself, where there is a place for it.
    fn try_patch(&mut self, index: usize) -> Option<NonNull<T>> {
        let (of, patch) = (u8::try_from(index).ok()?, self.patches);
        let (head, element) = (self.head()?, self.get(index)?);
        // Looked at before the copy, which may panic: a place that is taken has to be filled.
        let value = head.has_patch_place(patch, self.room).then(|| element.clone())?;
        if !head.take_patch(patch, of, self.room) {
            return None;
        }
        let place = self.patch_place(patch);
        // SAFETY: as in `try_push`.
        unsafe { place.write(value) };
        self.patches += 1;
        Some(place)
    }

    /// A copy that nobody shares, with more room.
    fn copy(&self, room: usize) -> Self {
        let mut copy = Self::with_room(room);
        copy.fill(self.unpatched());
        for (patch, of) in self.patched() {
            // SAFETY: patches below `patches` are alive, and nobody changes them.
            copy.settled()[of] = unsafe { self.patch_place(patch).as_ref() }.clone();
        }
        copy
    }

    /// Appends copies of elements, to a block without any that is this clone's alone and has room for them.
    fn fill(&mut self, elements: &[T]) {
        let start = self.start;
        let Some(head) = self.head() else { return };
        assert!(elements.len() <= self.room(), "there is room");
        let mut made = Made { count: 0, of: head };
        for element in elements {
            // SAFETY: the place is within the room, and nothing was made in it.
            unsafe { start.add(made.count as usize).write(element.clone()) };
            made.count += 1;
        }
        drop(made);
        self.len = elements.len() as u32;
    }
}

/// Counts elements while they are made: also those before one whose clone panics.
struct Made<'a> {
    count: u32,
    of: &'a Head,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.of.set_taken(self.count);
    }
}

impl<T> Clone for Block<T> {
    #[inline]
    fn clone(&self) -> Self {
        if let Some(head) = self.head() {
            // As for an `Arc`: so many clones cannot be in memory, but they can be forgotten.
            if head.owners.fetch_add(1, Relaxed) > isize::MAX as usize {
                std::process::abort();
            }
        }
        let Self { start, len, patches, room, owned } = *self;
        Self { start, len, patches, room, owned }
    }
}

impl<T> Drop for Block<T> {
    #[inline]
    fn drop(&mut self) {
        let Some(head) = self.head() else { return };
        if head.owners.fetch_sub(1, Release) != 1 {
            return;
        }
        // All that other owners did with the elements comes before they are dropped.
        fence(Acquire);
        let taken = head.taken();
        // SAFETY: the last owner is gone. The places that are taken are alive, each is dropped once, and
        // the memory is given back with the layout that it was taken with. If dropping panics, what was not
        // dropped yet is leaked, with the memory.
        unsafe {
            self.drop_taken(0, taken);
            dealloc(self.start.as_ptr().byte_sub(Self::OFFSET).cast(), Self::layout(self.room()));
        }
    }
}
