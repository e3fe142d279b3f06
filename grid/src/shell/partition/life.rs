//! Whether a partition runs, and how it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::Msg;
use super::failing::Problem;
use crate::shell::host::{Host, Job, Work};

/// The present life of a partition: it has none before the first opening, between restarts, and after its end.
#[derive(Debug, Default)]
pub(crate) struct Life {
    host: ArcSwapOption<Arc<dyn Host>>,
    /// Why the partition does not run, while it does not.
    stopped: Mutex<Option<String>>,
    /// It will not run again.
    given_up: AtomicBool,
    /// Why changes stay in memory, while flushes or merges fail.
    problem: Mutex<Option<Problem>>,
    /// How the log had been stopped before it was opened last.
    recovery: Mutex<String>,
}

impl Life {
    pub(crate) fn begin(&self, host: Arc<dyn Host>) {
        self.host.store(Some(Arc::new(host)));
        *self.stopped.lock() = None;
        *self.problem.lock() = None;
    }

    pub(crate) fn end(&self, reason: String) {
        self.host.store(None);
        *self.stopped.lock() = Some(reason);
    }

    /// It ends for good.
    pub(crate) fn give_up(&self, reason: String) {
        self.end(reason);
        self.given_up.store(true, Ordering::Release);
    }

    /// Whether it has ended for good.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    pub(crate) fn send(&self, message: Msg) {
        if let Some(host) = &*self.host.load() {
            // A message to an actor that just died is made up for when it restarts.
            host.tell(message);
        }
    }

    /// Has a job done beside the partition; false where it does not run.
    pub(crate) fn run(&self, work: Work, job: Box<dyn Job>) -> bool {
        match &*self.host.load() {
            Some(host) => host.run(work, job),
            None => return false,
        }
        true
    }

    /// Why the partition does not run, while it does not.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.stopped.lock().clone()
    }

    /// Why changes stay in memory, while flushes or merges fail.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.problem.lock().clone()
    }

    pub(crate) fn note_problem(&self, problem: Option<Problem>) {
        *self.problem.lock() = problem;
    }

    /// How the log had been stopped before it was opened last.
    pub(crate) fn recovery(&self) -> String {
        self.recovery.lock().clone()
    }

    pub(crate) fn note_recovery(&self, recovery: String) {
        *self.recovery.lock() = recovery;
    }
}
