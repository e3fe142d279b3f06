//! What can go wrong with an append: what it was, and what became of the events.

use std::fmt;

use gridmill_model::Uuid;
use gridmill_model::event::JsonError;
use serde::de::DeserializeOwned;

use crate::encoded::Encoded;
use crate::receipt::{ManyReceipt, Rejected};

use super::ReplyError;

/// Why a handler refused an event: it returned `Err`, or it failed, and the event was set aside or skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The topology whose handler refused.
    pub topology: String,
    /// The stage whose handler refused what the event had led to; `None` where it was the handler of the event.
    pub stage: Option<String>,
    /// The handler's error as text.
    pub message: String,
    /// The handler's error, for [`Rejection::decode`]; `None` for an event at which it failed.
    pub error: Option<Encoded>,
    /// Whether the event panicked again and again and was put in quarantine.
    pub quarantined: bool,
}

impl Rejection {
    /// The handler's error as the value that it returned, where `T` is its type; `None` for an event at which it
    /// failed.
    ///
    /// # Errors
    /// [`ReplyError::WrongType`] where it is of another type.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<Option<T>, ReplyError> {
        self.error.as_ref().map(|error| error.decode(&self.topology)).transpose()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.quarantined { "quarantined" } else { "rejected" };
        write!(f, "{verb} by topology `{}`", self.topology)?;
        if let Some(stage) = &self.stage {
            write!(f, " in stage `{stage}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What went wrong with an append.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendErrorKind {
    /// No module of this grid declares the depot.
    #[error(
        "no depot is called `{name}`; this grid has {known:?}. Declare it with `module.depot(..)`"
    )]
    UnknownDepot {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The depot holds events of another type.
    #[error("depot `{depot}` holds `{expected}`, not `{got}`; use the constant that declares it")]
    WrongEvent {
        /// The depot.
        depot: String,
        /// Its event type.
        expected: String,
        /// The type of the handle.
        got: String,
    },
    /// The depot takes no events from clients.
    #[error("depot `{depot}` takes no events from clients: it is declared with `Depot::disallow`")]
    Disallowed {
        /// The depot.
        depot: String,
    },
    /// The encoded event is larger than the limit.
    #[error(
        "event {index} for depot `{depot}` has {got} bytes, at most {expected} are allowed; \
         split it, or raise `event_bytes_max`"
    )]
    TooLarge {
        /// The depot.
        depot: String,
        /// Which event of the call, from 0.
        index: usize,
        /// The limit in bytes.
        expected: usize,
        /// The event's size in bytes.
        got: usize,
    },
    /// The events of one call for one partition are more than one message holds.
    #[error(
        "one call has {got} bytes for partition {partition} of depot `{depot}`, at most \
         {expected} are allowed; split the call"
    )]
    BatchTooLarge {
        /// The depot.
        depot: String,
        /// The partition.
        partition: u32,
        /// The limit in bytes.
        expected: usize,
        /// The bytes up to the event that does not fit.
        got: usize,
    },
    /// The event cannot be encoded.
    #[error("event {index} for depot `{depot}` cannot be encoded: {message}")]
    Encode {
        /// The depot.
        depot: String,
        /// Which event of the call, from 0.
        index: usize,
        /// What the encoder said.
        message: String,
    },
    /// The depot's partitioner named a partition that does not exist.
    #[error(
        "depot `{depot}` has {expected} partitions, its partitioner returned {got}; return \
         less than the count that it is given"
    )]
    BadPartition {
        /// The depot.
        depot: String,
        /// How many partitions there are.
        expected: u32,
        /// What the partitioner returned.
        got: u32,
    },
    /// The mailbox is full (`try_append` only).
    #[error(
        "partition {partition} of depot `{depot}` is overloaded: its mailbox is full; wait, \
         or use `append`"
    )]
    Overloaded {
        /// The depot.
        depot: String,
        /// The partition.
        partition: u32,
    },
    /// The id was used for another event (`append_once` only).
    #[error(
        "id {id} names another event of partition {partition} of depot `{depot}` already; give each event an id of \
         its own, and to repeat an append, give the event that it had"
    )]
    IdTaken {
        /// The depot.
        depot: String,
        /// The partition.
        partition: u32,
        /// The id.
        id: Uuid,
    },
    /// The partition keeps as many ids as it may, all of them younger than the window (`append_once` only).
    #[error(
        "partition {partition} keeps {expected} ids of appends, and has no room for one of depot `{depot}`; wait until \
         older ones leave the window, or raise `once_ids_max`, or make `once_window` shorter"
    )]
    TooManyIds {
        /// The depot.
        depot: String,
        /// The partition.
        partition: u32,
        /// How many ids it may keep.
        expected: usize,
    },
    /// The event is not a valid event of the depot (JSON only).
    #[error("depot `{depot}`: {source}")]
    Json {
        /// The depot.
        depot: String,
        /// What does not fit.
        source: JsonError,
    },
    /// The disk has no room. Nothing was logged; appends work again once there is room.
    #[error("partition {partition} cannot write its log, and nothing was logged: {message}")]
    StorageFull {
        /// The partition.
        partition: u32,
        /// What the disk said.
        message: String,
    },
    /// The partition's changes cannot be written out of memory, and there is no room for more. Appends
    /// work again once it can write; it tries by itself. [`Stats`] of a grid say what is wrong.
    ///
    /// [`Stats`]: https://docs.rs/gridmill/latest/gridmill/struct.Stats.html
    #[error(
        "partition {partition} has no memory for more changes, because it cannot write them out: \
         {message}; nothing was logged, mend that and try again"
    )]
    ChangesFull {
        /// The partition.
        partition: u32,
        /// What is wrong.
        message: String,
    },
    /// The partition takes nothing more from clients: as much as it may keep for others waits for one that stopped
    /// for good. Nothing was logged. What waits is kept, and arrives after a start at which that partition runs.
    #[error(
        "partition {partition} takes nothing more, because what it sent to partition {target} waits for that one, which \
         has stopped: {reason}; nothing was logged, mend partition {target} and start the grid again"
    )]
    Stalled {
        /// The partition.
        partition: u32,
        /// The one that stopped.
        target: u32,
        /// Why it stopped.
        reason: String,
    },
    /// The partition stopped before the event was logged. It is safe to append it again.
    #[error("the event was not logged: {reason}; it is safe to append it again")]
    NotLogged {
        /// Why.
        reason: String,
    },
    /// The partition stopped after the event was handed over, or the disk failed while the event was
    /// written and again when that was to be undone: it may or may not be in the log.
    #[error(
        "it is not known whether the event was logged: {reason}; look before appending it again"
    )]
    Unknown {
        /// Why.
        reason: String,
    },
    /// Handlers refused the event. The event stays in the depot; the writes of these handlers are
    /// undone.
    #[error("{0}")]
    Rejected(Box<Rejected>),
    /// The grid is shutting down, or gone. Nothing was logged.
    #[error("the grid is shutting down; nothing was logged")]
    ShuttingDown,
}

