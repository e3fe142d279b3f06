//! Watches: a value of a PState, and how it goes on.

mod change;
mod fold;
mod inbox;
mod scope;
mod topic;

use std::any::TypeId;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_core::Stream;
use gridmill_model::diff::Diff;
use gridmill_model::path::{Carry, Navigate, Path, Selected, Walk, encode_steps};
use gridmill_model::{Root, RouteKey, State};

use crate::client::Client;
use crate::engine::{Scope, TopicName, WatchGuard, WatchOrder};
use crate::error::{ReadError, WatchError};
use crate::handles::PStateRef;
use crate::select::own_partition;

pub use change::Change;
pub use fold::{Folded, FoldedChange, WatchAll};
use inbox::{Inbox, Taken};
use topic::Watched;

impl Client {
    /// Watches the one value that `path` reaches, on the partition that owns its first key: a stream of the value as it is
    /// and of each change from then on.
    ///
    /// The first item has the value, `None` where there is none, with [`resync`](Change::resync). Each further one
    /// goes on from the one before: its [`old`](Change::old) is what was `new` there, and its [`diff`](Change::diff) says
    /// what changed. No change is missed, values come in the order of the log, and never go back, also not when the
    /// partition restarts. Under load, or where the watcher is slow, several changes come as one. A watcher that does
    /// not keep up with 256 changes, or 1 MiB of them, gets the value as it is then, again with `resync`. Writers
    /// never wait for watchers.
    ///
    /// Values are those that readers see, compared with `==`: a batch that leaves the value as it was brings nothing.
    /// A path that takes long to evaluate is evaluated less often, so that it takes a tenth of a core at most. Watchers of the same path share
    /// one evaluation. Dropping the stream ends the watch.
    ///
    /// ```
    /// # use gridmill_client::{Client, WatchError};
    /// use gridmill_model::diff::EditKind;
    /// use gridmill_model::prelude::*;
    ///
    /// const TODOS: PState<Map<Str, List<Str>>> = PState::new("todo/todos");
    ///
    /// async fn show(client: Client, who: &str) -> Result<(), WatchError> {
    ///     let mut todos = client.watch(TODOS.key(who)).await?;
    ///     while let Some(change) = todos.next().await {
    ///         let change = change?;
    ///         for edit in change.diff.edits() {
    ///             if let EditKind::Inserted { at, value } = edit.kind() {
    ///                 println!("todo {at} is new: {:?}", value.decode::<Str>());
    ///             }
    ///         }
    ///         println!("{} todos", change.new.map_or(0, |todos| todos.len()));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`WatchError::Read`] as with [`select`](Self::select); a PState that is catching up with its depots' past is
    /// watched by a client that allows [`partial`](Self::partial) answers: its first item comes when it has caught up.
    /// [`TooMany`](WatchError::TooMany) where the partition has as many watches as it takes. The stream ends with an
    /// error where the path fails ten times in a row ([`Failed`](WatchError::Failed): it reaches more than one value,
    /// or one that is larger than the client's [limit](Self::with_bytes)), and where the partition stops for good.
    pub async fn watch<N: Navigate>(&self, path: N) -> Result<Watch<Selected<N>>, WatchError>
    where
        Selected<N>: State,
    {
        let path = path.into_path();
        let pstate = self.pstate(&path)?;
        let partition = own_partition(pstate, &path)?;
        self.watch_at(pstate, partition, path)
    }

    /// Watches what `path` reaches on the partition that `partition_key` belongs to, as
    /// [`select_in`](Self::select_in) reads it.
    ///
    /// # Errors
    /// As with [`watch`](Self::watch).
    pub async fn watch_in<N: Navigate>(
        &self,
        partition_key: impl Into<RouteKey>,
        path: N,
    ) -> Result<Watch<Selected<N>>, WatchError>
    where
        Selected<N>: State,
    {
        let path = path.into_path();
        let pstate = self.pstate(&path)?;
        let partition = partition_key.into().partition(pstate.partitions);
        self.watch_at(pstate, partition, path)
    }

    /// Watches what `path` reaches on the partition of that number.
    ///
    /// # Errors
    /// [`BadPartition`](ReadError::BadPartition) where there is no such partition, and otherwise as with
    /// [`watch`](Self::watch).
    pub async fn watch_on<N: Navigate>(
        &self,
        partition: u32,
        path: N,
    ) -> Result<Watch<Selected<N>>, WatchError>
    where
        Selected<N>: State,
    {
        let path = path.into_path();
        let pstate = self.pstate(&path)?;
        if partition >= pstate.partitions {
            let (name, expected) = (path.pstate_name().to_owned(), pstate.partitions);
            return Err(ReadError::BadPartition { name, expected, got: partition }.into());
        }
        self.watch_at(pstate, partition, path)
    }

    /// Watches what `path` reaches on every partition, to be put together with [`fold`](WatchAll::fold).
    pub fn watch_all<N: Navigate>(&self, path: N) -> WatchAll<Selected<N>>
    where
        Selected<N>: State,
    {
        WatchAll::new(self.every(path.into_path()))
    }

