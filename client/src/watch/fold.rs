//! Watches of all partitions, put together.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use gridmill_model::State;
use gridmill_model::aggregate::Aggregate;

use crate::error::WatchError;

use super::Watch;

/// One watch a partition, made by [`Client::watch_all`](crate::Client::watch_all).
#[must_use = "nothing is watched before `fold` or `list`"]
pub struct WatchAll<V>(Result<Vec<Watch<V>>, WatchError>);

impl<V: State> WatchAll<V> {
    pub(super) fn new(watches: Result<Vec<Watch<V>>, WatchError>) -> Self {
        Self(watches)
    }

    /// What the values of the partitions come to: a stream of that as it is, once all partitions have a value or say
    /// that there is none, and of each change.
    ///
    /// Values of different partitions are of different moments.
    ///
    /// ```
    /// # use gridmill_client::{Client, WatchError};
    /// use gridmill_model::aggregate::Sum;
    /// use gridmill_model::prelude::*;
    ///
    /// const SCORES: PState<Map<Str, u64>> = PState::new("game/scores");
    ///
    /// async fn players(client: Client) -> Result<(), WatchError> {
    ///     let mut players = client.watch_all(SCORES.len()).fold(Sum::new())?;
    ///     while let Some(change) = players.next().await {
    ///         println!("{} players", change?.new);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As with [`Client::watch`](crate::Client::watch). The stream ends with the error of the first partition that
    /// does, or where the aggregator cannot take a value.
    pub fn fold<G: Aggregate<In = V>>(self, with: G) -> Result<Folded<G>, WatchError> {
        let watches = self.0?;
        let begun = vec![false; watches.len()];
        Ok(Folded { watches, with, begun, old: None, ended: false })
    }

    /// The watches, by partition.
    ///
    /// # Errors
    /// As with [`Client::watch`](crate::Client::watch).
    pub fn list(self) -> Result<Vec<Watch<V>>, WatchError> {
        self.0
    }
}

/// What watched values of all partitions come to: a stream. See [`WatchAll::fold`].
#[must_use = "dropping it ends the watches"]
pub struct Folded<G: Aggregate> {
    watches: Vec<Watch<G::In>>,
    with: G,
    begun: Vec<bool>,
    old: Option<G::Out>,
    ended: bool,
}

/// A change of what values of all partitions come to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoldedChange<O> {
    /// What it was; `None` at first.
    pub old: Option<O>,
    /// What it is.
    pub new: O,
}

impl<G: Aggregate> Folded<G>
where
    G::In: State,
    G::Out: Clone + PartialEq,
{
    /// The next change; `None` behind the error that it ended with. It is safe to drop the future.
    pub async fn next(&mut self) -> Option<Result<FoldedChange<G::Out>, WatchError>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// What it came to at the last item.
    pub fn value(&self) -> Option<&G::Out> {
        self.old.as_ref()
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<FoldedChange<G::Out>, WatchError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let (mut changed, mut ended) = (false, None);
        for (watch, begun) in self.watches.iter_mut().zip(&mut self.begun) {
            while let Poll::Ready(Some(item)) = watch.poll(context) {
                match item {
                    Ok(_) => (changed, *begun) = (true, true),
                    Err(error) => ended = Some(error),
                }
            }
        }
        if let Some(error) = ended {
            return self.end(error);
        }
        if !changed || self.begun.contains(&false) {
            return Poll::Pending;
        }
        let values = self.watches.iter().filter_map(|watch| watch.value().cloned());
        let new = match self.with.over(values) {
            Ok(new) => new,
            Err(error) => return self.end(error.into()),
        };
        if self.old.as_ref() == Some(&new) {
            return Poll::Pending;
        }
        let old = self.old.replace(new.clone());
        Poll::Ready(Some(Ok(FoldedChange { old, new })))
    }

    fn end(&mut self, error: WatchError) -> Poll<Option<Result<FoldedChange<G::Out>, WatchError>>> {
        self.ended = true;
        self.watches.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl<G: Aggregate> Stream for Folded<G>
where
    G::In: State,
    G::Out: Clone + PartialEq,
{
    type Item = Result<FoldedChange<G::Out>, WatchError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(context)
    }
}

// Nothing in it is ever pinned.
impl<G: Aggregate> Unpin for Folded<G> {}

impl<V> fmt::Debug for WatchAll<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchAll").finish_non_exhaustive()
    }
}

impl<G: Aggregate> fmt::Debug for Folded<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folded").field("partitions", &self.watches.len()).finish_non_exhaustive()
    }
}
