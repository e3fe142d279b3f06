//! A caller who appends one event after the other answers each answer with the next append. The
//! thread of the partition waits a moment for it before it sleeps: being woken takes longer.

use std::time::{Duration, Instant};

use super::shared::Shared;

/// How long to wait: about what a caller takes to wake up and to append again, a batch of some hundred
/// events at most.
const MOMENT: Duration = Duration::from_micros(150);

/// An append that comes so soon after an answer would have been met by waiting; what it takes to
/// wake the thread is in it.
const SOON: Duration = Duration::from_micros(200);

/// Whether it pays to wait for the next append.
#[derive(Debug, Default)]
pub(crate) struct Linger {
    /// When the last lone append was answered.
    answered: Option<Instant>,
    /// Whether the next one came soon after that.
    soon: bool,
    due: bool,
}

impl Linger {
    /// An append has arrived.
    pub(crate) fn arrived(&mut self) {
        self.soon = self.answered.take().is_some_and(|answered| answered.elapsed() < SOON);
    }

    /// It was a lone one and is answered: if it came soon after the last, so may the next.
    pub(crate) fn answered(&mut self) {
        self.answered = Some(Instant::now());
        self.due = std::mem::take(&mut self.soon);
    }

    /// Whether to wait now; once for each lone append.
    pub(crate) fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }
}

/// Waits a moment for an append, and lets the others of the thread work meanwhile.
pub(crate) async fn linger(shared: &Shared) {
    let start = Instant::now();
    while !shared.was_told() && start.elapsed() < MOMENT {
        tokio::task::yield_now().await;
    }
}
