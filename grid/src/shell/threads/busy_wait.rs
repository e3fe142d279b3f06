//! A caller who appends one event after the other answers each answer with the next append. The
//! thread of the partition waits a moment for it before it sleeps: being woken takes longer.

use std::time::{Duration, Instant};

use crate::shell::partition::shared::Shared;

/// How long to wait: about what a caller takes to wake up and to append again, a batch of some hundred
/// events at most, and if that goes to another partition, for its answer and the next append.
const MOMENT: Duration = Duration::from_micros(300);

/// Waits a moment for an append, and lets the others of the thread, and of the core, work meanwhile.
pub(crate) async fn busy_wait(shared: &Shared) {
    let start = Instant::now();
    while !shared.mailbox.was_told() && start.elapsed() < MOMENT {
        tokio::task::yield_now().await;
        // The caller may have been woken on this thread's core, where it cannot run meanwhile.
        std::thread::yield_now();
    }
}
