//! A persistent list.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Index, IndexMut, Range};

use super::block::Block;
use super::list_iter::{ListIntoIter, ListIter, ListIterMut};
use super::tree::Tree;
use crate::state::NOWHERE;

/// A sequence that clones in O(1) and shares what clones have in common.
///
/// Up to 256 elements lie in one block, in which one of the clones appends and changes elements without
/// copying the others, as long as there is room; more lie in a tree, of which a change copies a path.
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
#[derive(Clone)]
pub struct List<T>(pub(super) Repr<T>);

/// The most elements of a list in one block. A vector of a tree takes chunks of 64 slots however few
/// elements it has, and moving an element in it costs microseconds; copying a block of this size
/// costs less than that.
const FLAT_MAX: usize = 256;

#[derive(Clone)]
pub(super) enum Repr<T> {
    /// In one piece of memory, which clones share: one of them appends and changes elements in place, as long
    /// as there is room; other changes copy.
    Flat(Block<T>),
    /// In a box: most lists are small, and lie in many places.
    Tree(Box<Tree<T>>),
}

/// Calls a method that both forms have.
macro_rules! either {
    ($repr:expr, $list:ident => $call:expr) => {
        match $repr {
            Repr::Flat($list) => $call,
            Repr::Tree($list) => $call,
        }
    };
}

impl<T: Clone> List<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self(Repr::Flat(Block::new()))
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        either!(&self.0, list => list.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a position.
    pub fn get(&self, index: usize) -> Option<&T> {
        either!(&self.0, list => list.get(index))
    }

    /// The element at a position, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        either!(&mut self.0, list => list.get_mut(index))
    }

    /// The first element.
    pub fn front(&self) -> Option<&T> {
        self.get(0)
    }

    /// The first element, to be changed.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        self.get_mut(0)
    }

    /// The last element.
    pub fn back(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The last element, to be changed.
    pub fn back_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.len().checked_sub(1)?)
    }

    /// Appends an element.
    pub fn push_back(&mut self, value: T) {
        self.make_room(1);
        match &mut self.0 {
            Repr::Flat(flat) => flat.push(value),
            Repr::Tree(tree) => tree.push_back(value),
        }
    }

    /// Puts an element before all others.
    pub fn push_front(&mut self, value: T) {
        self.insert(0, value);
    }

    /// Takes the last element off.
    pub fn pop_back(&mut self) -> Option<T> {
        self.remove(self.len().checked_sub(1)?)
    }

    /// Takes the first element off.
    pub fn pop_front(&mut self) -> Option<T> {
        self.remove(0)
    }

    /// Puts an element at a position and moves those behind it up; false if it is past the end.
    pub fn insert(&mut self, index: usize, value: T) -> bool {
        let fits = index <= self.len();
        if fits {
            self.make_room(1);
            match &mut self.0 {
                Repr::Flat(flat) => flat.insert(index, value),
                Repr::Tree(tree) => tree.insert(index, value),
            }
        }
        fits
    }

    /// Takes the element at a position out.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        let value = match &mut self.0 {
            Repr::Flat(flat) => flat.remove(index),
            Repr::Tree(tree) => Some(tree.remove(index)),
        };
        self.settle();
        value
    }

    /// Moves the element at `from` so that it stands at `to`; false if either is past the end.
    pub fn move_to(&mut self, from: usize, to: usize) -> bool {
        let fits = from < self.len() && to < self.len();
        if fits && from != to {
            match &mut self.0 {
                Repr::Flat(flat) => {
                    let elements = flat.make_mut();
                    if from < to {
                        elements[from..=to].rotate_left(1);
                    } else {
                        elements[to..=from].rotate_right(1);
                    }
                }
                Repr::Tree(tree) => {
                    let value = tree.remove(from);
                    tree.insert(to, value);
                }
            }
        }
        fits
    }

    /// Turns a block into a tree where `more` elements would be too many for it.
    fn make_room(&mut self, more: usize) {
        if let Repr::Flat(flat) = &mut self.0
            && flat.len() + more > FLAT_MAX
        {
            let tree = flat.iter().cloned().collect();
            self.0 = Repr::Tree(Box::new(tree));
        }
    }

    /// Turns a tree that has become small into a block again; at half of the size at which it became
    /// one, so that a list around that size does not go to and fro.
    fn settle(&mut self) {
        if let Repr::Tree(tree) = &self.0
            && tree.len() <= FLAT_MAX / 2
        {
            self.0 = Repr::Flat(self.iter().cloned().collect());
        }
    }

    /// Replaces the element at a position and returns the old one.
    pub fn set(&mut self, index: usize, value: T) -> Option<T> {
        self.get_mut(index).map(|place| std::mem::replace(place, value))
    }

    /// Drops the elements from a position on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            match &mut self.0 {
                Repr::Flat(flat) => flat.truncate(len),
                Repr::Tree(tree) => tree.truncate(len),
            }
            self.settle();
        }
    }

    /// Drops all elements.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Appends the elements of another list; large lists are joined without copying all.
    pub fn append(&mut self, other: Self) {
        self.make_room(other.len());
        match (&mut self.0, other.0) {
            (Repr::Flat(flat), Repr::Flat(other)) => {
                flat.append(&other);
            }
            (Repr::Tree(tree), Repr::Flat(other)) => {
                other.into_iter().for_each(|value| tree.push_back(value));
            }
            (Repr::Tree(tree), Repr::Tree(other)) => tree.append(*other),
            // A tree stays one.
            (Repr::Flat(flat), Repr::Tree(other)) => {
                let mut tree: Tree<T> = flat.iter().cloned().collect();
                tree.append(*other);
                self.0 = Repr::Tree(Box::new(tree));
            }
        }
    }

    /// Keeps only the elements that the condition holds for.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Repr::Flat(flat) = &mut self.0 {
            return flat.retain(keep);
        }
        // Asked before anything moves: where all stay, clones go on sharing them.
        let keep: Vec<bool> = self.iter().map(keep).collect();
        if let Repr::Tree(tree) = &mut self.0
            && keep.contains(&false)
        {
            let mut keep = keep.into_iter();
            tree.plain_mut().retain(|_| keep.next().unwrap_or(true));
            self.settle();
        }
    }

    /// Sorts by a comparison; equal elements stay in the order in which they were.
    pub fn sort_by(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        match &mut self.0 {
            Repr::Flat(flat) => flat.make_mut().sort_by(compare),
            Repr::Tree(tree) => tree.plain_mut().sort_by(compare),
        }
    }

    /// The elements in order.
    pub fn iter(&self) -> ListIter<'_, T> {
        ListIter::new(&self.0)
    }

    /// The elements in order, to be changed.
    pub fn iter_mut(&mut self) -> ListIterMut<'_, T> {
        ListIterMut::new(&mut self.0)
    }

    /// Whether both are clones between which nothing was changed; false also where that is not known.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Flat(own), Repr::Flat(other)) => own.is_same(other),
            (Repr::Tree(own), Repr::Tree(other)) => own.is_same(other),
            _ => false,
        }
    }

    /// Where a change reads and writes, if the elements are in one block.
    pub(super) fn spans(&self) -> [Range<*const u8>; 3] {
        match &self.0 {
            Repr::Flat(flat) => flat.spans(),
            Repr::Tree(_) => NOWHERE,
        }
    }

    /// Whether an element equals this one.
    pub fn contains(&self, value: &T) -> bool
    where
        T: PartialEq,
    {
        self.iter().any(|element| element == value)
    }
}

