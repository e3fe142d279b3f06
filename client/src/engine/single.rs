//! Appends of single events: they join what waits, so that logs and handlers meet long lists, and no list is
//! made for one event that goes on in another.

use std::any::Any;
use std::fmt;

use gridmill_model::Event;

use crate::gate::Admission;

use super::{Ack, AnyEvents, Done, EncodedEvents, Submission};

/// One event of a depot for one partition. It either joins an [`EventList`] or becomes a [`Submission`].
pub struct Single<'a> {
    /// The depot's number.
    pub depot: usize,
    /// The partition that gets it.
    pub partition: u32,
    /// When to answer.
    pub ack: Ack,
    /// Room in the mailbox; given back when the event is answered.
    pub admission: Admission,
    /// Where the answer goes; nowhere if none is wanted.
    pub done: Option<Done>,
    /// The event itself.
    pub event: SingleEvent<'a>,
}

/// An event that does not say its type, in the place from which it is moved, and the same as bytes.
pub struct SingleEvent<'a> {
    typed: &'a mut dyn Typed,
    variant: u16,
    bytes: &'a [u8],
}

impl<'a> SingleEvent<'a> {
    /// The event of a place that is not empty.
    pub(crate) fn new<E: Event>(event: &'a mut Option<E>, variant: u16, bytes: &'a [u8]) -> Self {
        Self { typed: event, variant, bytes }
    }
}

impl From<Single<'_>> for Submission {
    fn from(single: Single<'_>) -> Self {
        let Single { depot, partition, ack, admission, done, event } = single;
        let mut encoded = EncodedEvents::default();
        encoded.push(event.variant, event.bytes);
        let events = event.typed.alone();
        Self { depot, partition, events, encoded, id: None, ack, admission, done }
    }
}

/// Events of one depot, typed and as bytes, which single ones may join.
pub struct EventList {
    events: AnyEvents,
    encoded: EncodedEvents,
    /// How the events are told apart again, where some have joined.
    split_off: Option<SplitOff>,
}

/// Takes so many events off the end of a list of them.
type SplitOff = fn(&mut dyn Any, usize) -> Option<AnyEvents>;

impl EventList {
    /// The events of a submission, and the same as bytes.
    pub fn new(events: AnyEvents, encoded: EncodedEvents) -> Self {
        Self { events, encoded, split_off: None }
    }

    /// The events as bytes.
    pub fn encoded(&self) -> &EncodedEvents {
        &self.encoded
    }

    /// Both forms of the events.
    pub fn into_parts(self) -> (AnyEvents, EncodedEvents) {
        (self.events, self.encoded)
    }

    /// Moves an event to the end; false, and it stays, if it is of another type.
    pub fn join(&mut self, event: &mut SingleEvent<'_>) -> bool {
        let joined = event.typed.join(&mut *self.events);
        if joined {
            self.encoded.push(event.variant, event.bytes);
            self.split_off = Some(event.typed.split_off());
        }
        joined
    }

    /// Gives the typed events back to those who put them in, by how many each had. The last comes first.
    pub fn split(
        mut self,
        counts: impl DoubleEndedIterator<Item = usize>,
    ) -> impl Iterator<Item = Option<AnyEvents>> {
        counts.rev().map(move |count| match self.split_off {
            Some(split_off) => split_off(&mut *self.events, count),
            // Then all of them came together.
            None => Some(std::mem::replace(&mut self.events, Box::new(()))),
        })
    }
}

/// An event in its place: `None` once it is moved.
trait Typed {
    /// Moves the event to the end of `events`; false, and it stays, if these are of another type.
    fn join(&mut self, events: &mut dyn Any) -> bool;
    /// Moves the event into a list of its own.
    fn alone(&mut self) -> AnyEvents;
    /// How lists of such events are told apart again.
    fn split_off(&self) -> SplitOff;
}

impl<E: Event> Typed for Option<E> {
    fn join(&mut self, events: &mut dyn Any) -> bool {
        let Some(events) = events.downcast_mut::<Vec<Option<E>>>() else { return false };
        events.push(self.take());
        true
    }

    fn alone(&mut self) -> AnyEvents {
        Box::new(vec![self.take()])
    }

    fn split_off(&self) -> SplitOff {
        |events, count| {
            let events = events.downcast_mut::<Vec<Option<E>>>()?;
            let first = events.len().checked_sub(count)?;
            Some(Box::new(events.split_off(first)))
        }
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

impl fmt::Debug for SingleEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleEvent").field("variant", &self.variant).finish_non_exhaustive()
    }
}

impl fmt::Debug for EventList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventList").field("events", &self.encoded.len()).finish()
    }
}
