//! Walking a block.

use std::ops::Range;

use super::Block;

/// The elements in order.
pub(in super::super) struct Iter<'a, T> {
    block: &'a Block<T>,
    left: Range<usize>,
}

/// The elements that a block had: clones of them, as others may share it.
pub(in super::super) struct IntoIter<T> {
    block: Block<T>,
    left: Range<usize>,
}

impl<T> Block<T> {
    /// The elements in order.
    pub(in super::super) fn iter(&self) -> Iter<'_, T> {
        Iter { block: self, left: 0..self.len() }
    }
}

impl<T: Clone> IntoIterator for Block<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { left: 0..self.len(), block: self }
    }
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { block: self.block, left: self.left.clone() }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        self.left.next().and_then(|index| self.block.get(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left.next_back().and_then(|index| self.block.get(index))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

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
