//! Walking a set.

use std::fmt;
use std::iter::FusedIterator;

type Shared = im::shared_ptr::DefaultSharedPtr;

/// The elements of a [`Set`](crate::Set), in order.
pub struct SetIter<'a, T>(pub(super) im::ordset::Iter<'a, T, Shared>);

// `None` where the range ends before it starts.
/// Some elements of a [`Set`](crate::Set), in order.
pub struct SetRange<'a, T>(pub(super) Option<im::ordset::RangedIter<'a, T, Shared>>);

/// The elements that a [`Set`](crate::Set) had, in order.
pub struct SetIntoIter<T>(pub(super) im::ordset::ConsumingIter<T, Shared>);

impl<T> Clone for SetIter<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for SetIntoIter<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

macro_rules! walks {
    ([$($generics:tt)*] $iter:ty, $item:ty) => {
        impl<$($generics)*> Iterator for $iter {
            type Item = $item;

            #[inline]
            fn next(&mut self) -> Option<$item> {
                self.0.next()
            }

            #[inline]
            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<$($generics)*> DoubleEndedIterator for $iter {
            #[inline]
            fn next_back(&mut self) -> Option<$item> {
                self.0.next_back()
            }
        }

        impl<$($generics)*> ExactSizeIterator for $iter {}

        impl<$($generics)*> FusedIterator for $iter {}
    };
}

walks!(['a, T: Ord] SetIter<'a, T>, &'a T);
walks!([T: Clone] SetIntoIter<T>, T);

impl<'a, T: Ord> Iterator for SetRange<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        self.0.as_mut()?.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.as_ref().map_or((0, Some(0)), Iterator::size_hint)
    }
}

impl<T: Ord> DoubleEndedIterator for SetRange<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next_back()
    }
}

impl<T> fmt::Debug for SetIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetIter").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SetRange<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetRange").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SetIntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetIntoIter").finish_non_exhaustive()
    }
}
