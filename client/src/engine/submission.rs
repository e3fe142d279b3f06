//! What a client hands to an engine: events with their bytes.

use std::any::Any;
use std::fmt;

use crate::gate::Admission;

use super::{Ack, Done};

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
    /// The id that the caller gave to the one event of it, which is to be logged once however often it comes.
    pub id: Option<[u8; 16]>,
    /// When to answer.
    pub ack: Ack,
    /// Room in the mailbox; given back when the submission is answered.
    pub admission: Admission,
    /// Where the answer goes; nowhere if none is wanted.
    pub done: Option<Done>,
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
