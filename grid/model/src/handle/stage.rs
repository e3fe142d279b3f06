//! The name of a stage of a topology.

use std::fmt;

use super::checked;
use crate::RouteKey;

/// A stage: where handlers of a topology send records of type `E`, and how these find their partition.
///
/// It is a constant. The topology declares it with `.stage(STAGE)` (`gridmill::Stream::stage`, which has a whole
/// module), its handlers send to it with `Context::send`, and the records are handled there in an order that is kept for
/// each pair of partitions. Nobody else can send to it.
///
/// Each record is logged on the partition that it is sent to, and handled once, whatever crashes. The name is what it
/// is known by in the log: a stage that gets another name is another stage.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// pub const CREDIT: Stage<(u64, u64)> = Stage::hash_by("credit", |credit| credit.0.into());
///
/// assert_eq!(CREDIT.name(), "credit");
/// ```
pub struct Stage<E> {
    name: &'static str,
    route: Route<E>,
}

/// How the records of a stage find their partition.
#[non_exhaustive]
pub enum Route<E> {
    /// By the hash of a key in the record.
    HashBy(fn(&E) -> RouteKey),
    /// By a function of the record and the number of partitions.
    Custom(fn(&E, u32) -> u32),
    /// The partition that sends it.
    Here,
    /// Every partition gets a copy.
    All,
    /// Partition 0.
    Global,
    /// Anywhere, evenly; the same in every replay.
    Shuffle,
}

impl<E> Stage<E> {
    /// Records with the same key go to the same partition.
    ///
    /// # Panics
    /// When the name is empty: while compiling, where the stage is a constant.
    pub const fn hash_by(name: &'static str, key: fn(&E) -> RouteKey) -> Self {
        Self::new(name, Route::HashBy(key))
    }

    /// The function chooses the partition; it is given the record and the number of partitions, and always gives
    /// the same answer. A number that is too large sets the sending record aside.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn custom(name: &'static str, partition: fn(&E, u32) -> u32) -> Self {
        Self::new(name, Route::Custom(partition))
    }

    /// Records stay on their partition and are handled in a later batch.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn here(name: &'static str) -> Self {
        Self::new(name, Route::Here)
    }

    /// Every partition gets a copy.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn all(name: &'static str) -> Self {
        Self::new(name, Route::All)
    }

    /// Records go to partition 0, where global PStates live.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn global(name: &'static str) -> Self {
        Self::new(name, Route::Global)
    }

    /// Records go anywhere, evenly; a replay sends them to the same partitions.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn shuffle(name: &'static str) -> Self {
        Self::new(name, Route::Shuffle)
    }

    const fn new(name: &'static str, route: Route<E>) -> Self {
        Self { name: checked(name), route }
    }

    /// The name, unique in its topology.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How records find their partition.
    pub const fn route(&self) -> &Route<E> {
        &self.route
    }

    /// Whether all records go to partition 0.
    pub const fn is_global(&self) -> bool {
        matches!(self.route, Route::Global)
    }
}

impl<E> Clone for Stage<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Stage<E> {}

impl<E> Clone for Route<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Route<E> {}

impl<E> fmt::Debug for Stage<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).field("route", &self.route).finish()
    }
}

impl<E> fmt::Debug for Route<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HashBy(_) => "HashBy",
            Self::Custom(_) => "Custom",
            Self::Here => "Here",
            Self::All => "All",
            Self::Global => "Global",
            Self::Shuffle => "Shuffle",
        })
    }
}
