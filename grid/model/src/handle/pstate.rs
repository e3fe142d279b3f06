//! The name of a PState.

use std::fmt;

use super::checked;
use crate::Root;

/// A PState: a view that a topology keeps and clients read.
///
/// It is a constant, shared by the module that declares it and every client that reads it.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// pub const VISITS: PState<Map<Str, u64>> = PState::new("web/visits");
/// pub const TOTAL: PState<u64> = PState::new("web/total").global();
///
/// assert_eq!(TOTAL.name(), "web/total");
/// assert_eq!(TOTAL.initial_value(), 0);
/// ```
///
/// A wrong key does not compile, and neither does an empty name:
///
/// ```compile_fail,E0277
/// # use gridmill_model::prelude::*;
/// # const VISITS: PState<Map<Str, u64>> = PState::new("web/visits");
/// VISITS.key(5_u32);
/// ```
///
/// ```compile_fail,E0080
/// # use gridmill_model::prelude::*;
/// const NAMELESS: PState<u64> = PState::new("");
/// ```
pub struct PState<R: Root> {
    name: &'static str,
    kind: Kind,
    private: bool,
    initial: fn() -> R,
    partitioner: Option<fn(&R::Key, u32) -> u32>,
}

/// On which partitions a PState lives, and how a reader finds the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Each key lives on the partition of its hash. The default. A handler that makes an entry on
    /// another partition is refused.
    Hashed,
    /// There is one, on partition 0.
    Global,
    /// Each partition keeps its own, whatever the keys; readers name the partition.
    Local,
}

impl<R: Root> PState<R> {
    /// A PState that begins with the default value.
    ///
    /// # Panics
    /// When the name is empty: while compiling, where the PState is a constant.
    pub const fn new(name: &'static str) -> Self
    where
        R: Default,
    {
        Self::starting_with(name, R::default)
    }

    /// A PState that begins with the value that the function makes. Of a map's entries each partition begins
    /// with those whose keys live there.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub const fn starting_with(name: &'static str, initial: fn() -> R) -> Self {
        Self { name: checked(name), kind: Kind::Hashed, private: false, initial, partitioner: None }
    }

    /// Lets it begin with the value that the function makes; see [`starting_with`](Self::starting_with).
    pub const fn initial(mut self, initial: fn() -> R) -> Self {
        self.initial = initial;
        self
    }

    /// Makes it one PState for the whole module, on partition 0.
    pub const fn global(mut self) -> Self {
        self.kind = Kind::Global;
        self
    }

    /// Lets each partition keep its own, whatever the keys; a reader names the partition.
    pub const fn local(mut self) -> Self {
        self.kind = Kind::Local;
        self
    }

    /// Hides it from clients; the module's topologies and queries still read it.
    pub const fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Replaces the hash of the key: the function is given the key and the number of partitions. It
    /// always gives the same answer: some keys of a folder are asked again at each start, and one that
    /// would lie on another partition than it does is refused.
    pub const fn partition_by(mut self, partition: fn(&R::Key, u32) -> u32) -> Self {
        self.partitioner = Some(partition);
        self
    }

    /// The same PState, to be read by a topology that does not own it.
    pub const fn read(self) -> Read<R> {
        Read(self)
    }

    /// The name, unique in its module.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// On which partitions it lives.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether there is one for the whole module.
    pub const fn is_global(&self) -> bool {
        matches!(self.kind, Kind::Global)
    }

    /// Whether each partition keeps its own.
    pub const fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Local)
    }

    /// Whether it is hidden from clients.
    pub const fn is_private(&self) -> bool {
        self.private
    }

    /// The function that replaces the hash of the key.
    pub const fn partitioner(&self) -> Option<fn(&R::Key, u32) -> u32> {
        self.partitioner
    }

    /// What makes the value that it begins with.
    #[doc(hidden)]
    pub const fn initial_function(&self) -> fn() -> R {
        self.initial
    }

    /// The value that it begins with.
    pub fn initial_value(&self) -> R {
        (self.initial)()
    }
}

/// A PState that a topology reads and does not own; see [`PState::read`].
pub struct Read<R: Root>(PState<R>);

impl<R: Root> Read<R> {
    /// The PState that is read.
    pub const fn pstate(&self) -> PState<R> {
        self.0
    }
}

impl<R: Root> Clone for PState<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Root> Copy for PState<R> {}

impl<R: Root> Clone for Read<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Root> Copy for Read<R> {}

impl<R: Root> fmt::Debug for PState<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PState")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

impl<R: Root> fmt::Debug for Read<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Read").field(&self.0).finish()
    }
}
