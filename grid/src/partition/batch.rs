//! Records on their way through a partition: logged together, applied together.

use gridmill_client::engine::EncodedEvents;
use gridmill_persistence::Position;
use serde::{Deserialize, Serialize};

use crate::topology::{AnyEvents, RecordInfo};

/// What a record of the log is, in its header. Those that are no events name a topology; the type in
/// their header is its generation.
pub(crate) mod kind {
    /// An event of a depot.
    pub(crate) const EVENT: u8 = 1;
    /// A [`Verdict`](super::Verdict): a record is in quarantine for a topology.
    pub(crate) const VERDICT: u8 = 2;
    /// A [`Retry`](super::Retry): a quarantined record is handled again, after all that came since.
    pub(crate) const RETRY: u8 = 3;
    /// A [`Retry`](super::Retry) given up: a quarantined record is forgotten.
    pub(crate) const DISCARD: u8 = 4;
}

/// The depot number of records that belong to no depot.
pub(crate) const NO_DEPOT: u16 = u16::MAX;

/// A record that a topology does not handle, because it failed again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) topology: String,
    pub(crate) position: Position,
    pub(crate) depot: String,
    pub(crate) offset: u64,
    pub(crate) time: i64,
    pub(crate) attempts: u32,
    pub(crate) message: String,
}

/// A quarantined record to handle again, or to forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) topology: String,
    /// The position that its verdict names.
    pub(crate) position: Position,
    pub(crate) depot: String,
    pub(crate) offset: u64,
}

/// Events of one depot that lie one after the other in the log.
pub(crate) struct Events {
    pub(crate) depot: usize,
    pub(crate) events: AnyEvents,
    /// The same as bytes, for when they have to be handled again.
    pub(crate) encoded: EncodedEvents,
    pub(crate) infos: Vec<RecordInfo>,
    /// The only topology that handles them; all that read the depot where `None`.
    pub(crate) only: Option<usize>,
}

/// One entry of a batch.
pub(crate) enum Item {
    Events(Events),
    Verdict(Verdict),
    Discard(Retry),
    /// A quarantined record that is handled again: the record's event, under the new position.
    Retry(Retry, Events),
}

/// What is applied together, in the order of the log.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// The position after the last record.
    pub(crate) end: Position,
}

impl Batch {
    /// The position of the first event that it brings to handlers.
    pub(crate) fn first_event(&self) -> Option<Position> {
        self.items.iter().find_map(|item| match item {
            Item::Events(events) | Item::Retry(_, events) => {
                events.infos.first().map(|info| info.position)
            }
            Item::Verdict(_) | Item::Discard(_) => None,
        })
    }
}
