//! Flushes and merges that fail: what is known of it, when they are tried again, and from when on a
//! partition takes no events.

use std::time::{Duration, Instant};

use gridmill_persistence::Position;

use super::counters::Counters;
use super::{Msg, Partition};

/// How long after a failure the next attempt is made where nothing is logged, at first and at most; it doubles
/// each time.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Why changes stay in memory, or runs on disk.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// What failed last.
    pub(crate) message: String,
    /// When it began.
    pub(crate) since: Instant,
}

/// What may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobKind {
    Flush,
    Merge,
}

/// What failed since it last went well. Flushes and merges run beside each other: that the one goes well says
/// nothing of the other.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    flush: Option<Failed>,
    merge: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    /// The end of the log at the last failure.
    at: Position,
    /// When it was, by the host's clock.
    when: Duration,
    wait: Duration,
    problem: Problem,
}

impl Failing {
    /// Whether the last job of this kind failed. Where it was a flush, changes pile up.
    pub(crate) fn has(&self, job: JobKind) -> bool {
        self.of(job).is_some()
    }

    /// Whether an attempt makes no sense yet: a full disk would be asked again and again. More that was
    /// logged is a reason of its own to flush, but none to merge.
    fn waits(&self, job: JobKind, end: Position, now: Duration) -> bool {
        let is_early = |failed: &Failed| now.saturating_sub(failed.when) < failed.wait;
        let of_now = |failed: &Failed| job == JobKind::Merge || failed.at == end;
        self.of(job).is_some_and(|failed| of_now(failed) && is_early(failed))
    }

    fn of(&self, job: JobKind) -> Option<&Failed> {
        match job {
            JobKind::Flush => self.flush.as_ref(),
            JobKind::Merge => self.merge.as_ref(),
        }
    }

    fn set(&mut self, job: JobKind, failed: Option<Failed>) {
        match job {
            JobKind::Flush => self.flush = failed,
            JobKind::Merge => self.merge = failed,
        }
    }

    /// Notes a failure; returns after how long to try again.
    fn note(&mut self, job: JobKind, at: Position, when: Duration, message: String) -> Duration {
        let before = self.of(job);
        let since = before.map_or_else(Instant::now, |failed| failed.problem.since);
        let again = before.filter(|failed| job == JobKind::Merge || failed.at == at);
        let wait = again.map_or(RETRY_MIN, |failed| (failed.wait * 2).min(RETRY_MAX));
        let problem = Problem { message, since };
        self.set(job, Some(Failed { at, when, wait, problem }));
        wait
    }

    /// What is to be told: a flush that fails holds up more.
    fn problem(&self) -> Option<Problem> {
        let failed = self.flush.as_ref().or(self.merge.as_ref());
        failed.map(|failed| failed.problem.clone())
    }
}

impl Partition {
    /// Whether a job of this kind failed a moment ago, so that another attempt makes no sense yet.
    pub(crate) fn waits(&self, job: JobKind) -> bool {
        self.maintenance.failing.waits(job, self.writer.end(), self.host.now())
    }

    pub(crate) fn job_failed(&mut self, job: JobKind, message: String) {
        let partition = self.shared.partition;
        let what = match job {
            JobKind::Flush => "flush",
            JobKind::Merge => "merge",
        };
        tracing::error!(partition, error = %message, "a {what} failed; it is tried again later");
        Counters::add(&self.shared.counters.failed_jobs, 1);
        let message = format!("a {what} failed: {message}");
        let (end, now) = (self.writer.end(), self.host.now());
        let wait = self.maintenance.failing.note(job, end, now, message);
        self.shared.life.note_problem(self.maintenance.failing.problem());
        // Nothing else may come that would have it looked at.
        self.host.after(wait, || Msg::Wake);
    }

    pub(crate) fn job_went_well(&mut self, job: JobKind) {
        if self.maintenance.failing.has(job) {
            self.maintenance.failing.set(job, None);
            self.shared.life.note_problem(self.maintenance.failing.problem());
        }
    }
}