    fn every<R: Root, L: Walk, C: Carry>(
        &self,
        path: Path<R, L, C>,
    ) -> Result<Vec<Watch<C::With<L>>>, WatchError>
    where
        C::With<L>: State,
    {
        let pstate = self.pstate(&path)?;
        (0..pstate.partitions).map(|at| self.watch_at(pstate, at, path.clone())).collect()
    }

    fn watch_at<R: Root, L: Walk, C: Carry>(
        &self,
        pstate: PStateRef,
        partition: u32,
        path: Path<R, L, C>,
    ) -> Result<Watch<C::With<L>>, WatchError>
    where
        C::With<L>: State,
    {
        let limits = self.one_limits();
        // A step with code in it cannot be told from another.
        let steps = encode_steps(path.pstate_name(), path.steps()).ok();
        let of = TypeId::of::<Watched<R, L, C>>();
        let seat: Arc<OnceLock<Seat<C::With<L>>>> = Arc::default();
        let (inbox, taken) = (Arc::new(Inbox::default()), Arc::clone(&seat));
        let mine = Arc::clone(&inbox);
        let guard = self.engine.watch(WatchOrder {
            pstate: pstate.id,
            partition,
            partial: self.partial,
            scope: if R::KEYED { scope::scope(path.steps()) } else { Scope::Root },
            name: steps.map(|steps| TopicName { steps, of, bytes: limits.bytes }),
            topic: Box::new(move || Arc::new(Watched::new(path, partition, limits))),
            join: Box::new(move |topic| {
                let Ok(topic) = topic.into_any().downcast::<Watched<R, L, C>>() else {
                    unreachable!("the name of a topic has its type");
                };
                let number = topic.join(&mine);
                let _ = taken.set(Seat { number, topic: Box::new(topic) });
                number
            }),
        })?;
        Ok(Watch { inbox, partition, seat, guard: Some(guard), current: None, at: 0 })
    }
}

/// Where a watcher is counted.
struct Seat<V> {
    number: u64,
    topic: Box<dyn Leave<V>>,
}

/// What a watcher may do with its topic, whatever its path.
trait Leave<V>: Send + Sync {
    fn leave(&self, number: u64);
}

impl<R: Root, L: Walk, C: Carry> Leave<C::With<L>> for Arc<Watched<R, L, C>>
where
    C::With<L>: State,
{
    fn leave(&self, number: u64) {
        Watched::leave(self, number);
    }
}

/// A watched value: a stream of its changes. See [`Client::watch`].
#[must_use = "dropping it ends the watch"]
pub struct Watch<V> {
    inbox: Arc<Inbox<V>>,
    partition: u32,
    seat: Arc<OnceLock<Seat<V>>>,
    /// `None` once it has ended.
    guard: Option<WatchGuard>,
    /// As of the last item; `None` before the first.
    current: Option<Option<V>>,
    at: u64,
}

impl<V: State> Watch<V> {
    /// The next change; `None` behind the error that it ended with. It is safe to drop the future.
    pub async fn next(&mut self) -> Option<Result<Change<V>, WatchError>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// The value as of the last item: a look into memory. `None` before the first item, and where there is none.
    pub fn value(&self) -> Option<&V> {
        self.current.as_ref()?.as_ref()
    }

    /// The [position](Change::at) of the last item, 0 before the first.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The partition that is watched.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Change<V>, WatchError>>> {
        if self.guard.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(taken) = self.inbox.poll(context) else { return Poll::Pending };
        Poll::Ready(Some(match taken {
            Taken::Change(diff, newest, at) => Ok(self.go_on(diff, newest, at)),
            Taken::Resync(value, at) => {
                Ok(self.change((*value).clone(), Diff::default(), at, true))
            }
            Taken::Ended(error) => {
                self.guard = None;
                Err(error)
            }
        }))
    }

    /// The value behind a change; where others follow, that change makes it of the one before.
    fn go_on(&mut self, diff: Arc<Diff>, newest: Option<Arc<Option<V>>>, at: u64) -> Change<V> {
        let diff = Arc::unwrap_or_clone(diff);
        let new = match newest {
            Some(newest) => (*newest).clone(),
            None => {
                let mut value = self.current.clone().flatten();
                if let Err(error) = diff.apply(&mut value) {
                    unreachable!("a change goes on from the one before: {error}");
                }
                value
            }
        };
        self.change(new, diff, at, false)
    }

    fn change(&mut self, new: Option<V>, diff: Diff, at: u64, resync: bool) -> Change<V> {
        self.at = at;
        let old = self.current.replace(new.clone()).flatten();
        Change { old, new, diff, at, partition: self.partition, resync }
    }
}

impl<V: State> Stream for Watch<V> {
    type Item = Result<Change<V>, WatchError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(context)
    }
}

// Nothing in it is ever pinned.
impl<V> Unpin for Watch<V> {}

impl<V> Drop for Watch<V> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.get() {
            seat.topic.leave(seat.number);
        }
    }
}

impl<V: State> fmt::Debug for Watch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("partition", &self.partition)
            .field("at", &self.at)
            .field("value", &self.current)
            .finish_non_exhaustive()
    }
}
