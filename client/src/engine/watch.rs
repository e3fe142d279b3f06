//! Watches, as an engine knows them: what is to be looked at again when an entry was touched.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use gridmill_model::KeyBytes;
use gridmill_model::path::KeyRange;

use crate::error::WatchError;

/// On which entries of a root a value depends, at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The entries under these keys.
    Keys(Arc<[KeyBytes]>),
    /// The entries of a range of keys.
    Range(Arc<KeyRange>),
    /// All.
    Root,
}

/// What makes two watches one: they have the same values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicName {
    /// The path's steps, encoded.
    pub steps: Vec<u8>,
    /// Root, leaf and what is collected on the way.
    pub of: TypeId,
    /// How many bytes a value may take.
    pub bytes: u64,
}

/// A published root, a `ViewRoot`, with the position after the last record that it shows.
#[derive(Clone, Copy)]
pub struct Newest<'v> {
    /// The root.
    pub root: &'v dyn Any,
    /// The position.
    pub at: u64,
}

/// What came of looking at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// Its watchers know of the value.
    Well,
    /// It failed, and is to be looked at again.
    Failed,
    /// It failed too often: its watchers were told.
    Ended,
}

/// A path that is watched on a partition, with those who watch it. At most one thread evaluates it at a time.
pub trait Topic: Any + Send + Sync + fmt::Debug {
    /// The number of the next who joins. To be asked before the root is taken that [`evaluate`](Self::evaluate) looks at:
    /// who joins later may know of something that this root does not show.
    fn joined(&self) -> u64;

    /// Looks the path up in a published root of its PState, a `ViewRoot`, and tells those who watch what changed since
    /// the last time. Who joined before number `joined` has a first value behind it.
    fn evaluate(&self, root: Newest<'_>, joined: u64, going: &dyn Fn() -> bool) -> Evaluated;

    /// Gives a watcher, who waits for a first value, the last one.
    fn admit(&self, watcher: u64);

    /// There will be no more values.
    fn end(&self, error: &WatchError);

    /// The topic in its own type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A watch to be entered.
pub struct WatchOrder {
    /// The engine's number for the PState.
    pub pstate: usize,
    /// The partition.
    pub partition: u32,
    /// Whether to wait for a PState that is catching up.
    pub partial: bool,
    /// What the value depends on.
    pub scope: Scope,
    /// `None` where nobody else can have the same values.
    pub name: Option<TopicName>,
    /// Makes the topic, where there is none of that name.
    pub topic: Box<dyn FnOnce() -> Arc<dyn Topic> + Send>,
    /// Adds the watcher to the topic, and gives its number there. It then waits for a first value.
    pub join: Box<dyn FnOnce(Arc<dyn Topic>) -> u64 + Send>,
}

/// Ends a watch when it is dropped.
pub type WatchGuard = Box<dyn Any + Send + Sync>;

impl fmt::Debug for Newest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Newest").field("at", &self.at).finish_non_exhaustive()
    }
}

impl fmt::Debug for WatchOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchOrder")
            .field("pstate", &self.pstate)
            .field("partition", &self.partition)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
