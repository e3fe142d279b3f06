//! Threads for what may take long.

use std::any::Any;
use std::time::Duration;

use crate::gate::Gate;

/// Ends its wait when it is dropped.
pub type Timer = Box<dyn Any + Send + Sync>;

/// Threads that walk views and run parts of queries, beside the partitions.
pub trait Pool: Send + Sync {
    /// How many jobs may wait: each takes one byte of it until it begins.
    fn gate(&self) -> &Gate;
    /// Has a job done on one of the threads. It does not unwind.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
    /// Calls `wake` when `wait` has passed, unless the timer is dropped before.
    fn after(&self, wait: Duration, wake: Box<dyn FnOnce() + Send>) -> Timer;
}
