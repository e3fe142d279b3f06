//! What a query may take: time and work, of all that it does taken together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::AskErrorKind;

/// How much one query may take, with all queries and parts in it.
///
/// A query over its limit ends with a typed error; it never answers with a part silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskLimits {
    /// The most entries and elements that selects and parts may look at: 10,000,000. It is counted by the
    /// thousand.
    pub places: u64,
    /// The most bytes of memory that what it gathers may take, about: 256 MiB.
    pub bytes: u64,
    /// The most parts, partitions of [`all`](crate::Ask::all) and queries in it: 100,000.
    pub parts: u64,
    /// How deep queries may stand in queries: 64.
    pub depth: u32,
}

impl AskLimits {
    /// Those that hold where nobody says.
    pub const DEFAULT: Self =
        Self { places: 10_000_000, bytes: 256 << 20, parts: 100_000, depth: 64 };
}

impl Default for AskLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a query has taken.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(super) limits: AskLimits,
    time: Duration,
    begun: Instant,
    cancelled: AtomicBool,
    places: AtomicU64,
    bytes: AtomicU64,
    parts: AtomicU64,
    /// Who waits for the answer.
    waker: Mutex<Option<Waker>>,
}

impl Budget {
    pub(super) fn new(time: Duration, limits: AskLimits) -> Self {
        let (cancelled, places, bytes, parts, waker) = Default::default();
        Self { limits, time, begun: Instant::now(), cancelled, places, bytes, parts, waker }
    }

    /// Whether the query may go on.
    pub(super) fn check(&self) -> Result<(), AskErrorKind> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(AskErrorKind::Cancelled);
        }
        if self.begun.elapsed() >= self.time {
            return Err(AskErrorKind::TimedOut { after: self.time });
        }
        Ok(())
    }

    /// Nobody waits for the answer any more.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// How much time is left.
    pub(super) fn left(&self) -> Duration {
        self.time.saturating_sub(self.begun.elapsed())
    }

    pub(super) fn take_places(&self, places: u64) -> Result<(), AskErrorKind> {
        take(&self.places, places, self.limits.places, "places")
    }

    pub(super) fn take_bytes(&self, bytes: u64) -> Result<(), AskErrorKind> {
        take(&self.bytes, bytes, self.limits.bytes, "bytes")
    }

    /// How many bytes may still be gathered.
    pub(super) fn bytes_left(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.bytes.load(Ordering::Relaxed))
    }

    pub(super) fn take_part(&self) -> Result<(), AskErrorKind> {
        take(&self.parts, 1, self.limits.parts, "parts and queries")
    }

    /// Has `waker` woken when the time is over.
    pub(super) fn wait(&self, waker: &Waker) {
        let mut waiting = self.waker.lock();
        if !waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *waiting = Some(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }
}

fn take(taken: &AtomicU64, more: u64, limit: u64, what: &'static str) -> Result<(), AskErrorKind> {
    let before = taken.fetch_add(more, Ordering::Relaxed);
    if before.saturating_add(more) <= limit {
        return Ok(());
    }
    taken.fetch_sub(more, Ordering::Relaxed);
    Err(AskErrorKind::Limit { what, limit })
}
