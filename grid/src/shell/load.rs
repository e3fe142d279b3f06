//! What the partitions of one thread have to do, and whether callers append one event after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts the partitions of one thread that have something to do.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    busy: Arc<AtomicUsize>,
    /// Of all threads of the grid.
    pub(crate) last_answer: LastAnswer,
}

impl Load {
    /// Of a thread whose partitions have nothing to do yet.
    pub(crate) fn new(last: LastAnswer) -> Self {
        Self { busy: Arc::default(), last_answer: last }
    }

    /// A partition has something to do.
    pub(crate) fn begin(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// A partition has nothing to do any more.
    pub(crate) fn end(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether more than one partition has something to do.
    pub(crate) fn is_shared(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 1
    }
}

/// An append that comes so soon after an answer would have been met by waiting; what it takes to
/// wake the thread is in it.
const SOON: Duration = Duration::from_micros(200);

/// When a closed-loop append was answered last, by any partition of the grid: the next append of a caller may be
/// for another one.
#[derive(Clone, Debug)]
pub(crate) struct LastAnswer {
    start: Instant,
    /// Microseconds from the start to the answer, plus one; 0 for none.
    answered: Arc<AtomicU64>,
}

impl LastAnswer {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), answered: Arc::default() }
    }

    pub(crate) fn answered(&self) {
        self.answered.store(self.micros() + 1, Ordering::Relaxed);
    }

    pub(crate) fn is_soon_after(&self) -> bool {
        let answered = self.answered.load(Ordering::Relaxed);
        answered > 0 && self.micros().saturating_sub(answered - 1) < SOON.as_micros() as u64
    }

    fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}
