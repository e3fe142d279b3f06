//! What a partition needs of its surroundings: somebody who carries its messages and does its work.
//!
//! In a grid these are actors and threads ([`threads`](super::threads)). Whatever a partition does stands on this side of
//! the seam and is synchronous; when it happens is decided on the other side.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::partition::Msg;

/// What work off the partition's thread is for; it says what may wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A sync of the log: callers wait.
    Sync,
    /// Reading the past, while the live flow goes on.
    Read,
    /// Evaluating what is watched, where no threads are for that.
    Watch,
    /// Nobody waits: it gives way to others.
    Background,
}

/// Whether a job has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Again,
    Done,
}

/// Work that is done off the partition's thread, in steps between which anything may happen.
pub(crate) trait Job: Send {
    /// Does the next step. Not called again after [`Step::Done`].
    fn step(&mut self) -> Step;
}

/// A job of one step.
struct Once<F>(Option<F>);

impl<F: FnOnce() + Send> Job for Once<F> {
    fn step(&mut self) -> Step {
        if let Some(work) = self.0.take() {
            work();
        }
        Step::Done
    }
}

/// `work` as a job of one step.
pub(crate) fn once(work: impl FnOnce() + Send + 'static) -> Box<dyn Job> {
    Box::new(Once(Some(work)))
}

/// The surroundings of one life of a partition, from its opening to its end.
pub(crate) trait Host: fmt::Debug + Send + Sync {
    /// Puts a message behind those that wait already. Once this life has ended it is lost: the next one
    /// starts from the folder.
    fn tell(&self, message: Msg);
    /// Has a job done, from its first step to its last, beside the partition.
    fn run(&self, work: Work, job: Box<dyn Job>);
    /// Sends what `message` makes, again and again, until this life ends.
    fn every(&self, interval: Duration, message: fn() -> Msg);
    /// Sends what `message` makes once, when `wait` has passed, if this life has not ended by then.
    fn after(&self, wait: Duration, message: fn() -> Msg);
    /// Drives a call to the outside to its end, beside all that the grid does.
    fn call(&self, call: Pin<Box<dyn Future<Output = ()> + Send>>);
    /// A clock that never goes back. Only differences between its times say something.
    fn now(&self) -> Duration;
}
