//! One batch between the log and its answers.

use std::sync::Arc;

use gridmill_client::AppendErrorKind;
use gridmill_client::engine::once;
use gridmill_persistence::Position;

use crate::machine::flow::outbox::Addressed;
use crate::machine::flow::parcel::Parcel;
use crate::module::Plan;
use crate::state::marks::ScopeId;
use crate::topology::OpenedCall;

use super::delivery::Delivery;
use super::published::PartitionView;
use super::tree::Token;
use super::waiting::Waiting;

/// A command of the operator (a retry, a discard) that waits until its effect is durable and shown.
#[derive(Debug)]
pub(crate) struct PendingCommand {
    done: once::Sender<Result<(), String>>,
    answer: Result<(), String>,
}

impl PendingCommand {
    pub(crate) fn new(done: once::Sender<Result<(), String>>) -> Self {
        Self { done, answer: Ok(()) }
    }

    /// It was carried out, and did not succeed.
    pub(crate) fn fail(&mut self, message: String) {
        self.answer = Err(message);
    }

    fn answer(self) {
        // Nobody has to listen.
        let _ = self.done.send(self.answer);
    }
}

/// A batch that was written: who waits for it, and how far it is.
#[derive(Debug)]
pub(super) struct Commit {
    /// The position after its last record.
    pub(super) end: Position,
    waiting: Vec<Waiting>,
    command: Option<PendingCommand>,
    /// What handlers said about the records before it is entered.
    heard: Position,
    /// Whether all of it is applied.
    applied: bool,
    /// The view that shows what is applied of it, until it is published.
    view: Option<Arc<PartitionView>>,
    /// What its records send, with the partition that it goes to.
    outgoing: Vec<(u32, Delivery)>,
    /// What the view touches of what is watched.
    hits: Vec<ScopeId>,
    /// What is watched from its end on.
    watched: Vec<ScopeId>,
}

/// A step through the machine of the newest batch.
pub(crate) struct StepDone {
    /// What handlers said about the records before it is known.
    pub(crate) heard: Position,
    /// The position after the batch's last record: a verdict may have come behind its events.
    pub(crate) end: Position,
    /// Whether it was the last step.
    pub(crate) all: bool,
    /// It shows what was applied.
    pub(crate) view: Arc<PartitionView>,
    /// What its records send.
    pub(crate) sent: Vec<Addressed>,
    /// The calls that it opened.
    pub(crate) called: Vec<OpenedCall>,
    /// What it touched of what is watched.
    pub(crate) hits: Vec<ScopeId>,
}

impl Commit {
    pub(super) fn new(
        end: Position,
        waiting: Vec<Waiting>,
        command: Option<PendingCommand>,
    ) -> Self {
        let heard = Position::START;
        let (outgoing, hits, watched) = (Vec::new(), Vec::new(), Vec::new());
        Self { end, waiting, command, heard, applied: false, view: None, outgoing, hits, watched }
    }

    pub(super) fn is_applied(&self) -> bool {
        self.applied
    }

    /// A step of it was applied; `say` enters what handlers said. Returns what waits for calls.
    pub(super) fn applied(
        &mut self,
        plan: &Arc<Plan>,
        step: StepDone,
        say: impl FnOnce(&mut [Waiting], Option<&mut PendingCommand>),
    ) -> Vec<(usize, Position, Token)> {
        say(&mut self.waiting, self.command.as_mut());
        for (target, parcel) in step.sent {
            let tokens = parcel.groups().map(|(cause, _)| self.token(plan, cause)).collect();
            self.outgoing.push((target, Delivery { parcel, tokens }));
        }
        self.heard = step.heard;
        self.end = self.end.max(step.end);
        self.applied = step.all;
        self.view = Some(step.view);
        self.hits.extend(step.hits);
        let called = step.called.into_iter();
        called
            .filter_map(|OpenedCall { topology, position, .. }| {
                Some((topology, position, self.token(plan, position)?))
            })
            .collect()
    }

    /// For what the record at `cause` leads to, where it is one of this batch and somebody waits for it.
    fn token(&mut self, plan: &Arc<Plan>, cause: Position) -> Option<Token> {
        let after = self.waiting.partition_point(|waiting| waiting.first_position() <= cause);
        self.waiting.get_mut(after.checked_sub(1)?)?.token(plan, cause)
    }

    /// Whether a parcel is among what its records send.
    pub(super) fn sends(&self, parcel: &Arc<Parcel>) -> bool {
        self.outgoing.iter().any(|(_, delivery)| Arc::ptr_eq(&delivery.parcel, parcel))
    }

    /// What its records send, with the partition that it goes to.
    pub(super) fn take_outgoing(&mut self) -> Vec<(u32, Delivery)> {
        std::mem::take(&mut self.outgoing)
    }

    /// The view that is to be published next.
    pub(super) fn take_view(&mut self) -> Option<Arc<PartitionView>> {
        self.view.take()
    }

    /// What the view that was taken touches of what is watched.
    pub(super) fn take_hits(&mut self) -> Vec<ScopeId> {
        std::mem::take(&mut self.hits)
    }

    /// These are watched from its end on.
    pub(super) fn watched(&mut self, scopes: Vec<ScopeId>) {
        self.watched.extend(scopes);
    }

    /// What is watched from its end on.
    pub(super) fn take_watched(&mut self) -> Vec<ScopeId> {
        std::mem::take(&mut self.watched)
    }

    /// The first record whose appender has not heard yet what handlers say.
    pub(super) fn waiting_from(&self) -> Option<Position> {
        let first = self.waiting.first().filter(|_| !self.applied)?;
        Some(self.heard.max(first.first_position()))
    }

    /// It was not applied before a restart, or in part: `hear` enters what handlers said in the replay about
    /// the rest.
    pub(super) fn recover(&mut self, recover: impl Fn(&mut Waiting, Position)) {
        let heard = self.heard;
        self.waiting.iter_mut().for_each(|waiting| recover(waiting, heard));
    }

    /// Answers those who wait for nothing but the log.
    pub(super) fn answer_appended(&mut self) {
        self.waiting.iter_mut().for_each(Waiting::answer_appended);
    }

    /// Answers everybody who has no answer yet.
    pub(super) fn answer(&mut self) {
        self.waiting.iter_mut().for_each(Waiting::answer);
        if let Some(command) = self.command.take() {
            command.answer();
        }
    }

    /// Tells everybody who has no answer yet that it went wrong.
    pub(super) fn fail(&mut self, kind: &AppendErrorKind) {
        self.waiting.iter_mut().for_each(|waiting| waiting.fail(kind));
    }
}
