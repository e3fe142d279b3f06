//! What lists and vectors have in common: elements by position.

use super::Walk;
use crate::path::data::step::Step;
use crate::{List, State};

/// What lists and vectors have in common.
pub(super) trait Elems<T: 'static>: Walk + Default {
    fn count(&self) -> usize;
    fn at(&self, index: usize) -> Option<&T>;
    fn at_mut(&mut self, index: usize) -> Option<&mut T>;
    fn take(&mut self, index: usize);
    fn put(&mut self, index: usize, value: T);
    fn shift(&mut self, from: usize, to: usize);
    fn keep(&mut self, keep: &[bool]);
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a;
}

impl<T: State> Elems<T> for List<T> {
    fn count(&self) -> usize {
        self.len()
    }
    fn at(&self, index: usize) -> Option<&T> {
        self.get(index)
    }
    fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        self.get_mut(index)
    }
    fn take(&mut self, index: usize) {
        self.remove(index);
    }
    fn put(&mut self, index: usize, value: T) {
        self.insert(index, value);
    }
    fn shift(&mut self, from: usize, to: usize) {
        self.move_to(from, to);
    }
    fn keep(&mut self, keep: &[bool]) {
        *self = self.iter().zip(keep).filter(|(_, keep)| **keep).map(|(v, _)| v.clone()).collect();
    }
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.iter()
    }
}

impl<T: State> Elems<T> for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }
    fn at(&self, index: usize) -> Option<&T> {
        self.get(index)
    }
    fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        self.get_mut(index)
    }
    fn take(&mut self, index: usize) {
        self.remove(index);
    }
    fn put(&mut self, index: usize, value: T) {
        self.insert(index, value);
    }
    fn shift(&mut self, from: usize, to: usize) {
        let value = self.remove(from);
        self.insert(to, value);
    }
    fn keep(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        self.retain(|_| keep.next().copied().unwrap_or(true));
    }
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.iter()
    }
}

/// The position that a step names in a list of that length, if there is an element.
pub(super) fn position(step: &Step, len: usize) -> Option<usize> {
    match step {
        Step::Nth(at) | Step::Index(at) => usize::try_from(*at).ok(),
        Step::First => Some(0),
        _ => len.checked_sub(1),
    }
    .filter(|at| *at < len)
}
