//! Records on their way through a partition: logged together, applied together or in steps.

use std::ops::Range;

use gridmill_client::engine::EncodedEvents;
use gridmill_persistence::Position;

use crate::module::Plan;
use crate::topology::{AnyEvents, CallKey, RecordInfo};

use super::control::{ClockRecord, Retry, Verdict};

/// Events of one depot that lie one after the other in the log.
pub(crate) struct Events {
    pub(crate) depot: usize,
    pub(crate) events: AnyEvents,
    /// The same as bytes, for when they have to be handled again.
    pub(crate) encoded: EncodedEvents,
    pub(crate) infos: Vec<RecordInfo>,
    /// The only topology that handles them; all that read the depot where `None`.
    pub(crate) only: Option<usize>,
    /// The call to which the one record is the answer, where it is one.
    pub(crate) call: Option<CallKey>,
}

impl Events {
    /// None yet of a depot.
    pub(crate) fn none(plan: &Plan, depot: usize) -> Self {
        let (events, encoded) = (plan.depots[depot].codec.events(), EncodedEvents::default());
        Self { depot, events, encoded, infos: Vec::new(), only: None, call: None }
    }

    /// Adds an event; false where its bytes cannot be decoded, and one that nobody knows stands in its place.
    pub(crate) fn push(
        &mut self,
        plan: &Plan,
        (variant, bytes): (u16, &[u8]),
        info: RecordInfo,
    ) -> bool {
        let codec = &plan.depots[self.depot].codec;
        let decoded = codec.decode(&mut self.events, usize::from(variant), bytes).is_ok();
        if !decoded {
            codec.push_unknown(&mut self.events);
        }
        self.encoded.push(variant, bytes);
        self.infos.push(info);
        decoded
    }
}

/// One entry of a batch.
pub(crate) enum Item {
    Events(Events),
    Verdict(Verdict),
    Discard(Retry),
    /// A quarantined record that is handled again: the record's event, under the new position.
    Retry(Retry, Events),
    /// Timers go that are due at this record's time.
    Clock(ClockRecord, RecordInfo),
}

impl Item {
    /// The records that it brings to handlers.
    fn infos(&self) -> &[RecordInfo] {
        match self {
            Self::Events(events) | Self::Retry(_, events) => &events.infos,
            Self::Verdict(_) | Self::Discard(_) | Self::Clock(..) => &[],
        }
    }
}

/// What was logged or read together, in the order of the log.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// The position after the last record.
    pub(crate) end: Position,
    /// A record of it cannot be decoded, so that the others have to be handled one by one.
    pub(crate) careful: bool,
    /// Everything before it has been applied.
    at: Cursor,
}

/// A place in a batch: a record of an item, or an item without records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    item: usize,
    record: usize,
}

/// Records of a batch that are applied together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    from: Cursor,
    to: Cursor,
    /// How many there are.
    pub(crate) records: usize,
}

impl Step {
    /// The items that have something in it.
    pub(crate) fn items(&self) -> Range<usize> {
        let part = usize::from(self.to.record > 0);
        self.from.item..self.to.item + part
    }

    /// Which of an item's records are in it.
    pub(crate) fn records_of(&self, item: usize, events: &Events) -> Range<usize> {
        let start = if item == self.from.item { self.from.record } else { 0 };
        let end = if item == self.to.item { self.to.record } else { events.infos.len() };
        start..end
    }

    /// Whether an item ends in it.
    pub(crate) fn ends(&self, item: usize) -> bool {
        item < self.to.item
    }
}

impl Batch {
    pub(crate) fn new(items: Vec<Item>, end: Position) -> Self {
        Self { items, end, careful: false, at: Cursor::default() }
    }

