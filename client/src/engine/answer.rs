//! The way of an answer, from an engine to the call that appended.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::error::AppendErrorKind;
use crate::receipt::BatchReceipt;

use super::{Ack, AnyEvents, once};

/// Where the answer to a submission goes. Dropping it leaves the fate of the events unknown.
#[derive(Debug)]
pub struct Done(Target);

#[derive(Debug)]
enum Target {
    Call(once::Sender<Result<BatchReceipt, Failure>>),
    Relay(Box<dyn Relay>),
}

/// What an engine puts between an answer and the call that waits for it, to hear the answer too. It is for the relay
/// to tell the call, also where it is dropped.
pub trait Relay: fmt::Debug + Send {
    /// As [`Done::answer`].
    fn answer(self: Box<Self>, receipt: BatchReceipt);
    /// As [`Done::fail`].
    fn fail(self: Box<Self>, kind: AppendErrorKind, events: Option<AnyEvents>);
}

impl Done {
    /// An answer that goes to `relay`.
    pub fn relayed(relay: Box<dyn Relay>) -> Self {
        Self(Target::Relay(relay))
    }

    /// Answers with what became of the events. Nobody listening is fine.
    pub fn answer(self, receipt: BatchReceipt) {
        match self.0 {
            Target::Call(call) => drop(call.send(Ok(receipt))),
            Target::Relay(relay) => relay.answer(receipt),
        }
    }

    /// Answers with an error, and hands the events back.
    ///
    /// Where [`AppendErrorKind::is_not_logged`] holds of it, the owner can append them again. Events
    /// that are not handed back then count as unknown.
    pub fn fail(self, kind: AppendErrorKind, events: Option<AnyEvents>) {
        match self.0 {
            Target::Call(call) => drop(call.send(Err(Failure { kind, events }))),
            Target::Relay(relay) => relay.fail(kind, events),
        }
    }
}

/// The answer to a submission, once it comes. Where none was asked for, it names the partition alone, at
/// once.
#[derive(Debug)]
pub(crate) struct Answer {
    partition: u32,
    arrives: Option<once::Receiver<Result<BatchReceipt, Failure>>>,
}

impl Answer {
    /// A way for the answer that `ack` asks of a partition, and where it arrives.
    pub(crate) fn of(partition: u32, ack: Ack) -> (Option<Done>, Self) {
        if ack == Ack::None {
            return (None, Self { partition, arrives: None });
        }
        let (done, arrives) = once::channel();
        (Some(Done(Target::Call(done))), Self { partition, arrives: Some(arrives) })
    }
}

impl Future for Answer {
    type Output = Result<BatchReceipt, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(arrives) = &mut self.arrives else {
            let partition = self.partition;
            return Poll::Ready(Ok(BatchReceipt { partition, ..BatchReceipt::default() }));
        };
        let answered = ready!(Pin::new(arrives).poll(context));
        Poll::Ready(answered.unwrap_or_else(|_| Err(Failure::unanswered())))
    }
}

/// Why a submission was not logged, or that nobody knows.
pub(crate) struct Failure {
    pub(crate) kind: AppendErrorKind,
    events: Option<AnyEvents>,
}

impl Failure {
    /// What is known of a submission whose engine went away without an answer.
    fn unanswered() -> Self {
        let reason = "its partition stopped before it answered".into();
        Self { kind: AppendErrorKind::Unknown { reason }, events: None }
    }

    /// The error, and the events if they were certainly not logged.
    pub(crate) fn into_parts<E: 'static>(self) -> (AppendErrorKind, Option<Vec<Option<E>>>) {
        let events = self.events.filter(|_| self.kind.is_not_logged());
        let events = events.and_then(|events| events.downcast().ok());
        (self.kind, events.map(|events| *events))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("kind", &self.kind).finish_non_exhaustive()
    }
}
