//! Records on their way through a partition: logged together, applied together.

use gridmill_client::engine::EncodedEvents;
use gridmill_persistence::Position;

use crate::topology::{AnyEvents, RecordInfo};

use super::control::{Retry, Verdict};

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