    /// Takes the next records to apply, at most so many. A [`Item::Clock`] begins a step, in which no record follows it:
    /// it goes by what all before it have scheduled.
    pub(crate) fn step(&mut self, records_max: usize) -> Step {
        let from = self.at;
        let (mut taken, mut max) = (0, records_max);
        while let Some(item) = self.items.get(self.at.item) {
            if matches!(item, Item::Clock(..)) {
                if self.at != from {
                    break;
                }
                max = 0;
            }
            let records = item.infos().len() - self.at.record;
            if records > max - taken {
                self.at.record += max - taken;
                taken = max;
                break;
            }
            taken += records;
            self.at = Cursor { item: self.at.item + 1, record: 0 };
        }
        Step { from, to: self.at, records: taken }
    }

    /// Whether all of it has been taken.
    pub(crate) fn is_applied(&self) -> bool {
        self.at.item == self.items.len()
    }

    /// The position of the first record that was not taken, or the end.
    pub(crate) fn applied_to(&self) -> Position {
        let info = match self.items.get(self.at.item) {
            Some(Item::Clock(_, info)) => Some(info),
            item => item.and_then(|item| item.infos().get(self.at.record)),
        };
        info.map_or(self.end, |info| info.position)
    }

    /// The position of the first event that it brings to handlers.
    pub(crate) fn first_event(&self) -> Option<Position> {
        self.items.iter().flat_map(Item::infos).map(|info| info.position).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: Range<u64>) -> Item {
        let info =
            |number| RecordInfo { position: Position::START.forward(number), offset: 0, time: 0 };
        let infos = numbers.map(info).collect();
        let (events, encoded) = (Box::new(()), EncodedEvents::default());
        Item::Events(Events { depot: 0, events, encoded, infos, only: None, call: None })
    }

    #[test]
    fn a_clock_is_a_step_of_its_own() {
        let clock = |number| {
            let position = Position::START.forward(number);
            let info = RecordInfo { position, offset: 0, time: 0 };
            Item::Clock(ClockRecord { timers_max: 1, bytes_max: 1 }, info)
        };
        let discard = || {
            let (topology, depot) = (String::new(), String::new());
            Item::Discard(Retry { topology, position: Position::START, depot, offset: 0 })
        };
        let items =
            vec![clock(0), discard(), events(2..4), discard(), clock(5), clock(6), events(7..8)];
        let mut batch = Batch::new(items, Position::START.forward(8));
        let mut steps = Vec::new();
        while !batch.is_applied() {
            let step = batch.step(10);
            steps.push((step.items(), batch.applied_to().number()));
        }
        assert_eq!(steps, [(0..2, 2), (2..4, 5), (4..5, 6), (5..6, 7), (6..7, 8)]);
    }

    #[test]
    fn steps_cover_a_batch_in_order() {
        let verdict = Item::Discard(Retry {
            topology: String::new(),
            position: Position::START,
            depot: String::new(),
            offset: 0,
        });
        let items = vec![events(0..5), verdict, events(6..6), events(6..8)];
        let mut batch = Batch::new(items, Position::START.forward(9));
        let mut seen = Vec::new();
        while !batch.is_applied() {
            let step = batch.step(3);
            for item in step.items() {
                if let Item::Events(events) = &batch.items[item] {
                    seen.push((item, step.records_of(item, events), step.ends(item)));
                }
            }
            assert_eq!(step.records, if batch.is_applied() { 1 } else { 3 });
            seen.push((9, 0..batch.applied_to().number() as usize, false));
        }
        let first = [(0, 0..3, false), (9, 0..3, false)];
        let second = [(0, 3..5, true), (2, 0..0, true), (3, 0..1, false), (9, 0..7, false)];
        let third = [(3, 1..2, true), (9, 0..9, false)];
        assert_eq!(seen, [&first[..], &second, &third].concat());
    }

    #[test]
    fn a_batch_without_records_has_a_step_too() {
        let mut batch = Batch::new(Vec::new(), Position::START.forward(4));
        assert!(batch.is_applied() && batch.step(1).items().is_empty());
        assert_eq!(batch.applied_to(), Position::START.forward(4));
    }
}
