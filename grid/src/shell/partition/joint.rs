//! One answer for an append with an id, and for all that come with the same id while it is under way.

use std::sync::Arc;

use gridmill_client::engine::{AnyEvents, Done, Relay};
use gridmill_client::{AppendErrorKind, BatchReceipt, Repeated};
use parking_lot::Mutex;

use super::queued::QueuedEvents;

/// What is known of the first append.
#[derive(Debug)]
pub(crate) struct Joint(Mutex<State>);

#[derive(Debug)]
enum State {
    /// It is under way, and these wait for its answer too.
    Open(Vec<QueuedEvents>),
    Done(Outcome),
}

/// What the first append was answered with.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Answered(BatchReceipt),
    Failed,
}

impl Joint {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Open(Vec::new()))))
    }

    /// Between the first append and its answer.
    pub(crate) fn relay(self: &Arc<Self>, done: Done) -> Done {
        Done::relayed(Box::new(First { done: Some(done), joint: Arc::clone(self) }))
    }

    /// Lets a repeated append wait for the answer; gives it back where that has come.
    pub(crate) fn join(&self, repeat: QueuedEvents) -> Option<(QueuedEvents, Outcome)> {
        match &mut *self.0.lock() {
            State::Open(waiting) => {
                waiting.push(repeat);
                None
            }
            State::Done(outcome) => Some((repeat, outcome.clone())),
        }
    }

    /// The answer, once it has come.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match &*self.0.lock() {
            State::Open(_) => None,
            State::Done(outcome) => Some(outcome.clone()),
        }
    }

    /// The answer has come; returns who waits for it.
    fn settle(&self, outcome: Outcome) -> Vec<QueuedEvents> {
        match std::mem::replace(&mut *self.0.lock(), State::Done(outcome)) {
            State::Open(waiting) => waiting,
            State::Done(_) => Vec::new(),
        }
    }
}

/// The first append, until it is answered.
#[derive(Debug)]
struct First {
    done: Option<Done>,
    joint: Arc<Joint>,
}

impl First {
    fn went_wrong(&mut self, kind: &AppendErrorKind, events: Option<AnyEvents>) {
        let Some(done) = self.done.take() else { return };
        let waiting = self.joint.settle(Outcome::Failed);
        done.fail(kind.clone(), events);
        waiting.into_iter().for_each(|repeat| repeat.fail(kind));
    }
}

impl Relay for First {
    fn answer(mut self: Box<Self>, receipt: BatchReceipt) {
        let Some(done) = self.done.take() else { return };
        let known = BatchReceipt { repeated: Some(Repeated::Known), ..receipt.clone() };
        let waiting = self.joint.settle(Outcome::Answered(known.clone()));
        done.answer(receipt);
        waiting.into_iter().for_each(|repeat| repeat.answer(known.clone()));
    }

    fn fail(mut self: Box<Self>, kind: AppendErrorKind, events: Option<AnyEvents>) {
        self.went_wrong(&kind, events);
    }
}

impl Drop for First {
    fn drop(&mut self) {
        let reason = "its partition stopped before it answered".to_owned();
        self.went_wrong(&AppendErrorKind::Unknown { reason }, None);
    }
}
