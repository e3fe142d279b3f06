//! Work that may take long, off the caller's thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::{Engine, once};

/// Why work has no result.
pub(crate) enum Broken {
    /// It panicked so.
    Panicked(Box<dyn Any + Send>),
    /// The engine ended before it was done.
    Lost,
}

/// Work that is under way. Dropping it has it end soon.
pub(crate) struct Started<T>(once::Receiver<std::thread::Result<T>>);

/// Has work done on a thread for that, as soon as there is room for it. It is told how to find out whether
/// anybody still waits for it.
pub(crate) async fn start<T: Send + 'static>(
    engine: &dyn Engine,
    work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
) -> Started<T> {
    let (done, result) = once::channel();
    let job = move || {
        if !done.is_gone() {
            let worked = catch_unwind(AssertUnwindSafe(|| work(&|| !done.is_gone())));
            let _ = done.send(worked);
        }
    };
    match engine.pool() {
        Some(pool) => match pool.gate().enter(1).await {
            Ok(admission) => pool.run(Box::new(move || {
                drop(admission);
                job();
            })),
            // The threads have ended, and what was published last is still there.
            Err(_) => job(),
        },
        None => job(),
    }
    Started(result)
}

impl<T> Started<T> {
    /// What came of it.
    pub(crate) async fn end(self) -> Result<T, Broken> {
        match self.0.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(Broken::Panicked(panic)),
            Err(once::Gone) => Err(Broken::Lost),
        }
    }
}
