//! The name of a topology.

use std::fmt;
use std::marker::PhantomData;

use crate::Str;

use super::checked;

/// A topology: its name, the type with which its handlers reply, and that of their errors.
///
/// A topology may go by its name alone. A constant of this type is for what others want to read of it: who asks a
/// receipt for a topology that is misspelt, or for a reply of another type, does not compile.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// /// Replies with the balance; refuses with a text.
/// pub const TRANSFERS: Topology<u64> = Topology::new("transfers");
///
/// assert_eq!(TRANSFERS.name(), "transfers");
/// ```
pub struct Topology<R = (), E = Str> {
    name: &'static str,
    of: PhantomData<fn() -> (R, E)>,
}

impl<R, E> Topology<R, E> {
    /// A topology of this name.
    ///
    /// # Panics
    /// When the name is empty: while compiling, where the topology is a constant.
    pub const fn new(name: &'static str) -> Self {
        Self { name: checked(name), of: PhantomData }
    }

    /// The name, unique in its module.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<R, E> Clone for Topology<R, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, E> Copy for Topology<R, E> {}

impl<R, E> fmt::Debug for Topology<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology").field("name", &self.name).finish()
    }
}

impl<R, E> From<Topology<R, E>> for &'static str {
    fn from(topology: Topology<R, E>) -> Self {
        topology.name
    }
}
