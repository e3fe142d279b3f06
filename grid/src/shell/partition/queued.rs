//! What waits in a mailbox: events of one depot, and the calls that appended them.
//!
//! Single events join those before them, so that the log and the machine meet long lists, however
//! small the calls are.

use gridmill_client::engine::{Done, EncodedEvents, EventList, Single, Submission};
use gridmill_client::{Admission, AppendErrorKind, BatchReceipt};

use crate::machine::once::IdKey;
use crate::topology::AnyEvents;

use super::callers::{Caller, Callers};

/// What a list may cost (see [`QueuedEvents::cost`]) that another event joins: batches are to stay small.
const JOIN_COST_MAX: usize = 128 << 10;

/// Events of one depot that wait to be logged one after the other.
#[derive(Debug)]
pub(crate) struct QueuedEvents {
    depot: usize,
    events: EventList,
    /// The id that its one event came with.
    id: Option<[u8; 16]>,
    admission: Admission,
    callers: Vec<Caller>,
}

impl From<Submission> for QueuedEvents {
    fn from(submission: Submission) -> Self {
        let Submission { depot, events, encoded, id, ack, admission, done, .. } = submission;
        // A submission has far less than 2^32 events.
        let callers = vec![Caller::new(done, ack, encoded.len() as u32)];
        Self { depot, events: EventList::new(events, encoded), id, admission, callers }
    }
}

impl QueuedEvents {
    pub(crate) fn depot(&self) -> usize {
        self.depot
    }

    /// The id that its one event came with.
    pub(crate) fn id(&self) -> Option<[u8; 16]> {
        self.id
    }

    /// The same, with its depot.
    pub(crate) fn id_key(&self) -> Option<IdKey> {
        // Each depot has a number of 16 bits in the log.
        self.id.map(|id| (self.depot as u16, id))
    }

    /// Puts something between its callers and their answers.
    pub(crate) fn relay(&mut self, mut relay: impl FnMut(Done) -> Done) {
        self.callers.iter_mut().for_each(|caller| caller.relay(&mut relay));
    }

    /// Answers without logging it. It is of one call.
    pub(crate) fn answer(self, receipt: BatchReceipt) {
        if let Some(caller) = self.callers.into_iter().next() {
            caller.answer(receipt);
        }
    }

    /// The events as they are logged.
    pub(crate) fn encoded(&self) -> &EncodedEvents {
        self.events.encoded()
    }

    /// About what its events cost to log and to apply, in bytes.
    pub(crate) fn cost(&self) -> usize {
        // A record costs time beyond its bytes.
        self.encoded().bytes.len() + 32 * self.encoded().len()
    }

    /// Adds an event of the same depot at the end, or gives it back.
    pub(crate) fn join<'a>(&mut self, mut single: Single<'a>) -> Result<(), Single<'a>> {
        let is_alike = single.depot == self.depot && self.id.is_none();
        let fits = is_alike && self.cost() < JOIN_COST_MAX;
        if !fits || !self.events.join(&mut single.event) {
            return Err(single);
        }
        self.admission.merge(single.admission);
        self.callers.push(Caller::new(single.done, single.ack, 1));
        Ok(())
    }

    /// Answers that it went wrong, with the events where it is certain that none was logged.
    pub(crate) fn fail(self, kind: &AppendErrorKind) {
        let Self { events, callers, .. } = self;
        if !kind.is_not_logged() {
            return callers.into_iter().for_each(|caller| caller.fail(kind, None));
        }
        let counts: Vec<usize> = callers.iter().map(Caller::count).collect();
        let own = events.split(counts.into_iter());
        callers.into_iter().rev().zip(own).for_each(|(caller, own)| caller.fail(kind, own));
    }

    /// What is applied of it, and who waits. Its first event was logged as `receipt` says.
    pub(crate) fn logged(self, receipt: BatchReceipt) -> (AnyEvents, EncodedEvents, Callers) {
        let Self { depot, events, admission, callers, .. } = self;
        let (events, encoded) = events.into_parts();
        (events, encoded, Callers::new(depot, callers, admission, receipt))
    }
}
