//! What can go wrong with a watch. Watching changes nothing.

use gridmill_model::aggregate::AggregateError;

use super::ReadError;

/// Why a watch does not begin, or ends. Watching changes nothing; what was received before is true.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// What is watched cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The path could not be evaluated, time after time.
    #[error("the watch on `{path}` ends, its path failed {tries} times in a row: {error}")]
    Failed {
        /// The path.
        path: String,
        /// How often in a row.
        tries: u32,
        /// What went wrong the last time. [`NotOne`](ReadError::NotOne): watch a path that leads to one value, such
        /// as one that ends with `subselect`, or with `len`.
        error: ReadError,
    },
    /// Code in the path panicked, time after time.
    #[error(
        "the watch on `{path}` ends, code in its path panicked {tries} times in a row: {message}"
    )]
    Panicked {
        /// The path.
        path: String,
        /// How often in a row.
        tries: u32,
        /// What it said.
        message: String,
    },
    /// There are as many watches on the partition as it takes.
    #[error(
        "partition {partition} has {limit} watches, which is as many as it takes; let go of some, share one among \
         those who want the same, or raise `watches_max`"
    )]
    TooMany {
        /// The partition.
        partition: u32,
        /// How many it takes.
        limit: usize,
    },
    /// Values of partitions could not be put together.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// What serves the client does not push.
    #[error("what serves this client does not push changes; select the path instead")]
    Unsupported,
}

crate::debug_as_it_reads!(WatchError);
