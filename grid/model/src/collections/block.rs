//! A vector that clones in O(1), and of which one clone appends in place: the one place of this crate
//! that needs `unsafe`.
//!
//! A view shares a list with the writer, who goes on with its own clone. Most lists grow at their end,
//! and copying all of a list to append to it is what that would cost. So clones share one piece of
//! memory with room for more. Each knows how many elements are its own; behind them it may append if
//! nobody else has: the others do not look there. Go's slices do the same; here the places that are
//! taken are counted, so that two clones never take the same one.
#![expect(unsafe_code, reason = "elements are made one by one in memory that clones share")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::{NonNull, slice_from_raw_parts_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicUsize, fence};

/// What lies before the elements.
#[repr(C)]
struct Head {
    /// Clones that share the elements.
    owners: AtomicUsize,
    /// Elements that were made; never less than what an owner knows of, never more than `room`.
    made: AtomicU32,
    room: u32,
}

/// A vector that clones in O(1).
///
/// Invariants: `start` dangles, and `len` is 0, or before it lies a [`Head`] in the same allocation,
/// which has the layout of its `room`, and which this clone keeps alive by one of `owners`. Elements
/// below `made` are alive. Those below `len` are neither changed nor dropped while there is another
/// owner; the place at `len` is written only by the one that raised `made` from there.
pub(super) struct Block<T> {
    start: NonNull<T>,
    len: usize,
    /// Invariant: what one clone appends lives as long as the others.
    owned: PhantomData<Cell<T>>,
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
        Self { start: NonNull::dangling(), len: 0, owned: PhantomData }
    }

    /// No elements, and room for so many.
    ///
    /// # Panics
    /// Where that is more than fits into memory, as a `Vec` does.
    pub(super) fn with_room(room: usize) -> Self {
        if room == 0 {
            return Self::new();
        }
        let layout = Self::layout(room);
        let head = Head {
            owners: AtomicUsize::new(1),
            made: AtomicU32::new(0),
            room: u32::try_from(room).expect("a block holds fewer than 2^32 elements"),
        };
        // SAFETY: the layout is not empty, since it has a head. The memory is large enough and aligned for a head
        // at its beginning, and for elements from `OFFSET` on, which therefore is not null.
        let start = unsafe {
            let Some(memory) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            memory.cast::<Head>().write(head);
            memory.byte_add(Self::OFFSET).cast()
        };
        Self { start, len: 0, owned: PhantomData }
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
        // No allocation begins at the address of a dangling pointer plus a head.
        let allocated = self.start != NonNull::dangling();
        // SAFETY: a block that is allocated has a head there for as long as it has an owner, such as this
        // one; all that changes in it is atomic.
        allocated.then(|| unsafe { self.start.byte_sub(Self::OFFSET).cast::<Head>().as_ref() })
    }

    /// The memory of a head and all elements, as the span of addresses that is worth reading ahead.
    pub(super) fn span(&self) -> Range<*const u8> {
        let Range { start, end } = self.as_ptr_range();
        let head = if self.head().is_some() { Self::OFFSET } else { 0 };
        start.cast::<u8>().wrapping_sub(head)..end.wrapping_add(1).cast()
    }

    /// Whether no clone shares the elements.
    #[inline]
    fn is_unique(&self) -> bool {
        // Whoever was an owner has stopped reading before it stopped being one.
        self.head().is_none_or(|head| head.owners.load(Acquire) == 1)
    }

    /// Takes the place behind the last element, if there is one and nobody else has taken it.
    #[inline]
    fn take_place(&mut self) -> Option<NonNull<T>> {
        let (head, len) = (self.head()?, self.len as u32);
        let free =
            len < head.room && head.made.compare_exchange(len, len + 1, Relaxed, Relaxed).is_ok();
        // SAFETY: the place is within the room.
        free.then(|| unsafe { self.start.add(self.len) })
    }

    /// Appends where [`Self::take_place`] can; gives the value back where it cannot.
    #[inline]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        let Some(place) = self.take_place() else { return Err(value) };
        // SAFETY: the place is within the allocation and this thread's alone: `made` was raised from it
        // once. Nobody drops it before it is written, as this owner has to go first.
        unsafe { place.write(value) };
        self.len += 1;
        Ok(())
    }

    /// Drops what was made behind this clone's elements, where nobody shares it.
    fn trim(&mut self) {
        if !self.is_unique() {
            return;
        }
        let Some(head) = self.head() else { return };
        let made = head.made.swap(self.len as u32, Relaxed) as usize;
        // SAFETY: there is no other owner, and `&mut self` keeps one from coming to be: nobody else sees
        // these elements, which were alive, and are not counted as such any more.
        unsafe {
            let first = self.start.add(self.len).as_ptr();
            slice_from_raw_parts_mut(first, made - self.len).drop_in_place();
        }
    }

    /// Keeps the first `len` elements.
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.trim();
        }
    }
}

impl<T: Clone> Block<T> {
    /// How much room a block gets that has to move: a quarter more than it needs.
    fn room_for(len: usize) -> usize {
        len + len / 4 + 1
    }

    /// Appends an element.
    pub(super) fn push(&mut self, value: T) {
        let Err(value) = self.try_push(value) else { return };
        self.reserve(1);
        let pushed = self.try_push(value);
        assert!(pushed.is_ok(), "there is room, and no other owner");
    }

