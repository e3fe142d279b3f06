//! Queries and their parts, as an engine knows them.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::ask::{Ask, Span};
use crate::error::AskError;

/// A query at work.
pub type Running<R> = Pin<Box<dyn Future<Output = Result<R, AskError>> + Send>>;

/// The code of a query: a [`RunQuery`] or a [`RunPart`] of its types.
pub type AnyRun = Arc<dyn Any + Send + Sync>;

/// The code of a query from `A` to `R`.
pub struct RunQuery<A, R>(pub Box<dyn Fn(Ask, A) -> Running<R> + Send + Sync>);

/// The code of a part from `A` to `R`.
pub struct RunPart<A, R>(pub Box<PartFn<A, R>>);

type PartFn<A, R> = dyn Fn(A, &Span) -> Result<R, AskError> + Send + Sync;

/// What a client must know of a query.
pub struct QueryEntry {
    /// Its name.
    pub name: String,
    /// The engine's number for its module.
    pub module: usize,
    /// Arguments and answer, for messages.
    pub types: (&'static str, &'static str),
    /// A [`RunQuery`].
    pub run: AnyRun,
}

/// What a client must know of a part of queries.
pub struct PartEntry {
    /// Its name.
    pub name: String,
    /// The engine's number for its module.
    pub module: usize,
    /// On how many partitions there is something for it to read.
    pub partitions: u32,
    /// The engine's numbers for the PStates that it reads, and whether each is on partition 0 alone.
    pub states: Vec<(usize, bool)>,
    /// Arguments and answer, for messages.
    pub types: (&'static str, &'static str),
    /// A [`RunPart`].
    pub run: AnyRun,
}

impl<A, R> fmt::Debug for RunQuery<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunQuery")
    }
}

impl<A, R> fmt::Debug for RunPart<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunPart")
    }
}

impl fmt::Debug for QueryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for PartEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartEntry").field("name", &self.name).finish_non_exhaustive()
    }
}
