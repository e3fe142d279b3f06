//! A caller who appends one event after the other answers each answer with the next append. The
//! thread of the partition waits a moment for it before it sleeps: being woken takes longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::shared::Shared;

/// How long to wait: about what a caller takes to wake up and to append again, a batch of some hundred
/// events at most, and if that goes to another partition, for its answer and the next append.
const MOMENT: Duration = Duration::from_micros(300);

/// An append that comes so soon after an answer would have been met by waiting; what it takes to
/// wake the thread is in it.
const SOON: Duration = Duration::from_micros(200);

/// When a lone append was answered last, by any partition of the grid: the next append of a caller may be
/// for another one.
#[derive(Clone, Debug)]
pub(crate) struct LastLone {
    start: Instant,
    /// Microseconds from the start to the answer, plus one; 0 for none.
    answered: Arc<AtomicU64>,
}

impl LastLone {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), answered: Arc::default() }
    }

    fn answered(&self) {
        self.answered.store(self.micros() + 1, Ordering::Relaxed);
    }

    fn is_soon_after(&self) -> bool {
        let answered = self.answered.load(Ordering::Relaxed);
        answered > 0 && self.micros().saturating_sub(answered - 1) < SOON.as_micros() as u64
    }

    fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// Whether it pays to wait for the next append.
#[derive(Debug, Default)]
pub(crate) struct Linger {
    /// Whether an append came soon after the answer to another.
    soon: bool,
    due: bool,
}

impl Linger {
    /// An append has arrived.
    pub(crate) fn arrived(&mut self, lone: &LastLone) {
        self.soon = lone.is_soon_after();
    }

    /// It was a lone one and is answered: if it came soon after the last, so may the next.
    pub(crate) fn answered(&mut self, lone: &LastLone) {
        lone.answered();
        self.due = std::mem::take(&mut self.soon);
    }

    /// Whether to wait now; once for each lone append.
    pub(crate) fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }
}

/// Waits a moment for an append, and lets the others of the thread, and of the core, work meanwhile.
pub(crate) async fn linger(shared: &Shared) {
    let start = Instant::now();
    while !shared.was_told() && start.elapsed() < MOMENT {
        tokio::task::yield_now().await;
        // The caller may have been woken on this thread's core, where it cannot run meanwhile.
        std::thread::yield_now();
    }
}
