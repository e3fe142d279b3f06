//! What a partition lets in of what others send: each record once, and none before those sent earlier.

use gridmill_client::BatchReceipt;
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::machine::batch::{Batch, Events, Item};
use crate::machine::flow::marks::{Marks, Watermark};
use crate::machine::registry::Registry;
use crate::module::Plan;
use crate::topology::RecordInfo;

use super::commits::ReceivedMark;
use super::delivery::Delivery;
use super::ids::PlacedId;
use super::log_writer::Logged;
use super::mailbox::Dequeued;
use super::queued::QueuedEvents;
use super::senders::Senders;
use super::waiting::Waiting;

/// A delivery of which something is new here.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) delivery: Delivery,
    /// The channel's number in this partition's manifest.
    pub(crate) channel: u16,
    /// How many of its groups, from the first on, are here already.
    pub(crate) known: usize,
    /// How far the channel was before.
    before: Watermark,
}

/// What is to be logged as one batch.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) admitted: Vec<Admitted>,
    pub(crate) events: Vec<QueuedEvents>,
}

/// A delivery before which something is missing: topology and source of its channel.
pub(crate) type Gap = (usize, u32);

impl Incoming {
    /// Lets in what is new, and moves `marks` on. Where something is missing before a delivery, that one is dropped:
    /// its source has to send both.
    pub(crate) fn admit(
        dequeued: Dequeued,
        registry: &Registry,
        marks: &mut Marks,
        gaps: &mut Vec<Gap>,
    ) -> Self {
        let Dequeued { deliveries, events, .. } = dequeued;
        let mut admitted = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let (topology, source) = (delivery.parcel.topology, delivery.parcel.source);
            // Its own topologies have channels in every manifest of the module.
            let Some(channel) = registry.channel(topology) else { continue };
            let before = marks.get(channel, source as u16);
            if delivery.parcel.after > before {
                gaps.push((topology, source));
                continue;
            }
            let is_known = |cause: Position| before.has(cause) && !is_planted(Bug::DropStamp);
            let known = delivery.parcel.groups().take_while(|(cause, _)| is_known(*cause)).count();
            let Some((last, _)) = delivery.parcel.groups().skip(known).last() else { continue };
            marks.note(channel, source as u16, last);
            admitted.push(Admitted { delivery, channel, known, before });
        }
        Self { admitted, events }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.admitted.is_empty() && self.events.is_empty()
    }

    /// Takes back what [`admit`](Self::admit) did: nothing of it was logged.
    pub(crate) fn take_back(self, marks: &mut Marks) -> Dequeued {
        for admitted in self.admitted.iter().rev() {
            let source = admitted.delivery.parcel.source as u16;
            marks.put_back(admitted.channel, source, admitted.before);
        }
        let deliveries = self.admitted.into_iter().map(|admitted| admitted.delivery).collect();
        Dequeued { deliveries, events: self.events, time_passed: false }
    }

    /// How many records it has that partitions sent, and that are new here.
    pub(crate) fn sent_records(&self) -> usize {
        let new = |admitted: &Admitted| {
            let groups = admitted.delivery.parcel.groups().skip(admitted.known);
            groups.map(|(_, records)| records.len()).sum::<usize>()
        };
        self.admitted.iter().map(new).sum()
    }

    /// How far it brings the channels, once it is logged.
    pub(crate) fn received(&self) -> Vec<ReceivedMark> {
        let of = |admitted: &Admitted| ReceivedMark {
            topology: admitted.delivery.parcel.topology,
            source: admitted.delivery.parcel.source,
            mark: admitted.delivery.parcel.end(),
        };
        self.admitted.iter().map(of).collect()
    }
}

/// What was logged, as it is applied and as it waits.
pub(crate) struct Splitting<'a> {
    plan: &'a Plan,
    partition: u32,
    logged: Logged,
    items: Vec<Item>,
    waiting: Vec<Waiting>,
    ids: Vec<PlacedId>,
    undecodable: bool,
}