    /// Makes the elements this clone's alone, with room for `more`.
    pub(super) fn reserve(&mut self, more: usize) {
        let needed = self.len + more;
        // Asked once: another owner may go at any time, and one that was alone stays so.
        if !self.is_unique() {
            return self.copy(Self::room_for(needed));
        }
        self.trim();
        if self.head().map_or(0, |head| head.room as usize) < needed {
            self.relocate(Self::room_for(needed));
        }
    }

    /// Goes over to a copy.
    fn copy(&mut self, room: usize) {
        let mut copy = Self::with_room(room);
        copy.fill(self);
        *self = copy;
    }

    /// Appends copies of elements, to a block that is this clone's alone and has room for them.
    fn fill(&mut self, elements: &[T]) {
        let (start, len) = (self.start, self.len);
        let Some(head) = self.head() else { return };
        assert!(elements.len() <= head.room as usize - len, "there is room");
        let mut made = Made { count: len, of: head };
        for element in elements {
            // SAFETY: the place is within the room, and empty: nothing was made behind the elements of a
            // block without other owners, which is trimmed.
            unsafe { start.add(made.count).write(element.clone()) };
            made.count += 1;
        }
        drop(made);
        self.len = len + elements.len();
    }

    /// Moves the elements, which are this clone's alone, to where there is more room.
    fn relocate(&mut self, room: usize) {
        let mut larger = Self::with_room(room);
        if let (Some(from), Some(to)) = (self.head(), larger.head()) {
            // SAFETY: both have room for so many elements, and lie apart. They are alive here, and from now
            // on there: the count here goes to 0, so that nobody drops them twice.
            unsafe { self.start.copy_to_nonoverlapping(larger.start, self.len) };
            to.made.store(self.len as u32, Relaxed);
            from.made.store(0, Relaxed);
            larger.len = std::mem::take(&mut self.len);
        }
        *self = larger;
    }

    /// The elements, to be changed: copied, if they are shared.
    pub(super) fn make_mut(&mut self) -> &mut [T] {
        if !self.is_unique() {
            self.copy(Self::room_for(self.len));
        }
        // SAFETY: elements below `len` are alive, and there is no other owner; where nothing is
        // allocated, there are none.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Takes the last element off.
    pub(super) fn pop(&mut self) -> Option<T> {
        let last = self.last().cloned();
        self.truncate(self.len.saturating_sub(1));
        last
    }

    /// Puts an element at a position, at most `len`, and moves those behind it up.
    pub(super) fn insert(&mut self, index: usize, value: T) {
        if index < self.len {
            // Before the push: a copy that is made for it would leave the value in the old place as well.
            self.reserve(1);
        }
        self.push(value);
        if index + 1 < self.len {
            self.make_mut()[index..].rotate_right(1);
        }
    }

    /// Takes the element at a position, below `len`, out.
    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        if index + 1 < self.len {
            self.make_mut()[index..].rotate_left(1);
        }
        self.pop()
    }

    /// Keeps only the elements that the condition holds for.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let (elements, mut kept) = (self.make_mut(), 0);
        for index in 0..elements.len() {
            if keep(&elements[index]) {
                elements.swap(kept, index);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Appends copies of elements.
    pub(super) fn extend_from_slice(&mut self, elements: &[T]) {
        self.reserve(elements.len());
        self.fill(elements);
    }
}

/// Counts elements while they are made: also those before one whose clone panics.
struct Made<'a> {
    count: usize,
    of: &'a Head,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.of.made.store(self.count as u32, Relaxed);
    }
}

impl<T> Deref for Block<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: elements below `len` are alive, and nobody changes them while this owner lends them;
        // where nothing is allocated, there are none.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
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
        Self { start: self.start, len: self.len, owned: PhantomData }
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
        let (made, room) = (head.made.load(Relaxed) as usize, head.room as usize);
        // SAFETY: the last owner is gone. The elements below `made` are alive, each is dropped once, and
        // the memory is given back with the layout that it was taken with; also if dropping panics,
        // in which case it is not given back.
        unsafe {
            slice_from_raw_parts_mut(self.start.as_ptr(), made).drop_in_place();
            dealloc(self.start.as_ptr().byte_sub(Self::OFFSET).cast(), Self::layout(room));
        }
    }
}

impl<T: Clone> FromIterator<T> for Block<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let iter = iter.into_iter();
        let mut block = Self::with_room(iter.size_hint().0);
        iter.for_each(|value| block.push(value));
        block
    }
}

impl<T: Clone> IntoIterator for Block<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { left: 0..self.len, block: self }
    }
}

/// The elements that a block had: clones of them, as others may share it.
pub(super) struct IntoIter<T> {
    block: Block<T>,
    left: Range<usize>,
}

impl<T: Clone> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left.next().and_then(|index| self.block.get(index).cloned())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<T: Clone> DoubleEndedIterator for IntoIter<T> {
    fn next_back(&mut self) -> Option<T> {
        self.left.next_back().and_then(|index| self.block.get(index).cloned())
    }
}

impl<T: Clone> ExactSizeIterator for IntoIter<T> {}
