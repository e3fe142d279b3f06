//! The client itself: what it holds and how it is tuned.

use std::fmt;
use std::sync::Arc;

use gridmill_model::path::Limits;

use crate::engine::Engine;
use crate::handles::Handles;

/// How many values a select returns at most, unless [`Client::with_limit`] says otherwise.
pub const SELECT_LIMIT: usize = 100_000;

/// Appends events to a grid's depots and reads its PStates.
///
/// Cloning is cheap and clones share what they have resolved. A client may be used from any number
/// of tasks and threads at once, and on any runtime: no handler ever runs on the caller's threads.
#[derive(Clone)]
pub struct Client {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) handles: Arc<Handles>,
    pub(crate) limit: usize,
    pub(crate) bytes: u64,
    pub(crate) partial: bool,
}

impl Client {
    /// A client of `engine`. Applications get theirs from the grid.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            handles: Arc::default(),
            limit: SELECT_LIMIT,
            bytes: Limits::DEFAULT.bytes,
            partial: false,
        }
    }

    /// The same client with another limit on how many values a select returns.
    ///
    /// A select that finds more is an error; it never returns only some of what it found. A single
    /// [`Map`](gridmill_model::Map) or [`List`](gridmill_model::List) counts as one value, however
    /// many elements it has. The limit of [`select_all`](Self::select_all) counts over all
    /// partitions together.
    #[must_use]
    pub fn with_limit(&self, values: usize) -> Self {
        Self { limit: values, ..self.clone() }
    }

    /// The same client with another limit on how many bytes of memory the values of a select may take, about:
    /// without it 64 MiB.
    ///
    /// A select of more is an error, and a single value that is too large is refused before it is read: ask for a
    /// part of it, for example with `range` or `key_range`.
    #[must_use]
    pub fn with_bytes(&self, bytes: u64) -> Self {
        Self { bytes, ..self.clone() }
    }

    /// The same client, reading also PStates that are still catching up with their depots' past.
    ///
    /// Such an answer is true of a moment in the past and may lack later events. Without this, a
    /// read of such a PState is answered with [`CatchingUp`](crate::ReadError::CatchingUp).
    #[must_use]
    pub fn partial(&self) -> Self {
        Self { partial: true, ..self.clone() }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("engine", &self.engine)
            .field("limit", &self.limit)
            .field("bytes", &self.bytes)
            .field("partial", &self.partial)
            .finish_non_exhaustive()
    }
}
