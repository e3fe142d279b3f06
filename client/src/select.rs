//! Reads of PStates: a path is walked on a published view, on the caller's thread as long as that is short.

use std::any::Any;
use std::cell::Cell;
use std::ops::RangeInclusive;

use gridmill_model::engine::ReadStore;
use gridmill_model::path::{
    Carry, Limits, Navigate, Path, PathError, PathErrorKind, Selected, Walk,
};
use gridmill_model::{Root, RouteKey};

use crate::client::Client;
use crate::engine::ViewRoot;
use crate::error::ReadError;
use crate::handles::PStateRef;

pub(crate) mod elsewhere;

impl Client {
    /// The values that `path` reaches, in order, on the partition that owns its first key.
    ///
    /// All values are of one moment: a partition's views change together, never in between. A path
    /// that does not start with a key needs a PState of one partition (a global one); otherwise
    /// name the partition with [`select_in`](Self::select_in) or [`select_on`](Self::select_on),
    /// or ask all of them with [`select_all`](Self::select_all).
    ///
    /// # Errors
    /// [`ReadError`]; more values than the client's [limit](Self::with_limit) are a
    /// [`Path`](ReadError::Path) error.
    #[inline]
    pub fn select<N: Navigate>(
        &self,
        path: N,
    ) -> impl Future<Output = Result<Vec<Selected<N>>, ReadError>> {
        let path = path.into_path();
        async move {
            let pstate = self.pstate(&path)?;
            let partition = own_partition(pstate, &path)?;
            self.many(pstate, partition..=partition, &path).await
        }
    }

    /// The one value that `path` reaches, or `None` where there is nothing.
    ///
    /// # Errors
    /// [`NotOne`](ReadError::NotOne) where there is more than one value, and otherwise as with
    /// [`select`](Self::select).
    #[inline]
    pub fn select_one<N: Navigate>(
        &self,
        path: N,
    ) -> impl Future<Output = Result<Option<Selected<N>>, ReadError>> {
        // The future borrows the path that it was made with; an `async fn` would first move it.
        let path = path.into_path();
        async move { self.one_of(self.pstate(&path)?, &path).await }
    }

    /// The values that `path` reaches on the partition that `partition_key` belongs to, for
    /// PStates that are partitioned by something else than their key.
    ///
    /// # Errors
    /// As with [`select`](Self::select).
    pub async fn select_in<N: Navigate>(
        &self,
        partition_key: impl Into<RouteKey>,
        path: N,
    ) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path.into_path();
        let pstate = self.pstate(&path)?;
        let partition = partition_key.into().partition(pstate.partitions);
        self.many(pstate, partition..=partition, &path).await
    }

    /// The values that `path` reaches on the partition of that number.
    ///
    /// # Errors
    /// [`BadPartition`](ReadError::BadPartition) where there is no such partition, and otherwise
    /// as with [`select`](Self::select).
    pub async fn select_on<N: Navigate>(
        &self,
        partition: u32,
        path: N,
    ) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path.into_path();
        let pstate = self.pstate(&path)?;
        if partition >= pstate.partitions {
            let (name, expected) = (path.pstate_name().to_owned(), pstate.partitions);
            return Err(ReadError::BadPartition { name, expected, got: partition });
        }
        self.many(pstate, partition..=partition, &path).await
    }

    /// The values that `path` reaches on every partition, partition after partition.
    ///
    /// `select_all(PSTATE.map_keys())` lists the keys of a PState. Each partition answers of one
    /// moment, different partitions of different ones. A path that starts with a key is looked up
    /// everywhere, too.
    ///
    /// # Errors
    /// As with [`select`](Self::select); one partition that cannot answer fails the whole call.
    pub async fn select_all<N: Navigate>(&self, path: N) -> Result<Vec<Selected<N>>, ReadError> {
        let path = path.into_path();
        let pstate = self.pstate(&path)?;
        self.many(pstate, 0..=pstate.partitions.saturating_sub(1), &path).await
    }

    #[inline]
    pub(crate) fn pstate<R: Root, L: Walk, C: Carry>(
        &self,
        path: &Path<R, L, C>,
    ) -> Result<PStateRef, ReadError> {
        self.handles.pstate::<R>(&*self.engine, path.pstate_name())
    }

    /// The one value that a path on that PState reaches.
    #[inline]
    pub(crate) async fn one_of<R: Root, L: Walk, C: Carry>(
        &self,
        pstate: PStateRef,
        path: &Path<R, L, C>,
    ) -> Result<Option<C::With<L>>, ReadError> {
        let partition = own_partition(pstate, path)?;
        let limits = self.one_limits();
        let walked = Here::walk(|going| {
            self.look(pstate, partition, path, |store| path.one_view(store, limits, going))
        });
        match walked {
            Some(walked) => walked,
            None => Box::pin(elsewhere::one(self.clone(), pstate, partition, path.clone())).await,
        }
    }

    /// The values that a path reaches on these partitions, in their order.
    pub(crate) async fn many<R: Root, L: Walk, C: Carry>(
        &self,
        pstate: PStateRef,
        mut partitions: RangeInclusive<u32>,
        path: &Path<R, L, C>,
    ) -> Result<Vec<C::With<L>>, ReadError> {
        let mut values = Vec::new();
        let mut here = Here::default();
        while let Some(partition) = partitions.next() {
            let (before, limits) = (values.len(), self.limits(values.len()));
            let walked = here.on(|going| {
                let mut each = |value| values.push(value);
                self.look(pstate, partition, path, |store| {
                    path.each_view(store, limits, going, &mut each)
                })
            });
            let Some(walked) = walked else {
                values.truncate(before);
                let left = partition..=*partitions.end();
                let more = elsewhere::many(self.clone(), pstate, left, path.clone(), before);
                values.append(&mut Box::pin(more).await?);
                break;
            };
            walked?;
        }
        Ok(values)
    }

    /// The limits of a walk after `found` values of the same select.
    pub(crate) fn limits(&self, found: usize) -> Limits {
        let results = self.limit.saturating_sub(found) as u64;
        Limits { results, bytes: self.bytes, ..Limits::DEFAULT }
    }

    /// The limits of a walk to one value.
    pub(crate) fn one_limits(&self) -> Limits {
        Limits { bytes: self.bytes, ..Limits::DEFAULT }
    }

    /// Has `walk` look at a partition's published view.
    fn look<R: Root, L: Walk, C: Carry, T>(
        &self,
        pstate: PStateRef,
        partition: u32,
        path: &Path<R, L, C>,
        mut walk: impl FnMut(&Store<R>) -> Result<T, PathError>,
    ) -> Result<T, ReadError> {
        let mut answer = None;
        self.engine.view(pstate.id, partition, self.partial, &mut |root| {
            answer = store_of::<R>(root).map(&mut walk);
        })?;
        match answer {
            Some(answer) => answer.map_err(|error| failed(error, path)),
            None => Err(ReadError::Stopped { partition, reason: "it lent no such view".into() }),
        }
    }
}

