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

use crate::machine::flow::marks::Watermark;
use crate::machine::flow::outbox::Addressed;
use crate::machine::flow::parcel::Parcel;
use crate::module::Plan;
use crate::state::marks::ScopeId;

use super::commit::{Commit, PendingCommand, StepDone};
use super::delivery::Delivery;
use super::published::PartitionView;
use super::tree::Token;
use super::waiting::Waiting;
use crate::sync::Mutex;

/// Where commits become visible. It is called under the lock of the commits: it must be quick, and must not
/// ask the commits anything.
pub(crate) trait Publish {
    /// Shows the newest view of what is durable.
    fn show(&self, view: Arc<PartitionView>);
    /// The view that is shown touches these of what is watched.
    fn touched(&self, scopes: &[ScopeId]);
    /// Whatever the view that is shown lacks will touch these.
    fn watched(&self, scopes: &[ScopeId]);
    /// Hands over what records of a commit send, to the partition with this number. The view that shows these
    /// records has gone first.
    fn deliver(&self, target: u32, delivery: Delivery);
    /// Keeps what is to be finished when the call for a record of a topology has ended.
    fn keep_call(&self, topology: usize, position: Position, token: Token);
    /// Tells a partition that what it sent is durable here.
    fn confirm(&self, mark: &ReceivedMark);
}

/// How far a batch has brought a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceivedMark {
    pub(crate) topology: usize,
    pub(crate) source: u32,
    pub(crate) mark: Watermark,
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
    /// What batches have brought of other partitions, with the position after each batch; until it is on the disk.
    received: VecDeque<(Position, Vec<ReceivedMark>)>,
    /// Why nothing will be answered any more.
    abandoned: Option<String>,
}

/// Commits that are durable, applied and shown. Nobody but its owner knows of them any more.
#[derive(Debug)]
#[must_use = "their callers wait for an answer"]
pub(crate) struct Completed(Vec<Commit>);

impl Completed {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
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
        waiting: Vec<Waiting>,
        received: Vec<ReceivedMark>,
        command: Option<PendingCommand>,
    ) {
        let mut commit = Commit::new(end, waiting, command);
        let mut under_way = self.under_way.lock();
        if !received.is_empty() {
            under_way.received.push_back((end, received));
        }
        match &under_way.abandoned {
            // A dropped grid's actor may be in the middle of a batch: nobody else would answer.
            Some(reason) => commit.fail(&unknown(reason)),
            None => under_way.commits.push_back(commit),
        }
    }

    /// A step of the newest batch was applied: `say` enters what handlers said.
    pub(crate) fn applied(
        &self,
        plan: &Arc<Plan>,
        step: StepDone,
        say: impl FnOnce(&mut [Waiting], Option<&mut PendingCommand>),
        publish: &impl Publish,
    ) -> Completed {
        let mut under_way = self.under_way.lock();
        if let Some(commit) = under_way.commits.back_mut() {
            for (topology, position, token) in commit.applied(plan, step, say) {
                publish.keep_call(topology, position, token);
            }
            if is_planted(Bug::ReleaseEarly) {
                let outgoing = commit.take_outgoing().into_iter();
                outgoing.for_each(|(target, delivery)| publish.deliver(target, delivery));
            }
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

    /// These are watched from now on: the writer tells of whatever it touches of them. They begin with the view of the newest batch
    /// that is under way.
    pub(crate) fn watched(&self, scopes: Vec<ScopeId>, publish: &impl Publish) {
        let mut under_way = self.under_way.lock();
        match under_way.commits.back_mut() {
            Some(commit) if !is_planted(Bug::WatchEarly) => commit.watched(scopes),
            _ => publish.watched(&scopes),
        }
    }

    /// Everything before `synced` is on the disk: partitions are told that what they sent is.
    pub(crate) fn synced(&self, synced: Position, publish: &impl Publish) {
        let received = &mut self.under_way.lock().received;
        let count = received.partition_point(|(end, _)| *end <= synced);
        for (_, marks) in received.drain(..count) {
            marks.iter().for_each(|mark| publish.confirm(mark));
        }
    }

    /// Hands parcels over again; those that are not durable here will come by
    /// themselves.
    pub(crate) fn send_again(
        &self,
        parcels: impl Iterator<Item = Addressed>,
        publish: &impl Publish,
    ) {
        let under_way = self.under_way.lock();
        let is_to_come =
            |parcel: &Arc<Parcel>| under_way.commits.iter().any(|commit| commit.sends(parcel));
        for (target, parcel) in parcels.filter(|(_, parcel)| !is_to_come(parcel)) {
            publish.deliver(target, Delivery::unasked(parcel));
        }
    }

    /// After a restart: `view` shows everything before `end`, which is what the log has kept. What
    /// is in it is answered, with what `recover` enters, and all that is `watched` is looked at again; the rest is not in it. A sync of the old actor that
    /// ends only now finds nothing to show any more.
    pub(crate) fn recovered(
        &self,
        end: Position,
        view: Arc<PartitionView>,
        watched: &[ScopeId],
        recover: impl Fn(&mut Waiting, Position),
        publish: &impl Publish,
    ) {
        let commits = {
            let mut under_way = self.under_way.lock();
            publish.show(view);
            publish.watched(watched);
            // The log says what has come, and opening it has confirmed that.
            under_way.received.clear();
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
                commit.recover(&recover);
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
        let mut hits = Vec::new();
        let views = may_show.filter_map(|commit| {
            hits.append(&mut commit.take_hits());
            commit.take_view()
        });
        if let Some(view) = views.last() {
            publish.show(view);
        }
        if !hits.is_empty() {
            publish.touched(&hits);
        }
        let mut completed: Vec<Commit> = commits.drain(..count).collect();
        let watched: Vec<ScopeId> = completed.iter_mut().flat_map(Commit::take_watched).collect();
        if !watched.is_empty() {
            publish.watched(&watched);
        }
        // Under the lock: what is sent on a channel must not be overtaken.
        for (target, delivery) in completed.iter_mut().flat_map(Commit::take_outgoing) {
            publish.deliver(target, delivery);
        }
        // An answer promises that readers see the batch: the view has gone first.
        Completed(completed)
    }
}

fn unknown(reason: &str) -> AppendErrorKind {
    AppendErrorKind::Unknown { reason: reason.to_owned() }
}
