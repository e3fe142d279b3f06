//! The boundary between a [`Client`](crate::Client) and whatever serves it.
//!
//! An engine resolves names, admits bytes, takes encoded events and lends published views. The
//! in-process engine lives in the `gridmill` crate. Nothing here is meant for applications.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use gridmill_model::{Schema, engine::ReadStore};

use crate::error::{AppendErrorKind, DepotError, ReadError, WatchError};
use crate::gate::{Gate, Refused};

mod answer;
pub mod once;
mod pool;
mod query;
mod single;
mod submission;
mod watch;

pub(crate) use answer::Answer;
pub use answer::{Done, Relay};
pub use pool::{Pool, Timer};
pub use query::{AnyRun, PartEntry, QueryEntry, RunPart, RunQuery, Running};
pub use single::{EventList, Single, SingleEvent};
pub use submission::{AnyEvents, EncodedEvents, Submission};
pub use watch::{Evaluated, Newest, Scope, Topic, TopicName, WatchGuard, WatchOrder};

/// When an append is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ack {
    /// As soon as the event waits in its partition's mailbox. It may still be lost by a crash.
    None,
    /// When the event is durable in the log. No handler has to have seen it.
    Appended,
    /// When every stream topology of the module has finished the event and any reader sees what it
    /// did. The default.
    #[default]
    Processed,
}

/// What a client must know of a depot to append to it.
#[derive(Debug)]
pub struct DepotEntry {
    /// The engine's number for the depot.
    pub id: usize,
    /// The depot's name.
    pub name: String,
    /// The type of its events.
    pub event: TypeId,
    /// The name of that type, for messages.
    pub event_name: &'static str,
    /// How many partitions it has; 1 for a global depot.
    pub partitions: u32,
    /// The names of the topologies that read it.
    pub topologies: Arc<[String]>,
    /// The largest event in encoded bytes.
    pub event_bytes_max: usize,
    /// One gate a partition: admission by bytes.
    pub gates: Vec<Gate>,
}

impl DepotEntry {
    /// The entrance to the mailbox of `partition`; one that does not exist is closed.
    pub(crate) fn gate(&self, partition: u32) -> Result<&Gate, Refused> {
        self.gates.get(partition as usize).ok_or(Refused::Closed)
    }
}

/// What a client must know of a PState to read it.
#[derive(Debug)]
pub struct PStateEntry {
    /// The engine's number for the PState.
    pub id: usize,
    /// The PState's name.
    pub name: String,
    /// The type of its root.
    pub root: TypeId,
    /// The shape of its root.
    pub schema: Schema,
    /// How many partitions it has; 1 for a global PState.
    pub partitions: u32,
    /// The engine's number for its module.
    pub module: usize,
    /// How many partitions its module has.
    pub module_partitions: u32,
    /// Whether clients may not read it.
    pub private: bool,
}

/// A published root, as the engine lends it: a store of the root's values.
///
/// Views travel through [`Engine::view`] as `&dyn Any` of this type, with `V` = `R::Value` of the
/// PState's root type `R`.
pub struct ViewRoot<V>(pub Box<dyn ReadStore<V> + Send + Sync>);

impl<V> fmt::Debug for ViewRoot<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewRoot")
    }
}

/// A published root that is kept: an `Arc` of a [`ViewRoot`].
pub type AnyRoot = Arc<dyn Any + Send + Sync>;

/// The published state of one partition of a module, kept as it was: the engine's own.
#[derive(Clone)]
pub struct Held {
    /// The state, as the engine keeps it.
    pub state: Arc<dyn Any + Send + Sync>,
    /// The position after the last record that it shows.
    pub end: u64,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

/// Positions of a depot partition's records: `start` is the first, `end` the next to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepotRange {
    /// Offset of the first record that is kept.
    pub start: u64,
    /// Offset that the next record gets.
    pub end: u64,
}

/// One record of a depot as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its offset in the depot's partition.
    pub offset: u64,
    /// Its position in the partition's log.
    pub position: u64,
    /// When it was logged, in microseconds since 1970 (UTC).
    pub time: i64,
    /// Which variant of the event type.
    pub variant: u16,
    /// The encoded fields.
    pub bytes: Vec<u8>,
}

