//! Batches between the log and their answers: written, applied, durable, in whatever order the last
//! two come; shown and answered in the order of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use gridmill_client::AppendErrorKind;
use gridmill_client::engine::once;
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};
use parking_lot::{Mutex, MutexGuard};

use super::part::Waiting;
use super::shared::{PartitionView, Shared};

/// An order of the operator (a retry, a discard) that waits until its effect is durable and shown.
#[derive(Debug)]
pub(crate) struct PendingCommand {
    done: once::Sender<Result<(), String>>,
    /// What it will be answered with.
    pub(crate) answer: Result<(), String>,
}

impl PendingCommand {
    pub(crate) fn new(done: once::Sender<Result<(), String>>) -> Self {
        Self { done, answer: Ok(()) }
    }

    fn answer(self) {
        // Nobody has to listen.
        let _ = self.done.send(self.answer);
    }
}

/// One batch.
#[derive(Debug)]
pub(crate) struct Commit {
    /// The position after its last record.
    end: Position,
    waiting: Vec<Waiting>,
    order: Option<PendingCommand>,
    /// What handlers said about the records before it is entered.
    heard: Position,
    /// Whether all of it is applied.
    applied: bool,
    /// The view that shows what is applied of it, until it is published.
    view: Option<Arc<PartitionView>>,
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

/// All batches that are under way.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    under_way: Mutex<UnderWay>,
}

impl Commits {
    pub(crate) fn len(&self) -> usize {
        self.under_way.lock().commits.len()
    }

    /// A batch was written.
    pub(crate) fn written(
        &self,
        end: Position,
        waiting: Vec<Waiting>,
        order: Option<PendingCommand>,
    ) {
        let heard = Position::START;
        let mut commit = Commit { end, waiting, order, heard, applied: false, view: None };
        let mut under_way = self.under_way.lock();
        match &under_way.abandoned {
            // A dropped grid's actor may be in the middle of a batch: nobody else would answer.
            Some(reason) => commit.give_up(reason),
            None => under_way.commits.push_back(commit),
        }
    }

    /// The newest batch was applied up to `heard`, or all of it: `complete` enters what handlers said,
    /// `view` shows it, and its last record (a verdict may have come behind its events) ends at `end`.
    pub(crate) fn applied(
        &self,
        shared: &Shared,
        (heard, end, all): (Position, Position, bool),
        complete: impl FnOnce(&mut [Waiting], Option<&mut PendingCommand>),
        view: Arc<PartitionView>,
    ) {
        let mut under_way = self.under_way.lock();
        let Some(commit) = under_way.commits.back_mut() else { return };
        complete(&mut commit.waiting, commit.order.as_mut());
        commit.heard = heard;
        commit.end = commit.end.max(end);
        commit.applied = all;
        commit.view = Some(view);
        complete_ready(shared, under_way);
    }

    /// Everything before `durable` is durable.
    pub(crate) fn durable(&self, shared: &Shared, durable: Position) {
        let mut under_way = self.under_way.lock();
        under_way.durable = under_way.durable.max(durable);
        for commit in under_way.commits.iter_mut().filter(|commit| commit.end <= durable) {
            commit.waiting.iter_mut().for_each(Waiting::answer_appended);
        }
        complete_ready(shared, under_way);
    }

    /// After a restart: `view` shows everything before `end`, which is what the log has kept. What
    /// is in it is answered; the rest is not in it. A sync of the old actor that ends only now finds
    /// nothing to show any more.
    pub(crate) fn recovered(
        &self,
        shared: &Shared,
        end: Position,
        view: Arc<PartitionView>,
        complete: impl Fn(&mut Waiting, Position),
        reason: &str,
    ) {
        let mut under_way = self.under_way.lock();
        shared.view.store(view);
        for mut commit in std::mem::take(&mut under_way.commits) {
            if commit.end.epoch() <= end.epoch() && commit.end.number() <= end.number() {
                if !commit.applied && !is_planted(Bug::AnswerAtRestart) {
                    // It was not applied before the restart, or in part: the replay says what handlers
                    // said about the rest.
                    let heard = commit.heard;
                    commit.waiting.iter_mut().for_each(|waiting| complete(waiting, heard));
                }
                commit.answer();
                continue;
            }
            let kind = AppendErrorKind::NotLogged { reason: reason.to_owned() };
            commit.waiting.iter_mut().for_each(|waiting| waiting.fail(&kind));
        }
    }

    /// The first record whose appender has not heard yet what handlers say.
    pub(crate) fn waiting_from(&self) -> Option<Position> {
        let under_way = self.under_way.lock();
        let mut open = under_way.commits.iter().filter(|commit| !commit.applied);
        let (heard, first) =
            open.find_map(|commit| Some((commit.heard, commit.waiting.first()?)))?;
        Some(heard.max(Position::from_bits(first.receipt.first_position)))
    }

    /// The partition is gone for good: it is not known what became of these, nor of any that its
    /// actor may still write.
    pub(crate) fn abandon(&self, reason: &str) {
        let mut under_way = self.under_way.lock();
        under_way.abandoned = Some(reason.to_owned());
        for mut commit in std::mem::take(&mut under_way.commits) {
            commit.give_up(reason);
        }
    }
}

impl Commit {
    fn answer(&mut self) {
        self.waiting.iter_mut().for_each(Waiting::answer);
        if let Some(order) = self.order.take() {
            order.answer();
        }
    }

    fn give_up(&mut self, reason: &str) {
        let kind = AppendErrorKind::Unknown { reason: reason.to_owned() };
        self.waiting.iter_mut().for_each(|waiting| waiting.fail(&kind));
    }
}

/// Shows and answers batches that are durable and applied. The view goes first: an answer promises
/// that readers see the batch.
fn complete_ready(shared: &Shared, mut under_way: MutexGuard<'_, UnderWay>) {
    let UnderWay { commits, durable, .. } = &mut *under_way;
    let count =
        commits.iter().take_while(|commit| commit.applied && commit.end <= *durable).count();
    // The next one may be applied in part: what its steps have changed lives as long as an older view.
    let may_show = commits.iter_mut().take(count + 1).filter(|commit| commit.end <= *durable);
    if let Some(view) = may_show.filter_map(|commit| commit.view.take()).last() {
        shared.view.store(view);
    }
    if count == 0 {
        return;
    }
    let completed: Vec<_> = commits.drain(..count).collect();
    // The actor goes on to the next batch while callers are answered.
    drop(under_way);
    completed.into_iter().for_each(|mut commit| commit.answer());
    shared.touch();
}
