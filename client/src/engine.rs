//! The boundary between a [`Client`](crate::Client) and whatever serves it.
//!
//! An engine resolves names, admits bytes, takes encoded events and lends published views. The
//! in-process engine lives in the `gridmill` crate. Nothing here is meant for applications.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use gridmill_model::{Schema, engine::ReadStore};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::{AppendErrorKind, DepotError, ReadError};
use crate::gate::{Admission, Gate, Refused};
use crate::receipt::BatchReceipt;

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
    /// Whether clients may not read it.
    pub private: bool,
}

/// Events of one depot for one partition, typed and encoded.
pub struct Submission {
    /// The depot's number.
    pub depot: usize,
    /// The partition that gets them.
    pub partition: u32,
    /// A `Vec<Option<E>>` of the depot's event type, all `Some`.
    pub events: Box<dyn Any + Send>,
    /// The same events as bytes.
    pub encoded: EncodedEvents,
    /// When to answer.
    pub ack: Ack,
    /// Room in the mailbox; given back when the submission is answered.
    pub admission: Admission,
    /// Where the answer goes. Nobody listening is fine.
    pub done: Option<oneshot::Sender<Result<BatchReceipt, AppendErrorKind>>>,
    /// Where the events go before an answer that says that nothing of them was logged.
    pub returned: GiveBack,
}

/// The way back for events that were not logged, so that their owner can append them again.
///
/// An engine that answers a submission with an error of which
/// [`AppendErrorKind::is_not_logged`] holds puts the submission's `events` here first. Where it
/// does not, the client treats their fate as unknown.
#[derive(Clone, Default)]
pub struct GiveBack(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl GiveBack {
    /// Hands `events` back.
    pub fn put(&self, events: Box<dyn Any + Send>) {
        *self.0.lock() = Some(events);
    }

    /// The events, if they were handed back as the `Vec<Option<E>>` that they were.
    pub(crate) fn take<E: 'static>(&self) -> Option<Vec<Option<E>>> {
        self.0.lock().take()?.downcast().ok().map(|events| *events)
    }
}

impl fmt::Debug for GiveBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GiveBack")
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("depot", &self.depot)
            .field("partition", &self.partition)
            .field("events", &self.encoded.len())
            .field("ack", &self.ack)
            .finish_non_exhaustive()
    }
}

/// The bytes of a batch of events, end to end.
#[derive(Clone, Debug, Default)]
pub struct EncodedEvents {
    /// The fields of every event, one after the other.
    pub bytes: Vec<u8>,
    /// For every event: its variant, and where its bytes end.
    pub ends: Vec<(u16, u32)>,
}

impl EncodedEvents {
    /// How many events.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Variant and bytes of every event, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(variant, end)| {
            let bytes = &self.bytes[start..end as usize];
            start = end as usize;
            (variant, bytes)
        })
    }
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
    /// Selects with a path given as JSON.
    fn select_json(&self, pstate: usize, path: &str) -> Result<String, ReadError>;
}

/// An event that came as JSON, ready to be submitted.
pub struct JsonEvent {
    /// The partition that it belongs to.
    pub partition: u32,
    /// A `Vec<Option<E>>` with the one event.
    pub events: Box<dyn Any + Send>,
    /// The same as bytes.
    pub encoded: EncodedEvents,
}

impl fmt::Debug for JsonEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonEvent").field("partition", &self.partition).finish_non_exhaustive()
    }
}