/// What serves a client.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The depot called `name`.
    fn depot(&self, name: &str) -> Option<Arc<DepotEntry>>;
    /// The PState called `name`.
    fn pstate(&self, name: &str) -> Option<Arc<PStateEntry>>;
    /// Names of all depots, for messages.
    fn depot_names(&self) -> Vec<String>;
    /// Names of all PStates, for messages.
    fn pstate_names(&self) -> Vec<String>;
    /// Puts a submission into its partition's mailbox.
    fn submit(&self, submission: Submission);
    /// Puts an event into its partition's mailbox, as [`submit`](Self::submit) does.
    fn submit_one(&self, single: Single<'_>) {
        self.submit(single.into());
    }
    /// Lends the latest published root of a PState's partition to `read`, as a `&ViewRoot<V>`.
    ///
    /// # Errors
    /// [`ReadError::CatchingUp`] while the PState's topology has not reached the live flow, unless
    /// `partial`; [`ReadError::Stopped`] when the partition has never had a view.
    fn view(
        &self,
        pstate: usize,
        partition: u32,
        partial: bool,
        read: &mut dyn FnMut(&dyn Any),
    ) -> Result<(), ReadError>;
    /// Keeps the latest published state of the partition of a PState as it is, with all PStates of its module.
    ///
    /// # Errors
    /// [`ReadError::Stopped`] when the partition has never had a view.
    fn hold(&self, pstate: usize, partition: u32) -> Result<Held, ReadError>;
    /// The root of a PState of the same module as of when it was kept.
    ///
    /// # Errors
    /// [`ReadError::CatchingUp`] as with [`view`](Self::view); [`ReadError::LetGo`] as with
    /// [`check_held`](Self::check_held).
    fn held_root(&self, held: &Held, pstate: usize, partial: bool) -> Result<AnyRoot, ReadError>;
    /// Whether the state is still kept.
    ///
    /// # Errors
    /// [`ReadError::LetGo`] where it took too much memory.
    fn check_held(&self, _: &Held) -> Result<(), ReadError> {
        Ok(())
    }
    /// The query called `name`.
    fn query(&self, _name: &str) -> Option<Arc<QueryEntry>> {
        None
    }
    /// The part of queries called `name`.
    fn part(&self, _name: &str) -> Option<Arc<PartEntry>> {
        None
    }
    /// Names of all queries, for messages.
    fn query_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// Names of all parts of queries, for messages.
    fn part_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// Threads for what may take long. Without any it is done by whoever asks for it.
    fn pool(&self) -> Option<&dyn Pool> {
        None
    }
    /// Enters a watch, which ends when the guard is dropped.
    ///
    /// # Errors
    /// [`WatchError`]; without more an engine does not push.
    fn watch(&self, _order: WatchOrder) -> Result<WatchGuard, WatchError> {
        Err(WatchError::Unsupported)
    }
    /// First and next offset of a depot's partition.
    fn depot_range(&self, depot: usize, partition: u32) -> Result<DepotRange, DepotError>;
    /// The records `[from, to)` of a depot's partition.
    fn depot_read(
        &self,
        depot: usize,
        partition: u32,
        from: u64,
        to: u64,
    ) -> Result<Vec<StoredEvent>, DepotError>;
    /// Appends an event given as JSON.
    fn decode_json(&self, depot: usize, json: &str) -> Result<JsonEvent, AppendErrorKind>;
    /// Selects with a path given as JSON, as long as `going` says so.
    fn select_json(
        &self,
        pstate: usize,
        path: &str,
        going: &dyn Fn() -> bool,
    ) -> Result<String, ReadError>;
}

/// An event that came as JSON, ready to be submitted.
pub struct JsonEvent {
    /// The partition that it belongs to.
    pub partition: u32,
    /// A `Vec<Option<E>>` with the one event.
    pub events: AnyEvents,
    /// The same as bytes.
    pub encoded: EncodedEvents,
}

impl fmt::Debug for JsonEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonEvent").field("partition", &self.partition).finish_non_exhaustive()
    }
}
