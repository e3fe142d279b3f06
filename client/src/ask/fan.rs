//! Parts of queries, called on partitions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gridmill_model::handle::Kind;
use gridmill_model::path::Walk;
use gridmill_model::{Key, List, PState, Part, Root, RouteKey, State};

use crate::engine::{PartEntry, RunPart};
use crate::error::{AskError, ReadError};

use super::Ask;
use super::gather::{Gather, Source};
use super::span::Span;

/// A part of a query that is to be called: [`at`](Self::at) a key, for [`each`](Self::each) of many, or
/// [`everywhere`](Self::everywhere).
#[must_use = "a part does nothing unless it is called"]
pub struct PartCall<A, R> {
    ask: Ask,
    part: Part<A, R>,
}

impl<A: State, R: State> PartCall<A, R> {
    pub(super) fn new(ask: Ask, part: Part<A, R>) -> Self {
        Self { ask, part }
    }

    /// Calls it on the partition of `key`.
    ///
    /// # Errors
    /// [`AskError`], with the part and the partition.
    pub async fn at(self, key: impl Into<RouteKey>, args: A) -> Result<R, AskError> {
        let entry = self.entry()?;
        let partition = key.into().partition(entry.partitions);
        let sources = vec![(partition, self.source(&entry, partition, args))];
        let gathered = Gather::new(self.ask, Some(entry.name.clone()), Ok(sources)).list().await?;
        match gathered.into_iter().next() {
            Some(answer) => Ok(answer),
            None => unreachable!("a part that returns gives an answer"),
        }
    }

    /// Calls it on every partition that has what it reads.
    pub fn everywhere(self, args: A) -> Gather<R> {
        let sources = self.entry().map(|entry| {
            let partitions = 0..entry.partitions;
            let all = partitions.map(|at| (at, self.source(&entry, at, args.clone())));
            all.collect()
        });
        self.gather(sources)
    }

    fn gather(self, sources: Result<Vec<(u32, Source<R>)>, AskError>) -> Gather<R> {
        let part = self.part.name().to_owned();
        Gather::new(self.ask, Some(part), sources)
    }

    fn entry(&self) -> Result<Arc<PartEntry>, AskError> {
        let client = self.ask.client();
        Ok(client.handles.part(&*client.engine, self.part)?)
    }

    /// The part on one partition, with these arguments.
    fn source(&self, entry: &Arc<PartEntry>, partition: u32, args: A) -> Source<R> {
        let (ask, entry) = (self.ask.clone(), Arc::clone(entry));
        Box::new(move |shown, show| {
            let span = Span::new(ask.clone(), Arc::clone(&entry), partition);
            let Some(part) = entry.run.downcast_ref::<RunPart<A, R>>() else {
                unreachable!("a part's types were checked when it was found");
            };
            let answer = (part.0)(args, &span)?;
            if shown.kept && !R::FIXED {
                ask.budget().take_bytes(Walk::room(&answer) as u64)?;
            }
            show(answer);
            Ok(())
        })
    }
}

impl<K: Key, R: State> PartCall<List<K>, R> {
    /// Calls it once on each partition that owns some of `keys` as keys of the PState `by`, with these: in their
    /// order, and as often as they come.
    pub fn each<M: Root<Key = K>>(
        self,
        by: PState<M>,
        keys: impl IntoIterator<Item = K>,
    ) -> Gather<R> {
        let sources = self.entry().and_then(|entry| {
            let mut shares: BTreeMap<u32, List<K>> = BTreeMap::new();
            for key in keys {
                let partition = home(by, &key, entry.partitions)?;
                shares.entry(partition).or_default().push_back(key);
            }
            let source = |(partition, keys)| (partition, self.source(&entry, partition, keys));
            Ok(shares.into_iter().map(source).collect())
        });
        self.gather(sources)
    }
}

/// The partition that owns a key of a PState.
fn home<M: Root>(by: PState<M>, key: &M::Key, partitions: u32) -> Result<u32, ReadError> {
    let partition = match (by.kind(), by.partitioner()) {
        (Kind::Global, _) => 0,
        (Kind::Hashed, Some(choose)) => choose(key, partitions),
        (Kind::Hashed, None) => key.route().partition(partitions),
        _ => {
            let (pstate, path) = (by.name().to_owned(), format!("each({}, ..)", by.name()));
            return Err(ReadError::NoPartition { pstate, path, partitions });
        }
    };
    if partition < partitions {
        return Ok(partition);
    }
    Err(ReadError::BadPartition {
        name: by.name().to_owned(),
        expected: partitions,
        got: partition,
    })
}

impl<A, R> fmt::Debug for PartCall<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartCall").field("part", &self.part).finish_non_exhaustive()
    }
}
