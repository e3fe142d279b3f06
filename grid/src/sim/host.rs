//! The surroundings of a partition in the simulator: messages, jobs and timers wait in lists until the
//! seed chooses one of them.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::shell::host::{Host, Job, Work};
use crate::shell::partition::Msg;

/// A job that has steps left.
pub(super) struct Waiting {
    pub(super) partition: usize,
    pub(super) work: Work,
    pub(super) job: Box<dyn Job>,
}

/// Jobs of all partitions. They go on when the life that began them has ended, as threads do.
pub(super) type Jobs = Arc<Mutex<Vec<Waiting>>>;

/// A call to the outside.
type Outside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls that have begun since somebody looked.
pub(super) type Calls = Arc<Mutex<Vec<Outside>>>;

/// What time brings.
#[derive(Default)]
struct Timers {
    now: Duration,
    once: Vec<(Duration, fn() -> Msg)>,
    /// What to send again and again.
    repeated: Vec<fn() -> Msg>,
}

/// One life of one partition.
#[derive(Clone)]
pub(super) struct SimHost {
    partition: usize,
    messages: Arc<Mutex<VecDeque<Msg>>>,
    timers: Arc<Mutex<Timers>>,
    jobs: Jobs,
    calls: Calls,
}

impl fmt::Debug for SimHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimHost").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl SimHost {
    pub(super) fn new(partition: usize, jobs: &Jobs, calls: &Calls) -> Self {
        let (messages, timers) = (Arc::default(), Arc::default());
        let (jobs, calls) = (Arc::clone(jobs), Arc::clone(calls));
        Self { partition, messages, timers, jobs, calls }
    }

    pub(super) fn next(&self) -> Option<Msg> {
        self.messages.lock().pop_front()
    }

    pub(super) fn has_messages(&self) -> bool {
        !self.messages.lock().is_empty()
    }

    /// Time has passed: what is due is told.
    pub(super) fn pass(&self, time: Duration) {
        let mut timers = self.timers.lock();
        timers.now += time;
        let now = timers.now;
        let due: Vec<_> = timers.once.extract_if(.., |(at, _)| *at <= now).collect();
        let messages = due.iter().map(|(_, message)| message).chain(&timers.repeated);
        self.messages.lock().extend(messages.map(|message| message()));
    }
}

impl Host for SimHost {
    fn tell(&self, message: Msg) {
        self.messages.lock().push_back(message);
    }

    fn run(&self, work: Work, job: Box<dyn Job>) {
        self.jobs.lock().push(Waiting { partition: self.partition, work, job });
    }

    fn every(&self, _: Duration, message: fn() -> Msg) {
        self.timers.lock().repeated.push(message);
    }

    fn after(&self, wait: Duration, message: fn() -> Msg) {
        let mut timers = self.timers.lock();
        let at = timers.now + wait;
        timers.once.push((at, message));
    }

    fn call(&self, call: Outside) {
        self.calls.lock().push(call);
    }

    fn now(&self) -> Duration {
        self.timers.lock().now
    }
}

/// What a message is about, for the list of choices.
pub(super) fn named(message: &Msg) -> &'static str {
    match message {
        Msg::Wake => "Wake",
        Msg::GoOn => "GoOn",
        Msg::Synced(_) => "Synced",
        Msg::SyncDue => "SyncDue",
        Msg::Flushed(..) => "Flushed",
        Msg::Merged(..) => "Merged",
        Msg::CaughtUp(_) => "CaughtUp",
        Msg::SetAside(_) => "SetAside",
        Msg::CatchUpEnded(..) => "CatchUpEnded",
        Msg::PutOff(..) => "PutOff",
        Msg::Release => "Release",
        Msg::Called(..) => "Called",
        Msg::SendAgain { .. } => "SendAgain",
        Msg::Quarantined(_) => "Quarantined",
        Msg::Watch => "Watch",
        Msg::Shutdown(_) => "Shutdown",
    }
}

/// What a job is for, for the list of choices.
pub(super) fn of(work: Work) -> &'static str {
    match work {
        Work::Sync => "sync",
        Work::Read => "catch-up",
        Work::Watch => "watch",
        Work::Background => "background",
    }
}
