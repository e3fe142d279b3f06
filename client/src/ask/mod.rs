//! Queries: what their code asks with, and how they are asked.

mod asking;
mod budget;
mod caught;
mod fan;
mod gather;
mod guard;
mod reads;
mod span;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use gridmill_model::path::{Navigate, Selected};
use gridmill_model::{Part, Query, State};

use crate::client::Client;
use crate::engine::{QueryEntry, RunQuery, Running};
use crate::error::{AskError, AskErrorKind};
use crate::views::ViewSet;

pub use asking::Asking;
pub use budget::AskLimits;
use budget::Budget;
use caught::Caught;
pub use fan::PartCall;
pub use gather::Gather;
pub use span::Span;

/// What the code of a query asks with: a [`Client`] that reads each partition as of one moment, and whose reads
/// count against one budget of time and work.
///
/// Cloning is cheap; clones may be used at once, as by futures that are joined.
///
/// ```
/// use gridmill_client::{Ask, AskError};
/// use gridmill_model::aggregate::{Aggregate, Top, Union};
/// use gridmill_model::prelude::*;
///
/// const SHARERS: PState<Map<u64, Set<u64>>> = PState::new("social/sharers");
/// const FOLLOWERS: PState<Map<u64, Set<u64>>> = PState::new("social/followers");
/// const FOLLOWERS_OF: Part<List<u64>, Set<u64>> = Part::new("social/followers-of");
///
/// /// How many users follow somebody who shared a post.
/// async fn reach(ask: Ask, post: u64) -> Result<u64, AskError> {
///     let sharers = ask.select(SHARERS.key(post).all()).await?;
///     let reached = ask.part(FOLLOWERS_OF).each(FOLLOWERS, sharers).fold(Union::new()).await?;
///     Ok(reached.len() as u64)
/// }
///
/// /// The posts that were shared most often, with how often.
/// async fn most_shared(ask: Ask, n: u32) -> Result<List<(u64, u64)>, AskError> {
///     let counted = |(post, users): (u64, Set<u64>)| (post, users.len() as u64);
///     let most = Top::new(n, |(_, shared): &(u64, u64)| *shared).of(counted);
///     ask.all(SHARERS.all()).fold(most).await
/// }
/// ```
#[derive(Clone)]
pub struct Ask {
    shared: Arc<Shared>,
    /// Partitions as of when they were first read.
    views: Arc<ViewSet>,
    /// The query that asks.
    entry: Arc<QueryEntry>,
    depth: u32,
}

/// What queries in a query have in common.
struct Shared {
    client: Client,
    budget: Arc<Budget>,
    /// Selects that were answered at once.
    selects: AtomicU32,
}

impl Ask {
    fn new(client: Client, budget: Arc<Budget>, entry: Arc<QueryEntry>) -> Self {
        let shared = Arc::new(Shared { client, budget, selects: AtomicU32::new(0) });
        Self { shared, views: Arc::default(), entry, depth: 0 }
    }

    fn client(&self) -> &Client {
        &self.shared.client
    }

    fn budget(&self) -> &Arc<Budget> {
        &self.shared.budget
    }

    fn views(&self) -> &ViewSet {
        &self.views
    }

    /// The code of a query, begun.
    fn run<A: 'static, R: 'static>(self, entry: Arc<QueryEntry>, args: A) -> Caught<R> {
        let code = Arc::clone(&entry.run);
        Caught::new(entry, move || match code.downcast_ref::<RunQuery<A, R>>() {
            Some(query) => (query.0)(self, args),
            None => unreachable!("a query's types were checked when it was found"),
        })
    }

    /// The values that `path` reaches, in order, on the partition that owns its first key.
    ///
    /// # Errors
    /// [`AskError`]; what a client may not read, a query of the PState's own module may.
    pub async fn select<N: Navigate>(&self, path: N) -> Result<Vec<Selected<N>>, AskError> {
        self.many(path.into_path()).await
    }

    /// The one value that `path` reaches, or `None` where there is nothing.
    ///
    /// # Errors
    /// As with [`select`](Self::select); [`NotOne`](crate::ReadError::NotOne) where there is more than one value.
    pub async fn select_one<N: Navigate>(&self, path: N) -> Result<Option<Selected<N>>, AskError> {
        self.one(path.into_path()).await
    }

    /// The values that `path` reaches on every partition.
    pub fn all<N: Navigate>(&self, path: N) -> Gather<Selected<N>> {
        self.everywhere(path.into_path())
    }

    /// A part, to be called where data is.
    pub fn part<A: State, R: State>(&self, part: Part<A, R>) -> PartCall<A, R> {
        PartCall::new(self.clone(), part)
    }

    /// Asks another query, or the same one: it reads partitions as of the same moments, and counts against the same
    /// budget. Its own time-out does not count.
    ///
    /// # Errors
    /// [`AskError`], with both queries; [`Limit`](AskErrorKind::Limit) where queries stand in each other
    /// [too deep](AskLimits::depth).
    pub fn query<A, R>(&self, query: Query<A, R>, args: A) -> Running<R>
    where
        A: Send + 'static,
        R: Send + 'static,
    {
        match self.inner(query) {
            Ok((ask, entry)) => Box::pin(ask.run(entry, args)),
            Err(kind) => Box::pin(std::future::ready(Err(kind.into()))),
        }
    }

    fn inner<A: 'static, R: 'static>(
        &self,
        query: Query<A, R>,
    ) -> Result<(Self, Arc<QueryEntry>), AskErrorKind> {
        let (depth, limit) = (self.depth + 1, self.budget().limits.depth);
        if depth > limit {
            let (what, limit) = ("queries in each other", u64::from(limit));
            return Err(AskErrorKind::Limit { what, limit });
        }
        self.budget().check()?;
        self.budget().take_part()?;
        let client = self.client();
        let entry = client.handles.query(&*client.engine, query)?;
        Ok((Self { entry: Arc::clone(&entry), depth, ..self.clone() }, entry))
    }

    /// The same query, which reads partitions anew: as of when they are first read with what this returns. For a
    /// query that goes on for long and need not see all of a partition as of one moment; what was overwritten since
    /// is kept for it meanwhile, and
    /// [not for ever](crate::ReadError::LetGo).
    pub fn fresh(&self) -> Self {
        Self { views: Arc::default(), ..self.clone() }
    }

    /// Whether to go on, for loops that compute without reading.
    ///
    /// # Errors
    /// [`TimedOut`](AskErrorKind::TimedOut) or [`Cancelled`](AskErrorKind::Cancelled): return it.
    pub fn check(&self) -> Result<(), AskError> {
        Ok(self.budget().check()?)
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("query", &self.entry.name).finish_non_exhaustive()
    }
}