impl AppendErrorKind {
    /// Whether this error says that nothing reached the log, so that appending again cannot double
    /// anything.
    ///
    /// False for [`Rejected`](Self::Rejected) (the event is in the depot) and
    /// [`Unknown`](Self::Unknown).
    pub fn is_not_logged(&self) -> bool {
        !matches!(self, Self::Rejected(_) | Self::Unknown { .. })
    }
}

/// A failed append, with the event where it was not logged.
///
/// Where `events` is `Some`, nothing of it reached the log and appending it again cannot double
/// anything. Where it is `None`, `kind` says what is known.
pub struct AppendError<T> {
    /// What went wrong.
    pub kind: AppendErrorKind,
    /// What was given, where it is certain that none of it was logged.
    pub events: Option<T>,
}

impl<T> fmt::Display for AppendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<T> fmt::Debug for AppendError<T> {
    /// As it reads: this is what a program shows that ends with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> std::error::Error for AppendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

/// A failed [`append_many`](crate::Client::append_many): what became of every event.
///
/// Every event of the call is in exactly one of `not_logged`, `unknown` and the parts of `logged`.
/// Events are named by their index in the call, from 0.
pub struct AppendManyError<E> {
    /// What went wrong first, in the order of partitions.
    pub kind: AppendErrorKind,
    /// Events that are certainly not in the log, in the order of the call. Appending them again
    /// cannot double anything.
    pub not_logged: Vec<(usize, E)>,
    /// Events that may or may not be in the log. Look before appending them again.
    pub unknown: Vec<usize>,
    /// What was logged and answered as it was asked for.
    pub logged: ManyReceipt,
}

impl<E> fmt::Display for AppendManyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} events logged, {} not logged, {} unknown)",
            self.kind,
            self.logged.count,
            self.not_logged.len(),
            self.unknown.len()
        )
    }
}

impl<E> fmt::Debug for AppendManyError<E> {
    /// As it reads: this is what a program shows that ends with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E> std::error::Error for AppendManyError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}