/// A walk on the caller's thread, which may not take long: some 4,096 places, which take less than a millisecond.
/// Beyond that it is begun anew on a thread for what takes long. A select has no effects, so nobody can tell.
#[derive(Default)]
pub(crate) struct Here {
    /// How often it was asked whether to go on; see `Visit`.
    asked: Cell<u32>,
}

/// How often a walk on the caller's thread may ask whether to go on.
const ASKED_MAX: u32 = 4;

impl Here {
    /// What one walk finds; `None` where it takes too long.
    #[inline]
    pub(crate) fn walk<T>(walk: impl FnOnce(&dyn Fn() -> bool) -> T) -> Option<T> {
        Self::default().on(walk)
    }

    /// What a further walk finds.
    #[inline]
    fn on<T>(&mut self, walk: impl FnOnce(&dyn Fn() -> bool) -> T) -> Option<T> {
        let asked = &self.asked;
        let walked = walk(&|| {
            asked.set(asked.get() + 1);
            asked.get() < ASKED_MAX
        });
        (asked.get() < ASKED_MAX).then_some(walked)
    }
}

/// What a view of a PState with the root `R` reads from.
pub(crate) type Store<R> = dyn ReadStore<<R as Root>::Value>;

pub(crate) fn store_of<R: Root>(root: &dyn Any) -> Option<&Store<R>> {
    let ViewRoot(store) = root.downcast_ref::<ViewRoot<R::Value>>()?;
    Some(&**store)
}

/// The partition that a path names by its first key, if it names one.
#[inline]
pub(crate) fn own_partition<R: Root, L: Walk, C: Carry>(
    pstate: PStateRef,
    path: &Path<R, L, C>,
) -> Result<u32, ReadError> {
    let count = pstate.partitions;
    match path.partition(count) {
        _ if count == 1 => Ok(0),
        Some(partition) if partition < count => Ok(partition),
        none => Err(no_partition(pstate, path, none)),
    }
}

#[cold]
fn no_partition<R: Root, L: Walk, C: Carry>(
    pstate: PStateRef,
    path: &Path<R, L, C>,
    partition: Option<u32>,
) -> ReadError {
    let count = pstate.partitions;
    match partition {
        // The PState's own key partitioner is the user's code, and may be wrong.
        Some(got) => {
            let name = path.pstate_name().to_owned();
            ReadError::BadPartition { name, expected: count, got }
        }
        None => ReadError::NoPartition {
            pstate: path.pstate_name().to_owned(),
            path: path.to_string(),
            partitions: count,
        },
    }
}

/// What the walk's error means to a reader: damage is no fault of the path, whoever met it.
#[cold]
pub(crate) fn failed<R: Root, L: Walk, C: Carry>(
    error: PathError,
    path: &Path<R, L, C>,
) -> ReadError {
    match error.kind() {
        PathErrorKind::Damaged(damaged) => ReadError::Damaged(damaged.clone()),
        PathErrorKind::ManyValues => ReadError::NotOne { path: path.to_string(), got: 2 },
        _ => ReadError::Path(error),
    }
}
