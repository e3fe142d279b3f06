//! Choosing how a grid runs.

mod start;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gridmill_persistence::{Position, SimStorage, Storage};
use tokio::runtime::Handle;

use crate::error::StartError;
use crate::memory::default_budget;
use crate::module::{Module, Plan};
use crate::shell::clock::Clock;
use crate::shell::partition::Durability;
use crate::topology::HOP_BYTES_MAX;

#[cfg(feature = "simulate")]
pub(crate) use start::DataFolder;

/// The file that a running grid holds locked.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// The most partitions of a module.
pub(crate) const PARTITIONS_MAX: u32 = 4096;

/// The most that is under way between partitions by default.
const FLOW_BYTES_MAX: usize = 256 << 20;

/// How long ids of appends are kept by default.
pub(crate) const ONCE_WINDOW: Duration = Duration::from_secs(600);

/// Options of a grid, each with its default. [`GridBuilder::start`] brings it to life.
///
/// # Limits
///
/// What is over a limit is refused before it is acknowledged: whatever was acknowledged fits all files that
/// it will ever be written to.
///
/// | what | at most | over it |
/// |---|---|---|
/// | an event, encoded | [`event_bytes_max`](Self::event_bytes_max), up to 16 MiB | the append is refused |
/// | records that one record sends to one partition | [`hop_bytes_max`](Self::hop_bytes_max), up to 64 MiB | the sending record is set aside |
/// | events of one call for one partition | 128 MiB | the append is refused |
/// | events that wait for a partition | [`mailbox_bytes_max`](Self::mailbox_bytes_max) | appends wait, or are refused |
/// | ids of `append_once` that a partition keeps | [`once_ids_max`](Self::once_ids_max) | the append is refused |
/// | the key of an entry at the root of a PState, encoded | 65,535 bytes | the record is set aside |
/// | the value of such an entry, or a root that is one value | [`value_bytes_max`](Self::value_bytes_max), up to 32 MiB | the record is set aside |
/// | keys and values inside of a value | the value | |
/// | what a PState begins with | as keys and values | the start is refused |
/// | changes that cannot be written out because flushes fail | nearly twice [`overlay_bytes_max`](Self::overlay_bytes_max) | appends are refused until one succeeds |
/// | what a handler's panic says, in a verdict | 4 KiB | it is cut |
/// | partitions of a module | 4,096 | the start is refused |
/// | threads | 1,024 | the start is refused |
/// | a run | 4 TiB | flushes and merges fail |
///
/// The limits of values hold for the past as well: a record that a replay or a new topology reads, and
/// that makes a value over today's limit, is set aside.
///
/// # Memory
///
/// Heap stays within one and a half times [`overlay_bytes_max`](Self::overlay_bytes_max) and
/// [`cache_bytes_max`](Self::cache_bytes_max) together where these are alike, whatever values look like (their
/// lists, maps and texts count), beside what a grid takes without state: some MiB, what waits in mailboxes,
/// and what the largest eight values that change take.
#[derive(Clone)]
#[must_use = "nothing runs before `start`"]
pub struct GridBuilder {
    storage: Option<Arc<dyn Storage>>,
    folder: PathBuf,
    plans: Vec<Result<Arc<Plan>, Arc<StartError>>>,
    partitions: u32,
    threads: usize,
    query_threads: usize,
    watches_max: usize,
    durability: Durability,
    clock: Clock,
    overlay_bytes_max: usize,
    tail_bytes_max: usize,
    mailbox_bytes_max: u32,
    event_bytes_max: usize,
    hop_bytes_max: usize,
    flow_bytes_max: usize,
    drain: Duration,
    once_window: Duration,
    once_ids_max: usize,
    calls_on: Option<Handle>,
    value_bytes_max: usize,
    cache_bytes_max: usize,
    attempts: u32,
    check_handlers: bool,
    accept_new_code: bool,
    quarantine_at: Vec<(String, u32, Position)>,
}