impl<T: Clone + PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        // Also in the same memory: `NaN` does not equal itself.
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T: Clone + Eq> Eq for List<T> {}

impl<T: Clone + PartialOrd> PartialOrd for List<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.iter().partial_cmp(other)
    }
}

impl<T: Clone + Ord> Ord for List<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other)
    }
}

impl<T: Clone + Hash> Hash for List<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|element| element.hash(state));
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
        self.get(index).unwrap_or_else(|| no_element(index, self.len()))
    }
}

impl<T: Clone> IndexMut<usize> for List<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        let len = self.len();
        self.get_mut(index).unwrap_or_else(|| no_element(index, len))
    }
}

/// As for a slice.
#[cold]
fn no_element(index: usize, len: usize) -> ! {
    panic!("index {index} of a list of {len} elements")
}

impl<T: Clone> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut list = Self::new();
        list.extend(iter);
        list
    }
}

impl<T: Clone> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, iter: I) {
        let iter = iter.into_iter();
        if let Repr::Flat(flat) = &mut self.0 {
            let (least, _) = iter.size_hint();
            flat.expect(least.min(FLAT_MAX));
        }
        iter.for_each(|value| self.push_back(value));
    }
}

impl<T: Clone> From<Vec<T>> for List<T> {
    fn from(values: Vec<T>) -> Self {
        if values.len() <= FLAT_MAX {
            return Self(Repr::Flat(values.into_iter().collect()));
        }
        Self(Repr::Tree(Box::new(values.into_iter().collect())))
    }
}

impl<T: Clone, const N: usize> From<[T; N]> for List<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Clone> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = ListIntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        ListIntoIter::new(self.0)
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
