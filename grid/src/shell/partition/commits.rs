//! Batches between the log and their answers: written, applied, durable, in whatever order the last
//! two come; shown and answered in the order of the log.
//!
//! Two threads may complete commits: one that has synced, and the actor. What is *published* is published
//! under the lock, so that it comes in the order of the log; whoever completed commits then answers them, and
//! the other goes on.

use std::collections::VecDeque;
use std::sync::Arc;

use gridmill_client::AppendErrorKind;
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};
use parking_lot::Mutex;

use super::callers::Callers;
use super::commit::{Commit, PendingCommand, StepDone};
use super::published::PartitionView;

/// Where commits become visible. It is called under the lock of the commits: it must be quick, and must not
/// ask the commits anything.
pub(crate) trait Publish {
    /// Shows the newest view of what is durable.
    fn show(&self, view: Arc<PartitionView>);
}

/// All batches that are under way.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    under_way: Mutex<UnderWay>,
}

/// All batches that are under way, oldest first.
#[derive(Debug, Default)]
struct UnderWay {
    commits: VecDeque<Commit>,
    /// Everything before it is durable. It is kept because a batch's end may move on (a verdict
    /// comes behind its events) after the sync that covers both.
    durable: Position,
    /// Why nothing will be answered any more.
    abandoned: Option<String>,
}

/// Commits that are durable, applied and shown. Nobody but its owner knows of them any more.
#[derive(Debug)]
#[must_use = "their callers wait for an answer"]
pub(crate) struct Completed(Vec<Commit>);

impl Completed {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Answers all callers.
    pub(crate) fn answer(self) {
        self.0.into_iter().for_each(|mut commit| commit.answer());
    }
}

impl Commits {
    pub(crate) fn len(&self) -> usize {
        self.under_way.lock().commits.len()
    }

    /// A batch was written.
    pub(crate) fn written(
        &self,
        end: Position,
        callers: Vec<Callers>,
        command: Option<PendingCommand>,
    ) {
        let mut commit = Commit::new(end, callers, command);
        let mut under_way = self.under_way.lock();
        match &under_way.abandoned {
            // A dropped grid's actor may be in the middle of a batch: nobody else would answer.
            Some(reason) => commit.fail(&unknown(reason)),
            None => under_way.commits.push_back(commit),
        }
    }

    /// A step of the newest batch was applied: `say` enters what handlers said.
    pub(crate) fn applied(
        &self,
        step: StepDone,
        say: impl FnOnce(&mut [Callers], Option<&mut PendingCommand>),
        publish: &impl Publish,
    ) -> Completed {
        let mut under_way = self.under_way.lock();
        if let Some(commit) = under_way.commits.back_mut() {
            commit.applied(step, say);
        }
        under_way.complete(publish)
    }

    /// Everything before `durable` is durable.
    pub(crate) fn durable(&self, durable: Position, publish: &impl Publish) -> Completed {
        let mut under_way = self.under_way.lock();
        under_way.durable = under_way.durable.max(durable);
        for commit in under_way.commits.iter_mut().filter(|commit| commit.end <= durable) {
            commit.answer_appended();
        }
        under_way.complete(publish)
    }

    /// After a restart: `view` shows everything before `end`, which is what the log has kept. What
    /// is in it is answered, with what `hear` enters; the rest is not in it. A sync of the old actor that
    /// ends only now finds nothing to show any more.
    pub(crate) fn recovered(
        &self,
        end: Position,
        view: Arc<PartitionView>,
        hear: impl Fn(&mut Callers, Position),
        publish: &impl Publish,
    ) {
        let commits = {
            let mut under_way = self.under_way.lock();
            publish.show(view);
            std::mem::take(&mut under_way.commits)
        };
        let reason = "the partition restarted before it was written".to_owned();
        let lost = AppendErrorKind::NotLogged { reason };
        for mut commit in commits {
            if commit.end.epoch() > end.epoch() || commit.end.number() > end.number() {
                commit.fail(&lost);
                continue;
            }
            if !commit.is_applied() && !is_planted(Bug::AnswerAtRestart) {
                commit.hear(&hear);
            }
            commit.answer();
        }
    }

    /// The first record whose appender has not heard yet what handlers say.
    pub(crate) fn waiting_from(&self) -> Option<Position> {
        self.under_way.lock().commits.iter().find_map(Commit::waiting_from)
    }

    /// The partition is gone for good: it is not known what became of these, nor of any that its
    /// actor may still write.
    pub(crate) fn abandon(&self, reason: &str) {
        let mut under_way = self.under_way.lock();
        under_way.abandoned = Some(reason.to_owned());
        let commits = std::mem::take(&mut under_way.commits);
        drop(under_way);
        let kind = unknown(reason);
        commits.into_iter().for_each(|mut commit| commit.fail(&kind));
    }
}

impl UnderWay {
    /// Shows what is durable, and takes out the oldest commits as far as they are durable and applied.
    fn complete(&mut self, publish: &impl Publish) -> Completed {
        let Self { commits, durable, .. } = self;
        let is_ready = |commit: &&Commit| commit.is_applied() && commit.end <= *durable;
        let count = commits.iter().take_while(is_ready).count();
        // The next one may be applied in part: what its steps have changed lives as long as an older view.
        let may_show = commits.iter_mut().take(count + 1).filter(|commit| commit.end <= *durable);
        if let Some(view) = may_show.filter_map(Commit::take_view).last() {
            publish.show(view);
        }
        // An answer promises that readers see the batch: the view has gone first.
        Completed(commits.drain(..count).collect())
    }
}

fn unknown(reason: &str) -> AppendErrorKind {
    AppendErrorKind::Unknown { reason: reason.to_owned() }
}
