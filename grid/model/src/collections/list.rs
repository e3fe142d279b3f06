//! A persistent list.

use std::fmt;
use std::ops::{Index, IndexMut};

/// A sequence that clones in O(1) and shares what clones have in common.
///
/// Positions past the end are answered with `None` or `false`, never with a panic, because they
/// often come from an event. Only indexing with `[]` panics, as it does on a `Vec`.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let mut todos: List<Str> = ["wash", "cook"].into_iter().map(Str::new).collect();
/// let before = todos.clone();
/// todos.push_back("eat".into());
/// assert!(todos.move_to(2, 0));
/// assert_eq!(todos[0], "eat");
/// assert_eq!(before.len(), 2);
/// ```
///
/// A value that is no state does not fit:
///
/// ```compile_fail,E0277
/// use gridmill_model::prelude::*;
///
/// const POSITIONS: PState<List<usize>> = PState::new("positions");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct List<T>(im::Vector<T>);

/// The elements of a [`List`], in order.
pub type ListIter<'a, T> = im::vector::Iter<'a, T, im::shared_ptr::DefaultSharedPtr>;
/// The elements of a [`List`], in order, to be changed.
pub type ListIterMut<'a, T> = im::vector::IterMut<'a, T, im::shared_ptr::DefaultSharedPtr>;

impl<T: Clone> List<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self(im::Vector::new())
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The element at a position.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index)
    }

    /// The element at a position, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index)
    }

    /// The first element.
    pub fn front(&self) -> Option<&T> {
        self.0.front()
    }

    /// The first element, to be changed.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        self.0.front_mut()
    }

    /// The last element.
    pub fn back(&self) -> Option<&T> {
        self.0.back()
    }

    /// The last element, to be changed.
    pub fn back_mut(&mut self) -> Option<&mut T> {
        self.0.back_mut()
    }

    /// Appends an element.
    pub fn push_back(&mut self, value: T) {
        self.0.push_back(value);
    }

    /// Puts an element before all others.
    pub fn push_front(&mut self, value: T) {
        self.0.push_front(value);
    }

    /// Takes the last element off.
    pub fn pop_back(&mut self) -> Option<T> {
        self.0.pop_back()
    }

    /// Takes the first element off.
    pub fn pop_front(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    /// Puts an element at a position and moves those behind it up; false if it is past the end.
    pub fn insert(&mut self, index: usize, value: T) -> bool {
        let fits = index <= self.len();
        if fits {
            self.0.insert(index, value);
        }
        fits
    }

    /// Takes the element at a position out.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        (index < self.len()).then(|| self.0.remove(index))
    }

    /// Moves the element at `from` so that it stands at `to`; false if either is past the end.
    pub fn move_to(&mut self, from: usize, to: usize) -> bool {
        let fits = from < self.len() && to < self.len();
        if fits && from != to {
            let value = self.0.remove(from);
            self.0.insert(to, value);
        }
        fits
    }

    /// Replaces the element at a position and returns the old one.
    pub fn set(&mut self, index: usize, value: T) -> Option<T> {
        self.get_mut(index).map(|place| std::mem::replace(place, value))
    }

    /// Drops the elements from a position on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.0.truncate(len);
        }
    }

    /// Drops all elements.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends the elements of another list; large lists are joined without copying all.
    pub fn append(&mut self, other: Self) {
        self.0.append(other.0);
    }

    /// Keeps only the elements that the condition holds for.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// Sorts by a comparison; equal elements keep no particular order.
    pub fn sort_by(&mut self, compare: impl Fn(&T, &T) -> std::cmp::Ordering) {
        self.0.sort_by(compare);
    }

    /// The elements in order.
    pub fn iter(&self) -> ListIter<'_, T> {
        self.0.iter()
    }

    /// The elements in order, to be changed.
    pub fn iter_mut(&mut self) -> ListIterMut<'_, T> {
        self.0.iter_mut()
    }

    /// Whether an element equals this one.
    pub fn contains(&self, value: &T) -> bool
    where
        T: PartialEq,
    {
        self.0.contains(value)
    }
}

impl<T: Clone> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone + fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: Clone> Index<usize> for List<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.0[index]
    }
}

impl<T: Clone> IndexMut<usize> for List<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.0[index]
    }
}

impl<T: Clone> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl<T: Clone> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl<T: Clone> From<Vec<T>> for List<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values.into())
    }
}

impl<T: Clone, const N: usize> From<[T; N]> for List<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Clone> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = im::vector::ConsumingIter<T, im::shared_ptr::DefaultSharedPtr>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T: Clone> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Clone> IntoIterator for &'a mut List<T> {
    type Item = &'a mut T;
    type IntoIter = ListIterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: Clone + PartialEq> PartialEq<[T]> for List<T> {
    fn eq(&self, other: &[T]) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T: Clone + PartialEq, const N: usize> PartialEq<[T; N]> for List<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        *self == other[..]
    }
}
