//! The names of queries and of their parts.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::checked;

/// A query: a question that takes arguments of type `A` and is answered with an `R`, from as many partitions as it
/// takes.
///
/// It is a constant, shared by the module that declares it and every client that asks it.
///
/// ```
/// use gridmill_model::prelude::*;
/// use std::time::Duration;
///
/// /// How many users a post reached.
/// pub const REACH: Query<u64, u64> = Query::new("social/reach").timeout(Duration::from_secs(2));
///
/// assert_eq!(REACH.name(), "social/reach");
/// ```
pub struct Query<A, R> {
    name: &'static str,
    timeout: Duration,
    of: PhantomData<fn(A) -> R>,
}

impl<A, R> Query<A, R> {
    /// How long a query may take, where nobody says.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A query of this name.
    ///
    /// # Panics
    /// When the name is empty: while compiling, where the query is a constant.
    pub const fn new(name: &'static str) -> Self {
        Self { name: checked(name), timeout: Self::TIMEOUT, of: PhantomData }
    }

    /// How long it may take: 10 seconds. A query in a query has the time of the outermost one.
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The name, unique in a grid.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long it may take.
    pub const fn time(&self) -> Duration {
        self.timeout
    }
}

impl<A, R> Clone for Query<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Query<A, R> {}

impl<A, R> fmt::Debug for Query<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A part of queries: a function that runs where the data is, on one partition, with arguments of type `A`.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// /// Who follows any of these users.
/// pub const FOLLOWERS_OF: Part<List<u64>, Set<u64>> = Part::new("social/followers-of");
///
/// assert_eq!(FOLLOWERS_OF.name(), "social/followers-of");
/// ```
pub struct Part<A, R> {
    name: &'static str,
    of: PhantomData<fn(A) -> R>,
}

impl<A, R> Part<A, R> {
    /// A part of this name.
    ///
    /// # Panics
    /// As [`Query::new`].
    pub const fn new(name: &'static str) -> Self {
        Self { name: checked(name), of: PhantomData }
    }

    /// The name, unique in a grid.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<A, R> Clone for Part<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Part<A, R> {}

impl<A, R> fmt::Debug for Part<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name).finish()
    }
}
