//! What a client hands to an engine: events with their bytes, and the way of the answer.

use std::any::Any;
use std::fmt;

use gridmill_model::Event;

use crate::error::AppendErrorKind;
use crate::gate::Admission;
use crate::receipt::BatchReceipt;

use super::{Ack, once};

/// A list of events that does not say its type: a `Vec<Option<E>>` of a depot's event type.
pub type AnyEvents = Box<dyn Any + Send>;

/// Events of one depot for one partition, typed and encoded.
pub struct Submission {
    /// The depot's number.
    pub depot: usize,
    /// The partition that gets them.
    pub partition: u32,
    /// The events, all `Some`.
    pub events: AnyEvents,
    /// The same events as bytes.
    pub encoded: EncodedEvents,
    /// When to answer.
    pub ack: Ack,
    /// Room in the mailbox; given back when the submission is answered.
    pub admission: Admission,
    /// Where the answer goes; nowhere if none is wanted.
    pub done: Option<Done>,
}

/// One event of a depot for one partition. It may join a list of others on its way.
pub struct Single<'a> {
    /// The depot's number.
    pub depot: usize,
    /// The partition that gets it.
    pub partition: u32,
    /// The event, which is moved out of its place.
    pub event: &'a mut dyn Lone,
    /// Its variant.
    pub variant: u16,
    /// Its encoded fields.
    pub bytes: &'a [u8],
    /// When to answer.
    pub ack: Ack,
    /// Room in the mailbox; given back when the event is answered.
    pub admission: Admission,
    /// Where the answer goes; nowhere if none is wanted.
    pub done: Option<Done>,
}

impl From<Single<'_>> for Submission {
    fn from(single: Single<'_>) -> Self {
        let Single { depot, partition, ack, admission, done, .. } = single;
        let mut encoded = EncodedEvents::default();
        encoded.push(single.variant, single.bytes);
        Self { depot, partition, events: single.event.alone(), encoded, ack, admission, done }
    }
}

/// Takes so many events off the end of a list of them.
pub type Split = fn(&mut dyn Any, usize) -> Option<AnyEvents>;

/// An event that does not say its type, in the place from which it is moved.
pub trait Lone {
    /// Moves the event to the end of `events`; false, and it stays, if these are of another type.
    fn join(&mut self, events: &mut dyn Any) -> bool;
    /// Moves the event into a list of its own.
    fn alone(&mut self) -> AnyEvents;
    /// How lists of such events are told apart again.
    fn split(&self) -> Split;
}

impl<E: Event> Lone for Option<E> {
    fn join(&mut self, events: &mut dyn Any) -> bool {
        let Some(events) = events.downcast_mut::<Vec<Option<E>>>() else { return false };
        events.push(self.take());
        true
    }

    fn alone(&mut self) -> AnyEvents {
        Box::new(vec![self.take()])
    }

    fn split(&self) -> Split {
        |events, count| {
            let events = events.downcast_mut::<Vec<Option<E>>>()?;
            let first = events.len().checked_sub(count)?;
            Some(Box::new(events.split_off(first)))
        }
    }
}

/// Where the answer to a submission goes. Dropping it leaves the fate of the events unknown.
#[derive(Debug)]
pub struct Done(once::Sender<Result<BatchReceipt, Failure>>);

/// The other end of a [`Done`].
pub(crate) type Answer = once::Receiver<Result<BatchReceipt, Failure>>;

/// Why a submission was not logged, or that nobody knows.
pub(crate) struct Failure {
    pub(crate) kind: AppendErrorKind,
    events: Option<AnyEvents>,
}

impl Done {
    /// A way for an answer, and where it arrives.
    pub(crate) fn new() -> (Self, Answer) {
        let (done, answer) = once::channel();
        (Self(done), answer)
    }

    /// Answers with what became of the events. Nobody listening is fine.
    pub fn answer(self, receipt: BatchReceipt) {
        let _ = self.0.send(Ok(receipt));
    }

    /// Answers with an error, and hands the events back.
    ///
    /// Where [`AppendErrorKind::is_not_logged`] holds of it, the owner can append them again. Events
    /// that are not handed back then count as unknown.
    pub fn fail(self, kind: AppendErrorKind, events: Option<AnyEvents>) {
        let _ = self.0.send(Err(Failure { kind, events }));
    }
}

impl Failure {
    /// What is known of a submission whose engine went away without an answer.
    pub(crate) fn unanswered() -> Self {
        let reason = "its partition stopped before it answered".into();
        Self { kind: AppendErrorKind::Unknown { reason }, events: None }
    }

    /// The error, and the events if they were certainly not logged.
    pub(crate) fn into_parts<E: Event>(self) -> (AppendErrorKind, Option<Vec<Option<E>>>) {
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

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("depot", &self.depot)
            .field("partition", &self.partition)
            .field("events", &self.encoded.len())
            .field("ack", &self.ack)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Single<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single")
            .field("depot", &self.depot)
            .field("partition", &self.partition)
            .field("ack", &self.ack)
            .finish_non_exhaustive()
    }
}

/// The bytes of a batch of events, end to end.
#[derive(Clone, Debug, Default)]
pub struct EncodedEvents {
    /// The fields of every event, one after the other.
    pub bytes: Vec<u8>,
    /// For every event: its variant, and where its bytes end.
    pub ends: Vec<(u16, u32)>,
}

impl EncodedEvents {
    /// How many events.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds an event at the end.
    pub fn push(&mut self, variant: u16, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.close(variant);
    }

    /// Makes an event of what was added to `bytes` since the last one.
    pub(crate) fn close(&mut self, variant: u16) {
        // The limit of a batch is far below 4 GiB, so that the end fits.
        self.ends.push((variant, self.bytes.len() as u32));
    }

    /// Variant and bytes of every event, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(variant, end)| {
            let bytes = &self.bytes[start..end as usize];
            start = end as usize;
            (variant, bytes)
        })
    }
}
