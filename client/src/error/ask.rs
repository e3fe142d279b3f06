//! What can go wrong with a query. Queries change nothing.

use std::fmt;
use std::time::Duration;

use gridmill_model::aggregate::AggregateError;
use gridmill_model::path::PathError;

use super::ReadError;

/// What went wrong with a query, in which query and on which partition. Queries change nothing.
#[derive(Clone)]
pub struct AskError(Box<Details>);

#[derive(Clone)]
struct Details {
    /// The innermost first.
    queries: Vec<String>,
    part: Option<String>,
    partition: Option<u32>,
    kind: AskErrorKind,
}

/// The classes of [`AskError`].
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AskErrorKind {
    /// No module of this grid declares the query or the part.
    #[error("no {what} is called `{name}`; this grid has {known:?}")]
    Unknown {
        /// `query` or `part`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The query or the part has other types than the handle.
    #[error(
        "`{name}` takes and gives {expected}, the handle says {got}; use the constant that declares it"
    )]
    WrongTypes {
        /// The query or part.
        name: String,
        /// The types of its declaration.
        expected: String,
        /// Those of the handle.
        got: String,
    },
    /// The query said so itself; see [`AskError::failed`].
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error(
        "it was not answered within {after:?}; ask for less, or give it more time with `timeout`"
    )]
    TimedOut {
        /// How long it had.
        after: Duration,
    },
    /// Nobody waits for its answer any more.
    #[error("it was cancelled")]
    Cancelled,
    /// It asked for more than its [`AskLimits`](crate::AskLimits).
    #[error("it may take at most {limit} {what}; ask for less, or raise its `limits`")]
    Limit {
        /// What there was too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Its code panicked.
    #[error("it panicked: {0}")]
    Panicked(String),
    /// An aggregator could not take a value.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

crate::debug_as_it_reads!(AskErrorKind, AskError);

impl AskError {
    pub(crate) fn new(kind: AskErrorKind) -> Self {
        Self(Box::new(Details { queries: Vec::new(), part: None, partition: None, kind }))
    }

    /// For a query or a part to say why it cannot answer.
    ///
    /// ```
    /// use gridmill_client::AskError;
    ///
    /// let error = AskError::failed("no such user");
    /// assert_eq!(error.to_string(), "no such user");
    /// ```
    pub fn failed(why: impl fmt::Display) -> Self {
        Self::new(AskErrorKind::Failed(why.to_string()))
    }

    /// It happened in this query. The same one several times in a row, as in a recursion, is noted once.
    pub(crate) fn within(mut self, query: &str) -> Self {
        if self.0.queries.last().is_none_or(|last| last != query) {
            self.0.queries.push(query.to_owned());
        }
        self
    }

    /// It happened on this partition, where that is not known yet.
    pub(crate) fn on(mut self, partition: u32) -> Self {
        self.0.partition.get_or_insert(partition);
        self
    }

    pub(crate) fn in_part(mut self, part: &str) -> Self {
        self.0.part.get_or_insert_with(|| part.to_owned());
        self
    }

    /// What class of error it is.
    pub fn kind(&self) -> &AskErrorKind {
        &self.0.kind
    }

    /// The query that was asked; empty while it runs.
    pub fn query(&self) -> &str {
        self.0.queries.last().map_or("", String::as_str)
    }

    /// The queries in which it happened, from the one that was asked inwards.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.0.queries.iter().rev().map(String::as_str)
    }

    /// The part in which it happened, if it was one.
    pub fn part(&self) -> Option<&str> {
        self.0.part.as_deref()
    }

    /// The partition on which it happened, if it was one.
    pub fn partition(&self) -> Option<u32> {
        self.0.partition
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for query in self.queries() {
            write!(f, "query `{query}`: ")?;
        }
        if let Some(part) = self.part() {
            write!(f, "part `{part}`: ")?;
        }
        if let Some(partition) = self.partition() {
            write!(f, "partition {partition}: ")?;
        }
        write!(f, "{}", self.0.kind)
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            AskErrorKind::Read(error) => Some(error),
            AskErrorKind::Aggregate(error) => Some(error),
            _ => None,
        }
    }
}

impl From<AskErrorKind> for AskError {
    fn from(kind: AskErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<ReadError> for AskError {
    fn from(error: ReadError) -> Self {
        Self::new(error.into())
    }
}

impl From<PathError> for AskError {
    fn from(error: PathError) -> Self {
        Self::new(AskErrorKind::Read(error.into()))
    }
}

impl From<AggregateError> for AskError {
    fn from(error: AggregateError) -> Self {
        Self::new(error.into())
    }
}
