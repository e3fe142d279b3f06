//! What a partition has sent and its targets have not made durable yet.
//!
//! It is a cache of what the log says: after a crash, the replay sends the same again, and what the targets
//! have already is dropped at their doors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::topology::{Effects, Emit};

use super::confirmed::Confirmed;
use super::marks::Watermark;
use super::parcel::{Cutter, Parcel, by_channel};

/// The outbox of one partition.
#[derive(Debug)]
pub(crate) struct Outbox {
    partition: u32,
    confirmed: Arc<Confirmed>,
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
    /// An empty one. What targets have confirmed says what was sent before.
    pub(crate) fn new(partition: u32, confirmed: Arc<Confirmed>) -> Self {
        Self { partition, confirmed, channels: BTreeMap::new(), bytes: 0 }
    }

    /// Keeps what a step of a batch sends; returns it in parcels. Causes ascend from call to call.
    pub(crate) fn send(&mut self, effects: &Effects) -> Vec<Addressed> {
        let mut sent = Vec::new();
        if effects.is_empty() {
            return sent;
        }
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
            let end = confirmed.get(target, topology, *partition);
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
            let confirmed = self.confirmed.get(target, topology, self.partition);
            let is_done = |parcel: &mut Arc<Parcel>| parcel.end() <= confirmed;
            while let Some(parcel) = channel.parcels.pop_front_if(is_done) {
                self.bytes -= parcel.cost();
            }
        }
    }

    /// What a target that misses something is to be sent again: all that it has not confirmed.
    pub(crate) fn again(&self, topology: usize, target: u32) -> Vec<Arc<Parcel>> {
        let channel = self.channels.get(&(topology, target));
        channel.into_iter().flat_map(|channel| &channel.parcels).cloned().collect()
    }

    /// Everything that is not confirmed, with the partition that it goes to.
    pub(crate) fn unconfirmed(&self) -> impl Iterator<Item = (u32, &Arc<Parcel>)> {
        self.channels.iter().flat_map(|(&(_, target), channel)| {
            channel.parcels.iter().map(move |parcel| (target, parcel))
        })
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}