impl std::fmt::Debug for GridBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GridBuilder")
            .field("folder", &self.folder)
            .field("partitions", &self.partitions)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl GridBuilder {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let budget = default_budget();
        Self {
            storage: None,
            folder,
            plans: Vec::new(),
            partitions: 8,
            threads: cores(),
            query_threads: cores(),
            watches_max: 1 << 20,
            durability: Durability::Sync,
            clock: Clock::system(),
            overlay_bytes_max: budget,
            tail_bytes_max: 256 << 20,
            mailbox_bytes_max: 16 << 20,
            event_bytes_max: 1 << 20,
            hop_bytes_max: HOP_BYTES_MAX,
            flow_bytes_max: default_budget().min(FLOW_BYTES_MAX),
            drain: Duration::from_secs(5),
            once_window: ONCE_WINDOW,
            once_ids_max: 1 << 20,
            calls_on: None,
            value_bytes_max: 16 << 20,
            cache_bytes_max: budget,
            attempts: 3,
            check_handlers: false,
            accept_new_code: false,
            quarantine_at: Vec::new(),
        }
    }

    /// A grid in memory, for tests: it starts in milliseconds, runs every batch twice to catch
    /// handlers that are not deterministic, and leaves nothing behind.
    pub(crate) fn in_memory() -> Self {
        let mut builder = Self::new(PathBuf::from("(memory)"));
        builder.storage = Some(Arc::new(SimStorage::new()));
        builder.check_handlers = true;
        builder.partitions = 4;
        builder
    }

    /// Adds a module.
    pub fn module<M: Module>(mut self) -> Self {
        self.plans.push(Plan::of::<M>().map(Arc::new).map_err(Arc::new));
        self
    }

    /// Partitions of each module: 8. Stored at the first start; another number is refused later.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions;
        self
    }

    /// The grid's threads: one for each core. A partition is pinned to one of them.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The threads on which queries, and selects that take long, run at most: one for each core. They give way to
    /// those of partitions.
    pub fn query_threads(mut self, threads: usize) -> Self {
        self.query_threads = threads;
        self
    }

    /// The most watches that one partition takes: 1,048,576. Over it, [`watch`](crate::client::Client::watch) is refused
    /// until others have ended. Each takes about 300 bytes of memory, and each distinct path about 600 and its value.
    pub fn watches_max(mut self, watches: usize) -> Self {
        self.watches_max = watches;
        self
    }

    /// How durable an append is before it is answered: [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Where record times come from: the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Bytes of changes, about, that all topologies and partitions together hold in memory before
    /// they are flushed into runs: a sixteenth of the memory of the machine, or of the container that
    /// the process runs in, at most 1 GiB; 256 MiB where that is not known. Those that have more
    /// than an even share are flushed first. While flushes run it may be twice as much.
    ///
    /// This bounds *changes*, whatever the name says: what a writer has decoded of older entries to work on, its
    /// overlay, is bounded by [`cache_bytes_max`](Self::cache_bytes_max).
    ///
    /// More memory means that a value that changes often is written out less often. Where the values
    /// that change all the time fit, flushes come by [`tail_bytes_max`](Self::tail_bytes_max) alone;
    /// where they do not, each flush writes most of them again, which can cost more than all else.
    pub fn overlay_bytes_max(mut self, bytes: usize) -> Self {
        self.overlay_bytes_max = bytes;
        self
    }

    /// Bytes of logs that the partitions of a thread together let pile up before they flush: 256 MiB. A
    /// start after a crash replays about that much for each thread, at most twice as much: one that has
    /// less than an even share is not flushed for what others have.
    pub fn tail_bytes_max(mut self, bytes: usize) -> Self {
        self.tail_bytes_max = bytes;
        self
    }

    /// Bytes of events that may wait in a partition's mailbox: 16 MiB. Then `append` waits and
    /// `try_append` is refused.
    pub fn mailbox_bytes_max(mut self, bytes: u32) -> Self {
        self.mailbox_bytes_max = bytes;
        self
    }

    /// The largest event in encoded bytes: 1 MiB; at most 16 MiB.
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.event_bytes_max = bytes;
        self
    }

    /// The most bytes that one record may send to one partition, with 64 for each record that it sends: 16 MiB, and
    /// at most 64 MiB. A record that would send more is set aside.
    pub fn hop_bytes_max(mut self, bytes: usize) -> Self {
        self.hop_bytes_max = bytes;
        self
    }

    /// Bytes of records that are under way from one partition to another, of all partitions of the grid: a sixteenth of
    /// the memory, at most 256 MiB. Over it, partitions that have more than an even share under way take no more
    /// from clients until some of it has arrived; what is under way is never held up.
    pub fn flow_bytes_max(mut self, bytes: usize) -> Self {
        self.flow_bytes_max = bytes;
        self
    }

    /// How long [`Grid::shutdown`](crate::Grid::shutdown) waits for records that are under way from one partition to
    /// another: 5 seconds. What has not arrived by then arrives after the next start.
    pub fn drain(mut self, wait: Duration) -> Self {
        self.drain = wait;
        self
    }

    /// How long a partition keeps the ids of [`append_once`](crate::client::Client::append_once): 10 minutes. Within it,
    /// a repeated append is answered with the first one's result; after it, it is another append. It is counted in the
    /// time of the partition's records (see [`clock`](Self::clock)), from when the first one was logged. A start of a
    /// partition that has had such an append reads its log as far back.
    pub fn once_window(mut self, window: Duration) -> Self {
        self.once_window = window;
        self
    }

    /// The most ids of [`append_once`](crate::client::Client::append_once) that one partition keeps: 1,048,576. Over it,
    /// such appends are refused until older ids leave the [`once_window`](Self::once_window). Each takes about 150
    /// bytes of memory, and its replies and refusals where handlers gave any: a thousand appends a second for 10
    /// minutes take 90 MB.
    pub fn once_ids_max(mut self, ids: usize) -> Self {
        self.once_ids_max = ids;
        self
    }

    /// Where the async functions of [`Source::each_async`](crate::Source::each_async) run: by default on the tokio runtime
    /// that [`start`](Self::start) is called on. The grid's own threads run none of them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gridmill::prelude::*;
    ///
    /// // For grids that are started on another executor, or whose calls are to have threads of their own.
    /// let outside = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// let builder = Grid::in_memory().calls_on(outside.handle().clone());
    /// # let _ = builder;
    /// # Ok(())
    /// # }
    /// ```
    pub fn calls_on(mut self, runtime: Handle) -> Self {
        self.calls_on = Some(runtime);
        self
    }

    /// The largest value under one key: 16 MiB; at most 32 MiB. Counted are the bytes that it takes in a
    /// run, and of the gaps before aligned parts (such as the elements of a list) the most there can be: 15
    /// bytes each. A record that makes a larger one is set aside and its appender told.
    pub fn value_bytes_max(mut self, bytes: usize) -> Self {
        self.value_bytes_max = bytes;
        self
    }

    /// Bytes, about, of decoded entries that writers keep, shared out evenly among the PStates and
    /// partitions of the grid: as many as [`overlay_bytes_max`](Self::overlay_bytes_max) has by default.
    /// A value that is in both as it is takes its memory once. A handler that changes an entry that
    /// is not among them reads it from the layers first, which costs several times as much.
    pub fn cache_bytes_max(mut self, bytes: usize) -> Self {
        self.cache_bytes_max = bytes;
        self
    }

    /// How often a record that panics is tried before it goes into quarantine: 3.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Applies every batch twice and compares, to catch handlers that are not deterministic. On for
    /// grids in memory, off otherwise: it halves the speed.
    pub fn check_handlers(mut self, check: bool) -> Self {
        self.check_handlers = check;
        self
    }

    /// Replays an unclean tail although another [`Module::VERSION`] processed it, or although earlier starts
    /// ended the process in one of its records ([`StartError::Aborting`]). Views may then differ from what
    /// readers saw before the crash.
    pub fn accept_replay_with_new_code(mut self) -> Self {
        self.accept_new_code = true;
        self
    }

    /// Sets a record aside before it is replayed: for one that ends the process each time.
    pub fn quarantine_at(mut self, module: &str, partition: u32, position: Position) -> Self {
        self.quarantine_at.push((module.to_owned(), partition, position));
        self
    }

    /// Keeps everything on `storage` instead of the folder; for tests with a simulated disk.
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
