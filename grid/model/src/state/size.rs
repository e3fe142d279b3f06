//! How much room values take, kept up without looking at all of them again.

use std::ops::{Add, AddAssign};

use super::State;

/// The room that a value takes beyond what every value of its type takes.
///
/// Sizes add up: that of a value is the sum of those of its parts and of what holds them together. So
/// that of a value that changed follows from what changed, see [`State::resize`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of memory outside of the value itself, about. What clones share counts for each.
    pub heap: usize,
    /// Bytes of its archive beside those that stand for the value itself. Where a part begins at an
    /// aligned place, the gap before it counts at its largest.
    pub archive: usize,
}

impl Size {
    /// Takes `was` out and puts `now` in.
    pub fn replace(&mut self, was: Self, now: Self) {
        // What was counted is in the sum, but for a memory that is counted by estimate.
        self.heap = (self.heap + now.heap).saturating_sub(was.heap);
        self.archive = (self.archive + now.archive).saturating_sub(was.archive);
    }

    /// Takes `was` out.
    pub fn remove(&mut self, was: Self) {
        self.replace(was, Self::default());
    }

    /// The size of all these.
    pub(crate) fn of_all<'a, T: State>(values: impl IntoIterator<Item = &'a T>) -> Self {
        if T::FIXED {
            return Self::default();
        }
        values.into_iter().fold(Self::default(), |sum, value| sum + value.size())
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { heap: self.heap + other.heap, archive: self.archive + other.archive }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The largest gap before something of this type in an archive.
pub(crate) const fn gap<T>() -> usize {
    align_of::<T>() - 1
}

/// Brings `size` from elements that were to those that are there now: in a list, most of them stay, or
/// move together.
pub(crate) fn resize_elements<T: State>(now: &[&T], was: &[&T], size: &mut Size) {
    let same = |(now, was): (&&T, &&T)| std::ptr::eq(*now, *was) || now == was;
    let front = now.iter().zip(was).take_while(|pair| same(*pair)).count();
    let (now, was) = (&now[front..], &was[front..]);
    let back = now.iter().rev().zip(was.iter().rev()).take_while(|pair| same(*pair)).count();
    let (now, was) = (&now[..now.len() - back], &was[..was.len() - back]);
    for (now, was) in now.iter().zip(was) {
        now.resize(was, size);
    }
    let common = now.len().min(was.len());
    *size += Size::of_all(now[common..].iter().copied());
    size.remove(Size::of_all(was[common..].iter().copied()));
}
