//! A gate in a handler: the handler waits there until the test lets it go on.

use std::sync::{Condvar, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Closed at first. Each test has its own, in a static that its module's handler names.
#[derive(Debug)]
pub(crate) struct Latch {
    arrived: Semaphore,
    open: Mutex<bool>,
    opened: Condvar,
}

/// Opens the latch when the test ends, however it ends: a handler that is held would keep the
/// grid's thread for ever. To be made after the grid, so that it is dropped before it.
pub(crate) struct Opener<'a>(&'a Latch);

impl Latch {
    pub(crate) const fn new() -> Self {
        Self { arrived: Semaphore::const_new(0), open: Mutex::new(false), opened: Condvar::new() }
    }

    /// For the handler: says that it is here, and waits until the latch is open.
    pub(crate) fn pass(&self) {
        self.arrived.add_permits(1);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open).unwrap_or_else(PoisonError::into_inner));
    }

    /// For the test: waits until a handler stands at the latch.
    pub(crate) async fn reached(&self) -> Opener<'_> {
        self.arrived.acquire().await.expect("the semaphore is never closed").forget();
        Opener(self)
    }
}

impl Opener<'_> {
    /// Lets the handler go on, and every one that comes later.
    pub(crate) fn open(self) {}
}

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}
