//! What can go wrong with a read. Reads change nothing.

use std::time::Duration;

use gridmill_model::Damaged;
use gridmill_model::path::PathError;

/// What went wrong with a read of a PState. Reads change nothing.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No module of this grid declares the PState.
    #[error("no PState is called `{name}`; this grid has {known:?}")]
    UnknownPState {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The PState has another shape than the handle.
    #[error(
        "PState `{pstate}` has the shape `{expected}`, the handle says `{got}`; use the \
         constant that declares it"
    )]
    WrongRoot {
        /// The PState.
        pstate: String,
        /// Its shape.
        expected: String,
        /// The shape of the handle.
        got: String,
    },
    /// The PState is private to its module.
    #[error("PState `{pstate}` is private: only topologies and queries of its module read it")]
    Private {
        /// The PState.
        pstate: String,
    },
    /// It is not clear which partition to read.
    #[error(
        "the path `{path}` does not start with a key and PState `{pstate}` has {partitions} \
         partitions; start it with `key`, or use `select_in` or `select_all`"
    )]
    NoPartition {
        /// The PState.
        pstate: String,
        /// The path.
        path: String,
        /// How many partitions there are.
        partitions: u32,
    },
    /// A partition that does not exist.
    #[error(
        "`{name}` has partitions 0 to {}, partition {got} was asked for", expected.saturating_sub(1)
    )]
    BadPartition {
        /// The PState or depot.
        name: String,
        /// How many partitions there are.
        expected: u32,
        /// What was asked for.
        got: u32,
    },
    /// A view of one key was asked for what lies on another partition, which is of another moment.
    #[error(
        "the path `{path}` leads to partition {got} of PState `{pstate}`, the view is one of partition \
         {partition}; select it with the client, or take a view of its key"
    )]
    OtherPartition {
        /// The PState.
        pstate: String,
        /// The path.
        path: String,
        /// The partition that the view is of.
        partition: u32,
        /// The partition that the path leads to.
        got: u32,
    },
    /// The path does not fit the data or the shape.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `select_one` found more than one value.
    #[error(
        "`select_one` on `{path}` found {got} values or more, expected at most one; use `select`"
    )]
    NotOne {
        /// The path.
        path: String,
        /// How many were found when the walk was stopped: two.
        got: usize,
    },
    /// The PState's topology is still reading its depot's past.
    #[error(
        "PState `{pstate}` is catching up: {done} of {total} records; wait, or allow partial \
         answers with `client.partial()`"
    )]
    CatchingUp {
        /// The PState.
        pstate: String,
        /// Records read so far.
        done: u64,
        /// Records to read.
        total: u64,
    },
    /// A view of one moment was held until what was overwritten meanwhile took too much memory.
    #[error(
        "partition {partition} has let go of the view of {age:?} ago: {bytes} bytes were kept for it and others;          read less, or read it anew"
    )]
    LetGo {
        /// The partition.
        partition: u32,
        /// How old the view was.
        age: Duration,
        /// About how many bytes of memory were kept for readers of the past, on all partitions.
        bytes: u64,
    },
    /// A file holds bytes that were not written there.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The partition has no view of the PState to read: it is starting, or could not be started, or the
    /// PState's topology can no longer catch up. A partition of a running grid that stopped later, because
    /// its disk failed say, still answers from its last view, without this error.
    #[error("partition {partition} is not running: {reason}")]
    Stopped {
        /// The partition.
        partition: u32,
        /// Why.
        reason: String,
    },
}

/// What went wrong with a direct read of a depot. Reads change nothing.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DepotError {
    /// No module of this grid declares the depot.
    #[error("no depot is called `{name}`; this grid has {known:?}")]
    UnknownDepot {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The depot holds events of another type.
    #[error("depot `{depot}` holds `{expected}`, not `{got}`")]
    WrongEvent {
        /// The depot.
        depot: String,
        /// Its event type.
        expected: String,
        /// The type of the handle.
        got: String,
    },
    /// A partition that does not exist.
    #[error(
        "depot `{depot}` has partitions 0 to {}, partition {got} was asked for",
        expected.saturating_sub(1)
    )]
    BadPartition {
        /// The depot.
        depot: String,
        /// How many partitions there are.
        expected: u32,
        /// What was asked for.
        got: u32,
    },
    /// The range is not within what the depot holds.
    #[error(
        "partition {partition} of depot `{depot}` holds the offsets {start}..{end}, \
         {from}..{to} was asked for; ask `depot_info` first"
    )]
    OutOfRange {
        /// The depot.
        depot: String,
        /// The partition.
        partition: u32,
        /// First offset that exists.
        start: u64,
        /// Next offset to be written.
        end: u64,
        /// Start of the range that was asked for.
        from: u64,
        /// End of the range that was asked for.
        to: u64,
    },
    /// A stored event cannot be decoded with today's type.
    #[error("record {offset} of depot `{depot}` cannot be decoded: {message}")]
    Decode {
        /// The depot.
        depot: String,
        /// The record's offset.
        offset: u64,
        /// What the decoder said.
        message: String,
    },
    /// A file holds bytes that were not written there.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The partition does not run, or its disk fails.
    #[error("partition {partition} cannot be read: {reason}")]
    Unreadable {
        /// The partition.
        partition: u32,
        /// Why.
        reason: String,
    },
}
