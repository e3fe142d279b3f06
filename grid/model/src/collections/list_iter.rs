//! Walking a list, whichever form it has.

use super::block;
use super::list::Repr;
use super::tree::{ChunkIntoIter, ChunkIter, Form};

/// The elements of a [`List`](crate::List), in order.
#[derive(Clone)]
pub struct ListIter<'a, T>(Walk<block::Iter<'a, T>, ChunkIter<'a, T>, std::slice::Iter<'a, T>>);

/// The elements of a [`List`](crate::List), in order, to be changed.
pub struct ListIterMut<'a, T>(std::slice::IterMut<'a, T>);

/// The elements that a [`List`](crate::List) had, in order.
pub struct ListIntoIter<T>(Walk<block::IntoIter<T>, ChunkIntoIter<T>, std::vec::IntoIter<T>>);

#[derive(Clone)]
enum Walk<F, C, P> {
    Flat(F),
    Tree(Form<C, P>),
}

/// Calls a method that all forms have.
macro_rules! each_form {
    ($walk:expr, $iter:ident => $call:expr) => {
        match $walk {
            Walk::Flat($iter) => $call,
            Walk::Tree(Form::Chunks($iter)) => $call,
            Walk::Tree(Form::Plain($iter)) => $call,
        }
    };
}

impl<F, C, P> Walk<F, C, P>
where
    F: ExactSizeIterator + DoubleEndedIterator,
    C: ExactSizeIterator<Item = F::Item> + DoubleEndedIterator,
    P: ExactSizeIterator<Item = F::Item> + DoubleEndedIterator,
{
    fn next(&mut self) -> Option<F::Item> {
        each_form!(self, iter => iter.next())
    }

    fn next_back(&mut self) -> Option<F::Item> {
        each_form!(self, iter => iter.next_back())
    }

    fn len(&self) -> usize {
        each_form!(self, iter => iter.len())
    }
}

impl<'a, T: Clone> ListIter<'a, T> {
    pub(super) fn new(repr: &'a Repr<T>) -> Self {
        Self(match repr {
            Repr::Flat(flat) => Walk::Flat(flat.iter()),
            Repr::Tree(tree) => Walk::Tree(tree.iter()),
        })
    }
}

impl<'a, T: Clone> ListIterMut<'a, T> {
    pub(super) fn new(repr: &'a mut Repr<T>) -> Self {
        Self(match repr {
            Repr::Flat(flat) => flat.make_mut().iter_mut(),
            Repr::Tree(tree) => tree.plain_mut().iter_mut(),
        })
    }
}

impl<T: Clone> ListIntoIter<T> {
    pub(super) fn new(repr: Repr<T>) -> Self {
        Self(match repr {
            Repr::Flat(flat) => Walk::Flat(flat.into_iter()),
            Repr::Tree(tree) => Walk::Tree((*tree).into_iter()),
        })
    }
}

macro_rules! walks {
    ([$($generics:tt)*] $iter:ty, $item:ty) => {
        impl<$($generics)*> Iterator for $iter {
            type Item = $item;

            fn next(&mut self) -> Option<$item> {
                self.0.next()
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.0.len(), Some(self.0.len()))
            }
        }

        impl<$($generics)*> DoubleEndedIterator for $iter {
            fn next_back(&mut self) -> Option<$item> {
                self.0.next_back()
            }
        }

        impl<$($generics)*> ExactSizeIterator for $iter {}

        impl<$($generics)*> std::iter::FusedIterator for $iter {}

        impl<$($generics)*> std::fmt::Debug for $iter {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} elements", self.0.len())
            }
        }
    };
}

walks!(['a, T: Clone] ListIter<'a, T>, &'a T);
walks!(['a, T: Clone] ListIterMut<'a, T>, &'a mut T);
walks!([T: Clone] ListIntoIter<T>, T);
