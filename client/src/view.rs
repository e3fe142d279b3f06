//! Several reads of one moment.

use std::fmt;
use std::sync::Arc;

use gridmill_model::path::{Carry, Navigate, Path, PathError, Selected, Walk};
use gridmill_model::{PState, Root, RouteKey};

use crate::client::Client;
use crate::error::ReadError;
use crate::handles::PStateRef;
use crate::select::elsewhere::{Elsewhere, end};
use crate::select::{Here, Store};
use crate::views::ViewSet;
use crate::work;

/// The partition of a key, as of one moment: see [`Client::view_of`].
pub struct KeyView {
    client: Client,
    key: RouteKey,
    views: ViewSet,
}

impl Client {
    /// A view of the partition that `key` belongs to: all that is selected in it is of one moment, whichever
    /// PStates of a module it is in. The moment is that of the first select; appends that were answered before
    /// it are in it.
    ///
    /// What is overwritten meanwhile is kept in memory for the view: let go of it soon. Where it is too much, the grid
    /// lets go of it, and selects are refused with [`LetGo`](ReadError::LetGo).
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
        KeyView { client: self.clone(), key: key.into(), views: ViewSet::default() }
    }
}

impl KeyView {
    /// The values that `path` reaches, in order. A path that does not start with a key is looked up in the
    /// partition of the view.
    ///
    /// # Errors
    /// [`OtherPartition`](ReadError::OtherPartition) where the path leads to another partition, which is of
    /// another moment; [`LetGo`](ReadError::LetGo) where the view was held for too long; otherwise as with
    /// [`Client::select`].
    pub async fn select<N: Navigate>(&self, path: N) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path.into_path();
        let limits = self.client.limits(0);
        self.look(path, move |path, store, going| {
            let mut values = Vec::new();
            path.each_view(store, limits, going, &mut |value| values.push(value))?;
            Ok(values)
        })
        .await
    }

    /// The one value that `path` reaches, or `None` where there is nothing.
    ///
    /// # Errors
    /// As with [`select`](Self::select); [`NotOne`](ReadError::NotOne) where there is more than one value.
    pub async fn select_one<N: Navigate>(&self, path: N) -> Result<Option<Selected<N>>, ReadError> {
        let limits = self.client.one_limits();
        self.look(path.into_path(), move |path, store, going| path.one_view(store, limits, going))
            .await
    }

    /// The position after the last record of the partition's log that the view shows, in the module of `pstate`.
    /// An append whose receipt has a position before that is in it.
    ///
    /// # Errors
    /// As with [`select`](Self::select).
    pub async fn end<R: Root>(&self, pstate: PState<R>) -> Result<u64, ReadError> {
        let found = self.client.pstate(&pstate.into_path())?;
        let partition = self.key.partition(found.module_partitions);
        Ok(self.views.get(&*self.client.engine, found, partition)?.end)
    }

    /// Has `walk` look at the view of the path's PState.
    async fn look<R: Root, L: Walk, C: Carry, T: Send + 'static>(
        &self,
        path: Path<R, L, C>,
        walk: impl Fn(&Path<R, L, C>, &Store<R>, &dyn Fn() -> bool) -> Result<T, PathError>
        + Send
        + 'static,
    ) -> Result<T, ReadError> {
        let pstate = self.client.pstate(&path)?;
        let partition = self.partition(pstate, &path)?;
        let engine = Arc::clone(&self.client.engine);
        let held = self.views.get(&*engine, pstate, partition)?;
        let there = Elsewhere::new(engine, held, pstate, self.client.partial)?;
        let walk = move |wanted: &dyn Fn() -> bool| {
            there.walk(&path, wanted, |store, going| walk(&path, store, going))
        };
        match Here::walk(&walk) {
            Some(walked) => walked,
            None => end(work::start(&*self.client.engine, walk).await, partition).await,
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