impl<'a> Splitting<'a> {
    /// Of this partition, with room for so many items.
    pub(crate) fn new(plan: &'a Plan, (partition, room): (u32, usize), logged: Logged) -> Self {
        let (items, waiting) = (Vec::with_capacity(room), Vec::with_capacity(room));
        Self { plan, partition, logged, items, waiting, ids: Vec::new(), undecodable: false }
    }

    /// Where the next records of a depot stand, so many of them.
    fn next(
        &mut self,
        depot: usize,
        count: u64,
    ) -> impl ExactSizeIterator<Item = RecordInfo> + use<> {
        let Logged { first, time, offsets, .. } = &mut self.logged;
        let (position, offset, time) = (*first, offsets[depot], *time);
        *first = first.forward(count);
        offsets[depot] += count;
        // A batch has far less than 2^32 records.
        (0..count as u32).map(u64::from).map(move |record| RecordInfo {
            position: position.forward(record),
            offset: offset + record,
            time,
        })
    }

    /// Records that a partition sent. Those of one depot that follow each other become one item.
    pub(crate) fn sent(&mut self, admitted: Admitted) {
        let Admitted { delivery: Delivery { parcel, tokens }, known, .. } = admitted;
        let mut tokens = tokens.into_iter().skip(known);
        for (_, records) in parcel.groups().skip(known) {
            let token = tokens.next().flatten();
            for index in records.clone() {
                let (depot, variant, bytes) = parcel.record(index);
                let item = self.item_of(depot);
                self.push(item, depot, (variant, bytes));
                let (Item::Events(events), Some(Waiting::Senders(senders))) =
                    (&self.items[item], self.waiting.last_mut())
                else {
                    continue;
                };
                // Once for the group in each of its items.
                let at = events.infos.len() as u32 - 1;
                if index == records.start || at == 0 {
                    senders.push(at, token.as_ref().map(|token| token.another()));
                }
            }
            // Each of its items has one of its own now.
            token.into_iter().for_each(|token| token.finish());
        }
    }

    /// The item that a record of a depot belongs to, which was sent and stands next in the log.
    fn item_of(&mut self, depot: usize) -> usize {
        let goes_on = matches!(self.waiting.last(), Some(Waiting::Senders(_)))
            && matches!(self.items.last(), Some(Item::Events(events)) if events.depot == depot);
        if !goes_on {
            self.items.push(Item::Events(Events::none(self.plan, depot)));
            self.waiting.push(Waiting::Senders(Senders::new(depot, self.logged.first)));
        }
        self.items.len() - 1
    }

    fn push(&mut self, item: usize, depot: usize, (variant, bytes): (u16, &[u8])) {
        let info = self.next(depot, 1).next();
        let (Item::Events(events), Some(info)) = (&mut self.items[item], info) else { return };
        self.undecodable |= !events.push(self.plan, (variant, bytes), info);
    }

    /// Events that clients appended.
    pub(crate) fn appended(&mut self, queued: QueuedEvents) {
        let (depot, count) = (queued.depot(), queued.encoded().len() as u64);
        let (first, first_offset) = (self.logged.first, self.logged.offsets[depot]);
        if let Some(key) = queued.id_key() {
            self.ids.push(PlacedId { key, offset: first_offset, position: first.to_bits() });
        }
        let infos = self.next(depot, count).collect();
        let (events, encoded, callers) = queued.logged(BatchReceipt {
            partition: self.partition,
            count,
            first_offset,
            first_position: first.to_bits(),
            ..BatchReceipt::default()
        });
        self.items.push(Item::Events(Events {
            depot,
            events,
            encoded,
            infos,
            only: None,
            call: None,
        }));
        self.waiting.push(Waiting::Callers(callers));
    }

    /// The batch, who waits for each of its items, and where the appends with ids are.
    pub(crate) fn finish(self) -> (Batch, Vec<Waiting>, Vec<PlacedId>) {
        let Self { logged, items, waiting, ids, undecodable, .. } = self;
        let mut batch = Batch::new(items, logged.first);
        batch.careful = undecodable;
        (batch, waiting, ids)
    }
}
