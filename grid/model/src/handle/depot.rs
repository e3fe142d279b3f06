//! The name of a depot.

use std::fmt;
use std::time::Duration;

use super::{Tick, checked};
use crate::RouteKey;

/// A depot: where events of type `E` are appended, and how they find their partition.
///
/// It is a constant, shared by the module that declares it and every client that appends to it.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// pub const VISITS: Depot<(Str, u64)> =
///     Depot::hash_by("web/visits", |visit| visit.0.as_str().into());
///
/// assert_eq!(VISITS.name(), "web/visits");
/// ```
pub struct Depot<E> {
    name: &'static str,
    partitioning: Partitioning<E>,
    global: bool,
    every: Option<Duration>,
}

/// How the events of a depot find their partition.
#[non_exhaustive]
pub enum Partitioning<E> {
    /// By the hash of a key in the event.
    HashBy(fn(&E) -> RouteKey),
    /// Anywhere, evenly.
    Random,
    /// Clients may not append; only topologies do.
    Disallow,
    /// By a function of the event and the number of partitions.
    Custom(fn(&E, u32) -> u32),
}

impl<E> Depot<E> {
    /// Events with the same key go to the same partition, in the order of their appends. The key of an
    /// event never changes: some events of a folder are asked again at each start, and one that would go
    /// to another partition now is refused.
    ///
    /// # Panics
    /// When the name is empty: while compiling, where the depot is a constant.
    pub const fn hash_by(name: &'static str, key: fn(&E) -> RouteKey) -> Self {
        Self::new(name, Partitioning::HashBy(key))
    }

    /// Events go to any partition, evenly.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn random(name: &'static str) -> Self {
        Self::new(name, Partitioning::Random)
    }

    /// Only topologies append to this depot; a client's append is refused.
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn disallow(name: &'static str) -> Self {
        Self::new(name, Partitioning::Disallow)
    }

    /// The function chooses the partition; it is given the event and the number of partitions. It always
    /// gives the same answer, as with [`hash_by`](Self::hash_by).
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn custom(name: &'static str, partition: fn(&E, u32) -> u32) -> Self {
        Self::new(name, Partitioning::Custom(partition))
    }

    /// Makes it one depot for the whole module, on partition 0.
    pub const fn global(mut self) -> Self {
        self.global = true;
        self
    }

    const fn new(name: &'static str, partitioning: Partitioning<E>) -> Self {
        Self { name: checked(name), partitioning, global: false, every: None }
    }

    /// The name, unique in its module.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether there is one for the whole module.
    pub const fn is_global(&self) -> bool {
        self.global
    }

    /// How long it is from one tick to the next, where it is a depot of ticks.
    pub const fn every(&self) -> Option<Duration> {
        self.every
    }

    /// How events find their partition, unless the depot is global.
    pub const fn partitioning(&self) -> &Partitioning<E> {
        &self.partitioning
    }
}

impl Depot<Tick> {
    /// A depot of ticks: the engine appends a [`Tick`] at each boundary of a period, on partition 0. Boundaries are
    /// the multiples of `every` since 1970 (UTC) by the grid's clock, so they are the same after a restart. Nobody
    /// else appends to it: a client's append is refused.
    ///
    /// Ticks are records like all others: a replay handles the same ones, and a topology that starts in the past gets
    /// all ticks of the past. After a pause there is one, which says how many boundaries passed without.
    ///
    /// A period below a millisecond is refused when a grid starts.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gridmill_model::prelude::*;
    ///
    /// pub const MINUTE: Depot<Tick> = Depot::tick("rates/minute", Duration::from_secs(60));
    ///
    /// assert_eq!(MINUTE.every(), Some(Duration::from_secs(60)));
    /// assert!(MINUTE.is_global());
    /// ```
    ///
    /// # Panics
    /// As [`hash_by`](Self::hash_by).
    pub const fn tick(name: &'static str, every: Duration) -> Self {
        let mut depot = Self::disallow(name).global();
        depot.every = Some(every);
        depot
    }
}

impl<E> Clone for Depot<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Depot<E> {}

impl<E> Clone for Partitioning<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Partitioning<E> {}

impl<E> fmt::Debug for Depot<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depot")
            .field("name", &self.name)
            .field("partitioning", &self.partitioning)
            .field("global", &self.global)
            .finish()
    }
}

impl<E> fmt::Debug for Partitioning<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HashBy(_) => "HashBy",
            Self::Random => "Random",
            Self::Disallow => "Disallow",
            Self::Custom(_) => "Custom",
        })
    }
}
