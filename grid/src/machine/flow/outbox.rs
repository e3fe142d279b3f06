//! What a partition has sent and its targets have not made durable yet.
//!
//! It is a cache of what the log says: after a crash, the replay sends the same again, and what the targets
//! have already is dropped at their doors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::module::Plan;
use crate::topology::{Effects, Emit};

use super::confirmed::Confirmed;
use super::marks::Watermark;
use super::outbox_file::OutboxRecord;
use super::parcel::{Cutter, Parcel, by_channel};

/// The outbox of one partition.
#[derive(Debug)]
pub(crate) struct Outbox {
    partition: u32,
    /// Absent where nothing is ever sent.
    confirmed: Option<Arc<Confirmed>>,
    /// By topology and target.
    channels: BTreeMap<(usize, u32), Channel>,
    bytes: usize,
}

/// What is under way from one topology on this partition to another partition.
#[derive(Debug)]
struct Channel {
    /// How far it is, with what is under way.
    end: Watermark,
    parcels: VecDeque<Arc<Parcel>>,
}

/// A parcel, and the partition that it goes to.
pub(crate) type Addressed = (u32, Arc<Parcel>);

impl Outbox {
    /// With what was sent before and is not confirmed: by topology, for each target in the order of causes.
    pub(crate) fn new(
        partition: u32,
        confirmed: Option<Arc<Confirmed>>,
        sent: Vec<Vec<OutboxRecord>>,
    ) -> Self {
        let mut outbox = Self { partition, confirmed, channels: BTreeMap::new(), bytes: 0 };
        for (topology, mut records) in sent.into_iter().enumerate() {
            // What came from a file stands before what a replay sent.
            records.sort_by_key(|record| record.target);
            for records in records.chunk_by(|one, next| one.target == next.target) {
                outbox.restore(topology, records);
            }
        }
        outbox
    }

    fn restore(&mut self, topology: usize, records: &[OutboxRecord]) {
        let Some(target) = records.first().map(|record| record.target) else { return };
        let end = self.channel(topology, target).end;
        let mut cutter = Cutter::new(self.partition, end);
        // The target may have confirmed more since they were collected.
        let to_come = records.iter().filter(|record| !end.has(record.cause));
        for OutboxRecord { cause, depot, variant, bytes, .. } in to_come {
            cutter.push(topology, *cause, (*depot, *variant), bytes);
        }
        cutter.finish().for_each(|parcel| self.keep(target, &parcel));
    }

    /// Keeps what a step of a batch sends; returns it in parcels. Causes ascend from call to call.
    pub(crate) fn send(&mut self, effects: &Effects) -> Vec<Addressed> {
        let mut sent = Vec::new();
        let emits = by_channel(effects);
        let channel = |emit: &Emit| (emit.topology, emit.target);
        for emits in emits.chunk_by(|(one, _), (other, _)| channel(one) == channel(other)) {
            let Some((first, _)) = emits.first() else { continue };
            let (topology, target) = channel(first);
            let mut cutter = Cutter::new(self.partition, self.channel(topology, target).end);
            for (emit, bytes) in emits {
                cutter.push(topology, emit.cause, (emit.depot, emit.variant), bytes);
            }
            for parcel in cutter.finish() {
                self.keep(target, &parcel);
                sent.push((target, parcel));
            }
        }
        sent
    }

    fn channel(&mut self, topology: usize, target: u32) -> &mut Channel {
        let Self { channels, confirmed, partition, .. } = self;
        channels.entry((topology, target)).or_insert_with(|| {
            let end = confirmed_by(confirmed, target, topology, *partition);
            Channel { end, parcels: VecDeque::new() }
        })
    }

    fn keep(&mut self, target: u32, parcel: &Arc<Parcel>) {
        let channel = self.channel(parcel.topology, target);
        channel.end = parcel.end();
        channel.parcels.push_back(Arc::clone(parcel));
        self.bytes += parcel.cost();
    }

    /// Lets go of what its targets have made durable.
    pub(crate) fn settle(&mut self) {
        if self.bytes == 0 {
            return;
        }
        for (&(topology, target), channel) in &mut self.channels {
            let confirmed = confirmed_by(&self.confirmed, target, topology, self.partition);
            let done = channel.parcels.partition_point(|parcel| parcel.end() <= confirmed);
            for parcel in channel.parcels.drain(..done) {
                self.bytes -= parcel.cost();
            }
        }
    }

    /// What a flush has to keep of what a topology sent.
    pub(crate) fn records(&self, plan: &Plan, topology: usize) -> Vec<OutboxRecord> {
        let mine = self.unconfirmed().filter(|(_, parcel)| parcel.topology == topology);
        mine.flat_map(|(target, parcel)| records_of(plan, target, parcel)).collect()
    }

    /// Everything that is not confirmed, with the partition that it goes to.
    pub(crate) fn unconfirmed(&self) -> impl Iterator<Item = (u32, &Arc<Parcel>)> {
        self.channels.iter().flat_map(|(&(_, target), channel)| {
            channel.parcels.iter().map(move |parcel| (target, parcel))
        })
    }

    /// About how many bytes of memory that takes which goes to one partition.
    pub(crate) fn bytes_to(&self, partition: u32) -> usize {
        let mine = self.channels.iter().filter(|((_, target), _)| *target == partition);
        mine.flat_map(|(_, channel)| &channel.parcels).map(|parcel| parcel.cost()).sum()
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

fn confirmed_by(
    confirmed: &Option<Arc<Confirmed>>,
    target: u32,
    topology: usize,
    source: u32,
) -> Watermark {
    confirmed.as_ref().map(|known| known.get(target, topology, source)).unwrap_or_default()
}

fn records_of(plan: &Plan, target: u32, parcel: &Parcel) -> Vec<OutboxRecord> {
    let mut records = Vec::with_capacity(parcel.len());
    for (cause, group) in parcel.groups() {
        for (record, index) in group.zip(0..) {
            let (depot, variant, bytes) = parcel.record(record);
            let (kind, bytes) = (plan.depots[depot].sent_kind(), bytes.to_vec());
            records.push(OutboxRecord { target, cause, index, kind, depot, variant, bytes });
        }
    }
    records
}
