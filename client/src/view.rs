//! Several reads of one moment.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use gridmill_model::path::{Carry, Limits, Navigate, Path, PathError, Selected, Walk};
use gridmill_model::{PState, Root, RouteKey};
use parking_lot::Mutex;

use crate::client::Client;
use crate::engine::Held;
use crate::error::ReadError;
use crate::handles::PStateRef;
use crate::select::{Store, failed, store_of};

/// The partition of a key, as of one moment: see [`Client::view_of`].
pub struct KeyView {
    client: Client,
    key: RouteKey,
    held: Mutex<Vec<Arc<Held>>>,
}

impl Client {
    /// A view of the partition that `key` belongs to: all that is selected in it is of one moment, whichever
    /// PStates of a module it is in. The moment is that of the first select; appends that were answered before
    /// it are in it.
    ///
    /// What is overwritten meanwhile is kept in memory for the view: let go of it soon.
    ///
    /// ```
    /// # use gridmill_client::{Client, ReadError};
    /// use gridmill_model::prelude::*;
    ///
    /// const BALANCES: PState<Map<Str, i64>> = PState::new("bank/balances");
    /// const PAYMENTS: PState<Map<Str, List<i64>>> = PState::new("bank/payments");
    ///
    /// async fn statement(client: Client, who: &str) -> Result<(i64, Vec<i64>), ReadError> {
    ///     let view = client.view_of(who);
    ///     let balance = view.select_one(BALANCES.key(who)).await?.unwrap_or_default();
    ///     // The newest first; they fit the balance.
    ///     Ok((balance, view.select(PAYMENTS.key(who).last_n(20).all_rev()).await?))
    /// }
    /// ```
    pub fn view_of(&self, key: impl Into<RouteKey>) -> KeyView {
        KeyView { client: self.clone(), key: key.into(), held: Mutex::new(Vec::new()) }
    }
}

impl KeyView {
    /// The values that `path` reaches, in order. A path that does not start with a key is looked up in the
    /// partition of the view.
    ///
    /// # Errors
    /// [`OtherPartition`](ReadError::OtherPartition) where the path leads to another partition, which is of
    /// another moment; otherwise as with [`Client::select`].
    pub async fn select<N: Navigate>(&self, path: N) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path.into_path();
        let limits = self.client.limits(0);
        self.look(&path, |store| path.select_view(store, limits))
    }

    /// The one value that `path` reaches, or `None` where there is nothing.
    ///
    /// # Errors
    /// As with [`select`](Self::select); [`NotOne`](ReadError::NotOne) where there is more than one value.
    pub async fn select_one<N: Navigate>(&self, path: N) -> Result<Option<Selected<N>>, ReadError> {
        let path = path.into_path();
        let limits = Limits { bytes: self.client.bytes, ..Limits::DEFAULT };
        self.look(&path, |store| path.select_one_view(store, limits))
    }

    /// The position after the last record of the partition's log that the view shows, in the module of `pstate`.
    /// An append whose receipt has a position before that is in it.
    ///
    /// # Errors
    /// As with [`select`](Self::select).
    pub async fn end<R: Root>(&self, pstate: PState<R>) -> Result<u64, ReadError> {
        let found = self.client.pstate(&pstate.into_path())?;
        let partition = self.key.partition(found.module_partitions);
        self.hold(found, partition).map(|held| held.end)
    }

    /// Has `walk` look at the view of the path's PState.
    fn look<R: Root, L: Walk, C: Carry, T>(
        &self,
        path: &Path<R, L, C>,
        mut walk: impl FnMut(&Store<R>) -> Result<T, PathError>,
    ) -> Result<T, ReadError> {
        let pstate = self.client.pstate(path)?;
        let partition = self.partition(pstate, path)?;
        let (engine, partial) = (&self.client.engine, self.client.partial);
        let mut answer = None;
        let mut read = |root: &dyn Any| answer = store_of::<R>(root).map(&mut walk);
        for held in self.held() {
            if engine.view_held(&held, pstate.id, partial, &mut read)? {
                return self.answered(answer, partition, path);
            }
        }
        let held = self.hold(pstate, partition)?;
        engine.view_held(&held, pstate.id, partial, &mut read)?;
        self.answered(answer, partition, path)
    }

    fn held(&self) -> Vec<Arc<Held>> {
        self.held.lock().clone()
    }

    /// Keeps the state of a module's partition; of two that are first at once, one is kept.
    fn hold(&self, pstate: PStateRef, partition: u32) -> Result<Arc<Held>, ReadError> {
        let mut all = self.held.lock();
        let (engine, partial) = (&self.client.engine, self.client.partial);
        for held in all.iter() {
            if engine.view_held(held, pstate.id, partial, &mut |_| {})? {
                return Ok(Arc::clone(held));
            }
        }
        let held = Arc::new(engine.hold(pstate.id, partition)?);
        all.push(Arc::clone(&held));
        Ok(held)
    }

    fn answered<R: Root, L: Walk, C: Carry, T>(
        &self,
        answer: Option<Result<T, PathError>>,
        partition: u32,
        path: &Path<R, L, C>,
    ) -> Result<T, ReadError> {
        match answer {
            Some(answer) => answer.map_err(|error| failed(error, path)),
            None => Err(ReadError::Stopped { partition, reason: "it lent no such view".into() }),
        }
    }

    /// The partition of the view, if the path leads nowhere else.
    fn partition<R: Root, L: Walk, C: Carry>(
        &self,
        pstate: PStateRef,
        path: &Path<R, L, C>,
    ) -> Result<u32, ReadError> {
        let partitions = pstate.module_partitions;
        let partition = self.key.partition(partitions);
        let got = if pstate.partitions == 1 { Some(0) } else { path.partition(pstate.partitions) };
        match got.filter(|got| *got != partition) {
            None => Ok(partition),
            Some(got) => Err(ReadError::OtherPartition {
                pstate: path.pstate_name().to_owned(),
                path: path.to_string(),
                partition,
                got,
            }),
        }
    }
}

impl fmt::Debug for KeyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyView").field("key", &self.key).finish_non_exhaustive()
    }
}
