//! What can be done with a block's elements. None of this needs `unsafe`.

use super::Block;

impl<T: Clone> Block<T> {
    /// Makes the elements this clone's alone, with room for `more`.
    pub(in super::super) fn reserve(&mut self, more: usize) {
        let needed = self.len() + more;
        // Asked once: another owner may go at any time, and one that was alone stays so.
        if !self.is_unique() {
            *self = self.copy(Self::room_for(needed));
            return;
        }
        self.settle();
        if self.room() < needed {
            self.relocate(Self::room_for(needed));
        }
    }

    /// The elements, to be changed: copied, if they are shared.
    pub(in super::super) fn make_mut(&mut self) -> &mut [T] {
        if self.is_unique() {
            self.settle();
        } else {
            *self = self.copy(Self::room_for(self.len()));
        }
        self.settled()
    }

    /// Appends an element.
    pub(in super::super) fn push(&mut self, value: T) {
        let Err(value) = self.try_push(value) else { return };
        self.reserve(1);
        let pushed = self.try_push(value);
        assert!(pushed.is_ok(), "there is room, and no other owner");
    }

    /// Sees to it that `more` elements are appended without moving more than once.
    pub(in super::super) fn expect(&mut self, more: usize) {
        if more > 0 && !self.has_places(more) {
            self.reserve(more);
        }
    }

    /// Appends copies of another block's elements.
    pub(in super::super) fn append(&mut self, other: &Self) {
        self.expect(other.len());
        other.iter().for_each(|element| self.push(element.clone()));
    }

    /// Keeps the first `len` elements.
    pub(in super::super) fn truncate(&mut self, len: usize) {
        if len == 0 {
            *self = Self::new();
        } else if len < self.len() {
            self.cut(len);
        }
    }

    /// Puts an element at a position, at most `len`, and moves those behind it up.
    pub(in super::super) fn insert(&mut self, index: usize, value: T) {
        if index < self.len() {
            // Before the push: a copy that is made for it would leave the value in the old place as well.
            self.reserve(1);
        }
        self.push(value);
        if index + 1 < self.len() {
            self.make_mut()[index..].rotate_right(1);
        }
    }

    /// Takes the element at a position, below `len`, out.
    pub(in super::super) fn remove(&mut self, index: usize) -> Option<T> {
        if index + 1 < self.len() {
            self.make_mut()[index..].rotate_left(1);
        }
        self.pop()
    }

    /// Keeps only the elements that the condition holds for.
    pub(in super::super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let Some(first) = self.iter().position(|element| !keep(element)) else { return };
        let (elements, mut kept) = (self.make_mut(), first);
        for index in first + 1..elements.len() {
            if keep(&elements[index]) {
                elements.swap(kept, index);
                kept += 1;
            }
        }
        self.truncate(kept);
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
