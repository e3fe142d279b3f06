//! Folds and merges that fail: what is known of it, when they are tried again, and from when on a
//! partition takes no events.

use std::time::{Duration, Instant};

use gridmill_client::AppendErrorKind;
use gridmill_persistence::Position;

use super::actor::{Msg, Partition};
use super::shared::Counters;

/// How long after a failure the next attempt is made where nothing is logged, at first and at most; it doubles
/// each time.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Why changes stay in memory.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// What failed last.
    pub(crate) message: String,
    /// When it began.
    pub(crate) since: Instant,
}

/// What failed since the last fold or merge that went well.
#[derive(Debug, Default)]
pub(crate) struct Failing(Option<Failed>);

#[derive(Debug)]
struct Failed {
    /// The end of the log at the last failure.
    at: Position,
    when: Instant,
    wait: Duration,
    /// It was a fold: changes pile up.
    fold: bool,
}

impl Failing {
    /// Whether folds fail.
    pub(crate) fn has_fold(&self) -> bool {
        self.0.as_ref().is_some_and(|failed| failed.fold)
    }

    /// Whether an attempt makes no sense yet: without more to keep there is no hurry, and a full disk would
    /// be asked again and again.
    pub(crate) fn waits(&self, end: Position) -> bool {
        self.0
            .as_ref()
            .is_some_and(|failed| failed.at == end && failed.when.elapsed() < failed.wait)
    }

    fn note(&mut self, at: Position, fold: bool) -> Duration {
        // More that was logged is a reason of its own to try again.
        let idle = self.0.as_ref().filter(|failed| failed.at == at);
        let wait = idle.map_or(RETRY_MIN, |failed| (failed.wait * 2).min(RETRY_MAX));
        let fold = fold || self.has_fold();
        self.0 = Some(Failed { at, when: Instant::now(), wait, fold });
        wait
    }
}

impl Partition {
    /// A fold, or else a merge, failed.
    pub(crate) fn job_failed(&mut self, fold: bool, message: String) {
        let partition = self.shared.partition;
        let what = if fold { "fold" } else { "merge" };
        tracing::error!(partition, error = %message, "a {what} failed; it is tried again later");
        Counters::add(&self.shared.counters.failed_jobs, 1);
        let mut problem = self.shared.problem.lock();
        let since = problem.as_ref().map_or_else(Instant::now, |problem| problem.since);
        *problem = Some(Problem { message: format!("a {what} failed: {message}"), since });
        drop(problem);
        let wait = self.failing.note(self.log.next_position(), fold);
        // Nothing else may come that would have it looked at.
        self.me.send_after(wait, || Msg::Wake);
    }

    /// A fold or merge went well.
    pub(crate) fn job_went_well(&mut self) {
        self.failing = Failing::default();
        *self.shared.problem.lock() = None;
    }

    /// Whether events have to be refused: changes cannot be written out, and the memory for them is
    /// nearly used up. One batch takes it further; what is left has room for one.
    pub(crate) fn is_full(&self) -> bool {
        self.failing.has_fold()
            && self.live().any(|topology| self.changes.is_nearly_double(self.core.weight(topology)))
    }

    /// Gives back what waits in the mailbox.
    pub(crate) fn refuse_waiting(&mut self) {
        let mut taken = std::mem::take(&mut self.taken);
        self.shared.take(usize::MAX, &mut taken);
        if !taken.is_empty() {
            let problem = self.shared.problem.lock().clone();
            let message = problem.map_or_else(String::new, |problem| problem.message);
            let kind = AppendErrorKind::ChangesFull { partition: self.shared.partition, message };
            taken.drain(..).for_each(|part| part.fail(&kind));
        }
        self.taken = taken;
        self.shared.put_down();
    }
}
