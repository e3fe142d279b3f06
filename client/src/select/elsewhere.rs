//! Selects that take long: on threads for that, all partitions at once.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gridmill_model::Root;
use gridmill_model::path::{Carry, Limits, Path, PathError, PathErrorKind, Walk};

use crate::client::Client;
use crate::engine::{AnyRoot, Engine, Held};
use crate::error::ReadError;
use crate::handles::PStateRef;
use crate::work::{self, Broken, Started};

use super::{Store, failed, store_of};

/// One partition, as it was when the select came to it.
pub(crate) struct Elsewhere {
    engine: Arc<dyn Engine>,
    held: Held,
    root: AnyRoot,
}

/// The one value that a path reaches.
pub(super) async fn one<R: Root, L: Walk, C: Carry>(
    client: Client,
    pstate: PStateRef,
    partition: u32,
    path: Path<R, L, C>,
) -> Result<Option<C::With<L>>, ReadError> {
    let there = Elsewhere::of(&client, pstate, partition)?;
    let limits = client.one_limits();
    let walk = move |wanted: &dyn Fn() -> bool| {
        there.walk(&path, wanted, |store, going| path.one_view(store, limits, going))
    };
    end(work::start(&*client.engine, walk).await, partition).await
}

/// The values that a path reaches on these partitions, where `found` were found before.
pub(super) async fn many<R: Root, L: Walk, C: Carry>(
    client: Client,
    pstate: PStateRef,
    partitions: RangeInclusive<u32>,
    path: Path<R, L, C>,
    found: usize,
) -> Result<Vec<C::With<L>>, ReadError> {
    let path = Arc::new(path);
    let limits = client.limits(found);
    // Results are counted over all partitions together.
    let left = Arc::new(AtomicU64::new(limits.results));
    let mut under_way = Vec::new();
    for partition in partitions {
        let there = Elsewhere::of(&client, pstate, partition)?;
        let (path, left) = (Arc::clone(&path), Arc::clone(&left));
        let walk = move |wanted: &dyn Fn() -> bool| there.many(&path, limits, &left, wanted);
        under_way.push((partition, work::start(&*client.engine, walk).await));
    }
    let mut values = Vec::new();
    for (partition, started) in under_way {
        values.append(&mut end(started, partition).await?);
    }
    Ok(values)
}

impl Elsewhere {
    fn of(client: &Client, pstate: PStateRef, partition: u32) -> Result<Self, ReadError> {
        let engine = Arc::clone(&client.engine);
        let held = engine.hold(pstate.id, partition)?;
        Self::new(engine, held, pstate, client.partial)
    }

    /// A PState of a partition that is kept.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        held: Held,
        pstate: PStateRef,
        partial: bool,
    ) -> Result<Self, ReadError> {
        let root = engine.held_root(&held, pstate.id, partial)?;
        Ok(Self { engine, held, root })
    }

    fn many<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
        limits: Limits,
        left: &AtomicU64,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<C::With<L>>, ReadError> {
        let (mut values, enough) = (Vec::new(), Cell::new(false));
        let mut each = |value| match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => values.push(value),
            Err(_) => enough.set(true),
        };
        let walked = self.walk(path, &|| !enough.get() && wanted(), |store, going| {
            path.each_view(store, limits, going, &mut each)
        });
        if enough.get() {
            return Err(PathError::over(path.pstate_name(), "results", limits.results).into());
        }
        walked.map(|_| values)
    }

    /// Walks as long as somebody waits for it, and the partition's state is kept.
    pub(crate) fn walk<R: Root, L: Walk, C: Carry, T>(
        &self,
        path: &Path<R, L, C>,
        wanted: &dyn Fn() -> bool,
        walk: impl FnOnce(&Store<R>, &dyn Fn() -> bool) -> Result<T, PathError>,
    ) -> Result<T, ReadError> {
        let stopped = Cell::new(None);
        let kept = || self.engine.check_held(&self.held).map_err(|error| stopped.set(Some(error)));
        let Some(store) = store_of::<R>(&*self.root) else {
            unreachable!("a path's PState was matched with its type when it was found");
        };
        walk(store, &|| wanted() && kept().is_ok()).map_err(|error| match stopped.take() {
            Some(stopped) if *error.kind() == PathErrorKind::Interrupted => stopped,
            _ => failed(error, path),
        })
    }
}

fn less(left: u64) -> Option<u64> {
    left.checked_sub(1)
}

/// The end of a walk. What its own steps panic with goes on in the caller, as it would have there.
pub(crate) async fn end<T>(
    started: Started<Result<T, ReadError>>,
    partition: u32,
) -> Result<T, ReadError> {
    match started.end().await {
        Ok(walked) => walked,
        Err(Broken::Panicked(panic)) => resume_unwind(panic),
        Err(Broken::Lost) => {
            let reason = "the grid has stopped".to_owned();
            Err(ReadError::Stopped { partition, reason })
        }
    }
}
