//! The surroundings of a partition in a grid: its actor carries messages, threads do its work.

pub(crate) mod actor;
pub(crate) mod background;
mod busy_wait;
pub(crate) mod opening;
pub(crate) mod supervisor;
pub(crate) mod worker;

use std::pin::Pin;
use std::time::{Duration, Instant};

use ractor::ActorRef;
use tokio::runtime::Handle;

use crate::shell::host::{Host, Job, Step, Work};
use crate::shell::partition::Msg;

use background::in_background;

/// A partition's actor, and the threads beside it.
#[derive(Debug)]
pub(crate) struct Threads {
    actor: ActorRef<Msg>,
    begun: Instant,
    calls_on: Option<Handle>,
}

impl Threads {
    pub(crate) fn of(actor: ActorRef<Msg>, calls_on: Option<Handle>) -> Self {
        Self { actor, begun: Instant::now(), calls_on }
    }
}

impl Host for Threads {
    fn tell(&self, message: Msg) {
        // An actor that ended meanwhile starts again from its folder.
        let _ = self.actor.cast(message);
    }

    fn run(&self, work: Work, mut job: Box<dyn Job>) {
        let run = move || while job.step() == Step::Again {};
        match work {
            Work::Sync | Work::Read | Work::Watch => drop(tokio::task::spawn_blocking(run)),
            Work::Background => in_background(run),
        }
    }

    fn every(&self, interval: Duration, message: fn() -> Msg) {
        self.actor.send_interval(interval, message);
    }

    fn after(&self, wait: Duration, message: fn() -> Msg) {
        self.actor.send_after(wait, message);
    }

    fn call(&self, call: Pin<Box<dyn Future<Output = ()> + Send>>) {
        // Without a runtime no module with calls is started.
        if let Some(runtime) = &self.calls_on {
            runtime.spawn(call);
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}
