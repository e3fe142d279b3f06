//! What a transform does at its end, as data.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// The end of a transform as data that can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Term {
    /// Writes a value, in postcard bytes.
    Set(Box<[u8]>),
    /// Takes the value out of what holds it.
    Remove,
    /// Adds a number, in postcard bytes of the value's type.
    Add(Box<[u8]>),
}

/// The end of [`Terms::set`](crate::path::Terms::set) and
/// [`Terms::move_to`](crate::path::Terms::move_to).
#[derive(Clone, Debug)]
pub struct Replace<L>(pub(in crate::path) L);

/// The end of [`Terms::update`](crate::path::Terms::update).
pub struct Update<L, F> {
    pub(in crate::path) update: F,
    of: PhantomData<fn(L)>,
}

impl<L, F: FnMut(&mut L)> Update<L, F> {
    pub(in crate::path) fn new(update: F) -> Self {
        Self { update, of: PhantomData }
    }
}

impl<L, F> fmt::Debug for Update<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").finish_non_exhaustive()
    }
}

/// The end of [`Terms::remove`](crate::path::Terms::remove).
#[derive(Debug)]
pub struct Remove<L>(PhantomData<fn(L)>);

impl<L> Remove<L> {
    pub(in crate::path) fn new() -> Self {
        Self(PhantomData)
    }
}

/// The end of [`Terms::agg`](crate::path::Terms::agg).
#[derive(Clone, Debug)]
pub struct Agg<G, V> {
    pub(in crate::path) aggregator: G,
    pub(in crate::path) value: V,
}

/// The end of [`Terms::add`](crate::path::Terms::add).
#[derive(Clone, Debug)]
pub struct Add<L>(pub(in crate::path) L);
