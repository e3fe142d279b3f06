//! A list too large for a block: the one place that calls `im::Vector`.
//!
//! `im` is the crate `imbl`. Its vector has parts that are not sound: as of 7.0.2 whatever asks a `FocusMut`
//! for two elements at a time (`swap`, `pair`, `triplet`, and with them `Vector::retain`) forgets that the
//! elements of a chunk need not begin at its start. Once something was taken off the front these change
//! elements that are not there, and drop others twice. `FocusMut` also lends `&mut` into a chunk of which it
//! makes another `&mut`, which the compiler may assume not to happen: `iter_mut` and `sort_by` stand on that.
//! So only this is called, each of it tested against a `Vec` in `tests/suite/trees.rs`, also under a sanitizer
//! (`sanitize.sh`):
//!
//! | called | rests on |
//! |---|---|
//! | `new`, `clone`, drop, `len`, `get`, `get_mut` | safe code over chunks, which are shared by `Arc` |
//! | `push_back`, `insert`, `remove`, `truncate`, `append`, `collect` | the same; a chunk is copied before it is changed where it is shared |
//! | `iter`, `leaves` | a `Focus`, which only reads, and lends from chunks that the borrowed vector keeps |
//! | `into_iter` | `pop_front` and `pop_back` |
//!
//! What changes elements in many places, or their order, is done in a plain vector instead.

use std::mem;
use std::sync::Arc;

/// Many elements, of which a change copies a path.
///
/// After a change that concerned all elements these are in `plain`, in one piece that clones share; the next
/// change of another kind moves them back. Either way that costs what the change of all did.
#[derive(Clone)]
pub(super) struct Tree<T> {
    /// Empty where the elements are in `plain`.
    chunks: im::Vector<T>,
    plain: Option<Arc<Vec<T>>>,
}

/// The elements of a whole chunk.
pub(super) const PIECE: usize = 64;

/// The elements in order.
pub(super) type ChunkIter<'a, T> = im::vector::Iter<'a, T, im::shared_ptr::DefaultSharedPtr>;

/// The elements that a tree had, in order.
pub(super) type ChunkIntoIter<T> = im::vector::ConsumingIter<T, im::shared_ptr::DefaultSharedPtr>;

/// Either form of a tree, or of an iterator over it.
#[derive(Clone)]
pub(super) enum Form<C, P> {
    Chunks(C),
    Plain(P),
}

impl<T: Clone> Tree<T> {
    fn look(&self) -> Form<&im::Vector<T>, &[T]> {
        match &self.plain {
            None => Form::Chunks(&self.chunks),
            Some(plain) => Form::Plain(plain),
        }
    }

    /// The elements in chunks, for a change of some of them.
    fn chunks_mut(&mut self) -> &mut im::Vector<T> {
        if let Some(plain) = self.plain.take() {
            self.chunks = Arc::unwrap_or_clone(plain).into_iter().collect();
        }
        &mut self.chunks
    }

    /// The elements in one piece, for a change of all.
    pub(super) fn plain_mut(&mut self) -> &mut Vec<T> {
        let chunks = &mut self.chunks;
        let gather = || Arc::new(mem::take(chunks).into_iter().collect());
        Arc::make_mut(self.plain.get_or_insert_with(gather))
    }

    /// The elements in pieces. One that another tree has in the same place has the same elements there.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[T]> {
        let (chunks, plain) = match self.look() {
            Form::Chunks(chunks) => (Some(chunks.leaves()), None),
            Form::Plain(plain) => (None, Some(plain.chunks(PIECE))),
        };
        chunks.into_iter().flatten().chain(plain.into_iter().flatten())
    }

    pub(super) fn len(&self) -> usize {
        match self.look() {
            Form::Chunks(chunks) => chunks.len(),
            Form::Plain(plain) => plain.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        match self.look() {
            Form::Chunks(chunks) => chunks.get(index),
            Form::Plain(plain) => plain.get(index),
        }
    }

    /// In one piece only where nobody shares it.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if self.plain.as_mut().is_some_and(|plain| Arc::get_mut(plain).is_some()) {
            return self.plain_mut().get_mut(index);
        }
        self.chunks_mut().get_mut(index)
    }

    pub(super) fn push_back(&mut self, value: T) {
        self.chunks_mut().push_back(value);
    }

    /// `index` is at most the length.
    pub(super) fn insert(&mut self, index: usize, value: T) {
        self.chunks_mut().insert(index, value);
    }

    /// `index` is less than the length.
    pub(super) fn remove(&mut self, index: usize) -> T {
        self.chunks_mut().remove(index)
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.chunks_mut().truncate(len);
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.chunks_mut().append(mem::take(other.chunks_mut()));
    }

    /// Whether both have the same elements in the same memory.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.plain, &other.plain) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => self.chunks.ptr_eq(&other.chunks),
            _ => false,
        }
    }

    pub(super) fn iter(&self) -> Form<ChunkIter<'_, T>, std::slice::Iter<'_, T>> {
        match self.look() {
            Form::Chunks(chunks) => Form::Chunks(chunks.iter()),
            Form::Plain(plain) => Form::Plain(plain.iter()),
        }
    }

    pub(super) fn into_iter(self) -> Form<ChunkIntoIter<T>, std::vec::IntoIter<T>> {
        match self.plain {
            None => Form::Chunks(self.chunks.into_iter()),
            Some(plain) => Form::Plain(Arc::unwrap_or_clone(plain).into_iter()),
        }
    }
}

impl<T: Clone> FromIterator<T> for Tree<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Self { chunks: iter.into_iter().collect(), plain: None }
    }
}
