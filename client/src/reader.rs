//! One PState, found once.

use std::fmt;

use gridmill_model::path::{Navigate, Selected};
use gridmill_model::{PState, Root};

use crate::client::Client;
use crate::error::ReadError;
use crate::handles::PStateRef;
use crate::select::own_partition;

/// A PState that was found and whose type was checked: see [`Client::reader`].
pub struct Reader<R: Root> {
    client: Client,
    pstate: PState<R>,
    found: PStateRef,
}

impl Client {
    /// Finds a PState and checks its type, so that selects on it need not, and so that a service that lacks one
    /// says so when it starts.
    ///
    /// ```
    /// # use gridmill_client::{Client, ReadError};
    /// use gridmill_model::prelude::*;
    ///
    /// const SCORES: PState<Map<Str, List<u64>>> = PState::new("game/scores");
    ///
    /// async fn best(client: Client, who: &str) -> Result<Option<u64>, ReadError> {
    ///     let scores = client.reader(SCORES)?;
    ///     scores.select_one(|scores| scores.key(who).max()).await
    /// }
    /// ```
    ///
    /// # Errors
    /// [`UnknownPState`](ReadError::UnknownPState), [`WrongRoot`](ReadError::WrongRoot) or
    /// [`Private`](ReadError::Private).
    pub fn reader<R: Root>(&self, pstate: PState<R>) -> Result<Reader<R>, ReadError> {
        let found = self.handles.pstate::<R>(&*self.engine, pstate.name())?;
        Ok(Reader { client: self.clone(), pstate, found })
    }
}

impl<R: Root> Reader<R> {
    /// How many partitions the PState has.
    pub fn partitions(&self) -> u32 {
        self.found.partitions
    }

    /// The values that the path reaches, as [`Client::select`] has them.
    ///
    /// # Errors
    /// As with [`Client::select`].
    pub async fn select<N: Navigate<Root = R>>(
        &self,
        path: impl FnOnce(PState<R>) -> N,
    ) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path(self.pstate).into_path();
        let partition = own_partition(self.found, &path)?;
        self.client.many(self.found, partition..=partition, &path).await
    }

    /// The one value that the path reaches, as [`Client::select_one`] has it.
    ///
    /// # Errors
    /// As with [`Client::select_one`].
    pub async fn select_one<N: Navigate<Root = R>>(
        &self,
        path: impl FnOnce(PState<R>) -> N,
    ) -> Result<Option<Selected<N>>, ReadError> {
        let path = path(self.pstate).into_path();
        self.client.one_of(self.found, &path).await
    }

    /// The values that the path reaches on every partition, as [`Client::select_all`] has them.
    ///
    /// # Errors
    /// As with [`Client::select_all`].
    pub async fn select_all<N: Navigate<Root = R>>(
        &self,
        path: impl FnOnce(PState<R>) -> N,
    ) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path(self.pstate).into_path();
        let all = 0..=self.found.partitions.saturating_sub(1);
        self.client.many(self.found, all, &path).await
    }
}

impl<R: Root> Clone for Reader<R> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), pstate: self.pstate, found: self.found }
    }
}

impl<R: Root> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("pstate", &self.pstate.name()).finish_non_exhaustive()
    }
}
