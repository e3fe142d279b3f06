//! One batch between the log and its answers.

use std::sync::Arc;

use gridmill_client::AppendErrorKind;
use gridmill_client::engine::once;
use gridmill_persistence::Position;

use super::callers::Callers;
use super::published::PartitionView;

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
    callers: Vec<Callers>,
    command: Option<PendingCommand>,
    /// What handlers said about the records before it is entered.
    heard: Position,
    /// Whether all of it is applied.
    applied: bool,
    /// The view that shows what is applied of it, until it is published.
    view: Option<Arc<PartitionView>>,
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
}

impl Commit {
    pub(super) fn new(
        end: Position,
        callers: Vec<Callers>,
        command: Option<PendingCommand>,
    ) -> Self {
        let heard = Position::START;
        Self { end, callers, command, heard, applied: false, view: None }
    }

    pub(super) fn is_applied(&self) -> bool {
        self.applied
    }

    /// A step of it was applied; `say` enters what handlers said.
    pub(super) fn applied(
        &mut self,
        step: StepDone,
        say: impl FnOnce(&mut [Callers], Option<&mut PendingCommand>),
    ) {
        say(&mut self.callers, self.command.as_mut());
        self.heard = step.heard;
        self.end = self.end.max(step.end);
        self.applied = step.all;
        self.view = Some(step.view);
    }

    /// The view that is to be published next.
    pub(super) fn take_view(&mut self) -> Option<Arc<PartitionView>> {
        self.view.take()
    }

    /// The first record whose appender has not heard yet what handlers say.
    pub(super) fn waiting_from(&self) -> Option<Position> {
        let first = self.callers.first().filter(|_| !self.applied)?;
        Some(self.heard.max(first.first_position()))
    }

    /// It was not applied before a restart, or in part: `hear` enters what handlers said in the replay about
    /// the rest.
    pub(super) fn hear(&mut self, hear: impl Fn(&mut Callers, Position)) {
        let heard = self.heard;
        self.callers.iter_mut().for_each(|callers| hear(callers, heard));
    }

    /// Answers those who wait for nothing but the log.
    pub(super) fn answer_appended(&mut self) {
        self.callers.iter_mut().for_each(Callers::answer_appended);
    }

    /// Answers everybody who has no answer yet.
    pub(super) fn answer(&mut self) {
        self.callers.iter_mut().for_each(Callers::answer);
        if let Some(command) = self.command.take() {
            command.answer();
        }
    }

    /// Tells everybody who has no answer yet that it went wrong.
    pub(super) fn fail(&mut self, kind: &AppendErrorKind) {
        self.callers.iter_mut().for_each(|callers| callers.fail(kind));
    }
}
