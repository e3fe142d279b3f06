//! Asking a query.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gridmill_model::Query;

use crate::client::Client;
use crate::engine::Timer;
use crate::error::AskError;

use super::Ask;
use super::budget::{AskLimits, Budget};
use super::caught::Caught;

impl Client {
    /// Asks a query; it begins when the answer is first awaited.
    ///
    /// Each partition is read as of one moment: that in which the query first reads it, so that all that it does
    /// there, with the queries in it, fits together. Different partitions are read as of different moments. What
    /// was appended and answered before the query began is in what it reads.
    ///
    /// The query's own code runs where its answer is awaited; what takes long runs on threads of the grid.
    ///
    /// # Errors
    /// [`AskError`] says in which query, part and partition what went wrong.
    ///
    /// # Cancellation
    /// Dropping it ends the query, and soon what it has under way.
    ///
    /// ```
    /// # use gridmill_client::{AskError, Client};
    /// use gridmill_model::prelude::*;
    /// use std::time::Duration;
    ///
    /// const REACH: Query<u64, u64> = Query::new("social/reach");
    ///
    /// async fn show(client: Client, post: u64) -> Result<(), AskError> {
    ///     let reach = client.query(REACH, post).timeout(Duration::from_secs(1)).await?;
    ///     println!("{reach} users");
    ///     Ok(())
    /// }
    /// ```
    pub fn query<A, R>(&self, query: Query<A, R>, args: A) -> Asking<A, R> {
        let (time, limits) = (query.time(), AskLimits::DEFAULT);
        let client = self.clone();
        Asking { client, query, args: Some(args), time, limits, running: None }
    }
}

/// A query that is asked; it resolves to the answer.
#[must_use = "a query does nothing unless its answer is awaited"]
pub struct Asking<A, R> {
    client: Client,
    query: Query<A, R>,
    args: Option<A>,
    time: Duration,
    limits: AskLimits,
    running: Option<Asked<R>>,
}

/// A query that has begun.
struct Asked<R> {
    query: Caught<R>,
    name: &'static str,
    budget: Arc<Budget>,
    timer: Option<Timer>,
}

impl<A, R> Asking<A, R> {
    /// How long it may take, in place of [what the query says](Query::timeout).
    pub fn timeout(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// How much it may take, in place of [`AskLimits::DEFAULT`].
    pub fn limits(self, limits: AskLimits) -> Self {
        Self { limits, ..self }
    }
}

impl<A: Send + 'static, R: Send + 'static> Asking<A, R> {
    /// Begins, with the first poll.
    fn begin(&mut self) -> Result<Asked<R>, AskError> {
        let Some(args) = self.args.take() else {
            return Err(crate::error::AskErrorKind::Cancelled.into());
        };
        let name = self.query.name();
        let entry = self.client.handles.query(&*self.client.engine, self.query);
        let entry = entry.map_err(|kind| AskError::from(kind).within(name))?;
        let budget = Arc::new(Budget::new(self.time, self.limits));
        let ask = Ask::new(self.client.clone(), Arc::clone(&budget), Arc::clone(&entry));
        let query = ask.run(entry, args);
        Ok(Asked { query, name, budget, timer: None })
    }
}

/// Nothing in it is pinned.
impl<A, R> Unpin for Asking<A, R> {}

impl<A: Send + 'static, R: Send + 'static> Future for Asking<A, R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let asking = &mut *self;
        let asked = match &mut asking.running {
            Some(asked) => asked,
            None => {
                let asked = asking.begin()?;
                asking.running.insert(asked)
            }
        };
        let answered = match asked.poll(context, &asking.client) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(answered) => answered,
        };
        asking.running = None;
        Poll::Ready(answered)
    }
}

impl<R> Asked<R> {
    fn poll(&mut self, context: &mut Context<'_>, client: &Client) -> Poll<Result<R, AskError>> {
        // Not before the first poll, which comes at once.
        if self.timer.is_some() {
            self.check()?;
        }
        if let Poll::Ready(answered) = Pin::new(&mut self.query).poll(context) {
            return Poll::Ready(answered);
        }
        self.budget.wait(context.waker());
        if self.timer.is_none() {
            let budget = Arc::clone(&self.budget);
            let wake = Box::new(move || budget.wake());
            let timer = client.engine.pool().map(|pool| pool.after(self.budget.left(), wake));
            self.timer = Some(timer.unwrap_or_else(|| Box::new(())));
        }
        // The time may have been over before somebody could be woken.
        self.check()?;
        Poll::Pending
    }

    fn check(&self) -> Result<(), AskError> {
        self.budget.check().map_err(|kind| AskError::from(kind).within(self.name))
    }
}

impl<R> Drop for Asked<R> {
    fn drop(&mut self) {
        self.budget.cancel();
    }
}

impl<A, R> fmt::Debug for Asking<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("query", &self.query.name()).finish_non_exhaustive()
    }
}
