//! Selects of a query.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use gridmill_model::Root;
use gridmill_model::path::{Carry, Limits, Path, PathError, PathErrorKind, Walk};

use crate::engine::AnyRoot;
use crate::error::{AskError, AskErrorKind, ReadError};
use crate::handles::PStateRef;
use crate::select::{Here, Store, failed, own_partition, store_of};
use crate::work::{self, Broken};

use super::Ask;
use super::caught::said;
use super::gather::{Gather, Shown, Source};
use super::guard::Guard;

/// How many places pass between two questions whether to go on; see `Visit`.
const PLACES_AT_ONCE: u64 = 1024;

/// After how many selects that are answered at once the caller's other tasks have a turn.
const SELECTS_AT_ONCE: u32 = 64;

/// The root that a path of a query reads, on one partition.
struct Reading {
    root: AnyRoot,
    guard: Guard,
    partition: u32,
}

impl Ask {
    pub(super) async fn many<R: Root, L: Walk, C: Carry>(
        &self,
        path: Path<R, L, C>,
    ) -> Result<Vec<C::With<L>>, AskError> {
        let reading = self.reading(&path)?;
        match Here::walk(|wanted| reading.many(&path, wanted)) {
            Some(walked) => self.at_once(walked).await,
            None => {
                self.elsewhere(reading, move |reading, wanted| reading.many(&path, wanted)).await
            }
        }
    }

    pub(super) async fn one<R: Root, L: Walk, C: Carry>(
        &self,
        path: Path<R, L, C>,
    ) -> Result<Option<C::With<L>>, AskError> {
        let reading = self.reading(&path)?;
        match Here::walk(|wanted| reading.one(&path, wanted)) {
            Some(walked) => self.at_once(walked).await,
            None => {
                self.elsewhere(reading, move |reading, wanted| reading.one(&path, wanted)).await
            }
        }
    }

    pub(super) fn everywhere<R: Root, L: Walk, C: Carry>(
        &self,
        path: Path<R, L, C>,
    ) -> Gather<C::With<L>> {
        let sources = self.pstate(&path).map(|pstate| {
            let path = Arc::new(path);
            let sources = (0..pstate.partitions)
                .map(|partition| (partition, self.source(pstate, partition, Arc::clone(&path))));
            sources.collect()
        });
        Gather::new(self.clone(), None, sources.map_err(AskError::from))
    }

    /// What a path reaches on one partition.
    fn source<R: Root, L: Walk, C: Carry>(
        &self,
        pstate: PStateRef,
        partition: u32,
        path: Arc<Path<R, L, C>>,
    ) -> Source<C::With<L>> {
        let ask = self.clone();
        Box::new(move |shown, show| {
            let reading = ask.reading_on(pstate, partition)?;
            reading.each(&path, shown, show)
        })
    }

    /// What was found at once; now and then the caller's other tasks have their turn before.
    async fn at_once<T>(&self, walked: Result<T, AskError>) -> Result<T, AskError> {
        let selects = self.shared.selects.fetch_add(1, Ordering::Relaxed);
        if selects % SELECTS_AT_ONCE == SELECTS_AT_ONCE - 1 {
            yield_now().await;
        }
        walked
    }

    /// Walks on a thread for what takes long, from the beginning: a select has no effects.
    async fn elsewhere<T: Send + 'static>(
        &self,
        reading: Reading,
        walk: impl FnOnce(&Reading, &dyn Fn() -> bool) -> Result<T, AskError> + Send + 'static,
    ) -> Result<T, AskError> {
        let partition = reading.partition;
        let started = work::start(&*self.client().engine, move |wanted| walk(&reading, wanted));
        let ended = match started.await.end().await {
            Ok(walked) => walked,
            Err(Broken::Panicked(panic)) => Err(said(panic).into()),
            Err(Broken::Lost) => {
                let reason = "the grid has stopped".to_owned();
                Err(ReadError::Stopped { partition, reason }.into())
            }
        };
        ended.map_err(|error| error.on(partition))
    }

    /// The PState of a path, if this query may read it.
    fn pstate<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
    ) -> Result<PStateRef, AskErrorKind> {
        // A query may select for ever without ever waiting.
        self.budget().check()?;
        let (client, name) = (self.client(), path.pstate_name());
        let pstate = client.handles.pstate_of_any::<R>(&*client.engine, name)?;
        if pstate.private && pstate.module != self.entry.module {
            return Err(ReadError::Private { pstate: name.to_owned() }.into());
        }
        Ok(pstate)
    }

    fn reading<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
    ) -> Result<Reading, AskError> {
        let pstate = self.pstate(path)?;
        self.reading_on(pstate, own_partition(pstate, path)?)
    }

    fn reading_on(&self, pstate: PStateRef, partition: u32) -> Result<Reading, AskError> {
        let client = self.client();
        let held = self.views().get(&*client.engine, pstate, partition);
        let held = held.map_err(|error| AskError::from(error).on(partition))?;
        let root = client.engine.held_root(&held, pstate.id, client.partial);
        let root = root.map_err(|error| AskError::from(error).on(partition))?;
        let guard = Guard::new(Arc::clone(&client.engine), Arc::clone(self.budget()), held);
        Ok(Reading { root, guard, partition })
    }
}

impl Reading {
    fn many<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<C::With<L>>, AskError> {
        let mut values = Vec::new();
        self.each(path, Shown { wanted, kept: true }, &mut |value| {
            values.push(value);
            true
        })?;
        Ok(values)
    }

    fn each<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
        Shown { wanted, kept }: Shown<'_>,
        show: &mut dyn FnMut(C::With<L>) -> bool,
    ) -> Result<(), AskError> {
        let enough = Cell::new(false);
        let bytes = self.walk(path, &|| !enough.get() && wanted(), |store, limits, going| {
            let limits = if kept { limits } else { Limits { bytes: u64::MAX, ..limits } };
            path.each_view(store, limits, going, &mut |value| {
                if !enough.get() {
                    enough.set(!show(value));
                }
            })
        });
        match bytes {
            Ok(bytes) if kept => Ok(self.guard.budget.take_bytes(bytes)?),
            Ok(_) => Ok(()),
            // Whoever had enough knows why.
            Err(_) if enough.get() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn one<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<C::With<L>>, AskError> {
        self.walk(path, wanted, |store, limits, going| path.one_view(store, limits, going))
    }

    fn walk<R: Root, L: Walk, C: Carry, T>(
        &self,
        path: &Path<R, L, C>,
        wanted: &dyn Fn() -> bool,
        walk: impl FnOnce(&Store<R>, Limits, &dyn Fn() -> bool) -> Result<T, PathError>,
    ) -> Result<T, AskError> {
        let budget = &self.guard.budget;
        let limits =
            Limits { results: u64::MAX, places: budget.limits.places, bytes: budget.bytes_left() };
        let stopped = Cell::new(None);
        let going = || {
            let checked = self.guard.count(PLACES_AT_ONCE).map_err(|kind| stopped.set(Some(kind)));
            checked.is_ok() && wanted()
        };
        let Some(store) = store_of::<R>(&*self.root) else {
            unreachable!("a path's PState was matched with its type when it was found");
        };
        walk(store, limits, &going).map_err(|error| match (stopped.take(), error.kind()) {
            (Some(kind), PathErrorKind::Interrupted) => kind.into(),
            (None, PathErrorKind::Interrupted) => AskErrorKind::Cancelled.into(),
            _ => AskError::from(failed(error, path)).on(self.partition),
        })
    }
}

/// Lets the other tasks of the caller's thread go before this one, once.
async fn yield_now() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
