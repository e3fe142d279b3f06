//! The way of prepared events into a mailbox, the same for all appends: room is asked for, the engine gets the
//! events, and the answer comes back.

use gridmill_model::Uuid;

use crate::engine::{Ack, Answer, AnyEvents, EncodedEvents, Single, SingleEvent, Submission};
use crate::error::AppendErrorKind;
use crate::gate::{Admission, Refused};
use crate::handles::DepotRef;

impl DepotRef {
    /// Waits until there is room for `bytes` in a partition's mailbox.
    pub(crate) async fn enter(&self, partition: u32, bytes: usize) -> Result<Admission, Refused> {
        self.entry.gate(partition)?.enter(bytes).await
    }

    /// Like [`enter`](Self::enter), but refuses instead of waiting.
    pub(crate) fn try_enter(&self, partition: u32, bytes: usize) -> Result<Admission, Refused> {
        self.entry.gate(partition)?.try_enter(bytes)
    }

    /// Why events are not let in, as their owner is told.
    pub(crate) fn refused(&self, partition: u32, refused: Refused) -> AppendErrorKind {
        match refused {
            Refused::Closed => AppendErrorKind::ShuttingDown,
            Refused::Full => {
                AppendErrorKind::Overloaded { depot: self.entry.name.clone(), partition }
            }
        }
    }

    /// Puts events that were let in into a partition's mailbox.
    pub(crate) fn submit(
        &self,
        partition: u32,
        (events, encoded): (AnyEvents, EncodedEvents),
        ack: Ack,
        admission: Admission,
    ) -> Answer {
        let (done, answer) = Answer::of(partition, ack);
        let depot = self.entry.id;
        let id = None;
        let submission = Submission { depot, partition, events, encoded, id, ack, admission, done };
        self.engine.submit(submission);
        answer
    }

    /// Puts one event that was let in into a partition's mailbox, to be logged once however often it comes with this
    /// id.
    pub(crate) fn submit_once(
        &self,
        partition: u32,
        event: SingleEvent<'_>,
        id: Uuid,
        admission: Admission,
    ) -> Answer {
        let ack = Ack::Processed;
        let (done, answer) = Answer::of(partition, ack);
        let depot = self.entry.id;
        let single = Single { depot, partition, event, ack, admission, done };
        self.engine.submit(Submission { id: Some(id.into_bytes()), ..single.into() });
        answer
    }

    /// Puts one event that was let in into a partition's mailbox.
    pub(crate) fn submit_one(
        &self,
        partition: u32,
        event: SingleEvent<'_>,
        ack: Ack,
        admission: Admission,
    ) -> Answer {
        let (done, answer) = Answer::of(partition, ack);
        let depot = self.entry.id;
        self.engine.submit_one(Single { depot, partition, event, ack, admission, done });
        answer
    }
}
