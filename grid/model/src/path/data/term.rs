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

/// The end of [`Navigate::set`](crate::path::Navigate::set) and
/// [`Navigate::move_to`](crate::path::Navigate::move_to).
#[derive(Clone, Debug)]
pub struct Replace<L>(pub(in crate::path) L);

/// The end of [`Navigate::update`](crate::path::Navigate::update).
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

/// The end of [`Navigate::remove`](crate::path::Navigate::remove).
#[derive(Debug)]
pub struct Remove<L>(PhantomData<fn(L)>);

impl<L> Remove<L> {
    pub(in crate::path) fn new() -> Self {
        Self(PhantomData)
    }
}

/// The end of [`Navigate::add`](crate::path::Navigate::add).
#[derive(Clone, Debug)]
pub struct Add<L>(pub(in crate::path) L);
