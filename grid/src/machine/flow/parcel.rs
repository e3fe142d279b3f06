//! What one batch sends to one partition.

use std::ops::Range;
use std::sync::Arc;

use gridmill_persistence::Position;

use crate::topology::{Effects, Emit, HOP_OVERHEAD};

use super::marks::Watermark;

/// Bytes of one parcel, about. A group is never split, and may be larger.
const PARCEL_BYTES: usize = 64 << 10;

/// Records of one topology on one partition for another, in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// The topology that sends, by the plan's numbers. With the source it is a *channel* to the target.
    pub(crate) topology: usize,
    /// The partition that sends.
    pub(crate) source: u32,
    /// How far the channel was before: a target that has not logged so much refuses the parcel, so that nothing is
    /// lost by being overtaken.
    pub(crate) after: Watermark,
    groups: Vec<Group>,
    records: Vec<ParcelRecord>,
    bytes: Vec<u8>,
}

/// All records with one cause, which are logged together.
#[derive(Clone, Copy, Debug)]
struct Group {
    cause: Position,
    /// Where its records end.
    end: usize,
}

/// A record of a parcel.
#[derive(Clone, Copy, Debug)]
struct ParcelRecord {
    depot: usize,
    variant: u16,
    /// Where its bytes end.
    end: usize,
}

impl Parcel {
    fn new(topology: usize, source: u32, after: Watermark) -> Self {
        let (groups, records, bytes) = (Vec::new(), Vec::new(), Vec::new());
        Self { topology, source, after, groups, records, bytes }
    }

    /// Adds a record. Causes ascend.
    fn push(&mut self, cause: Position, (depot, variant): (usize, u16), bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.records.push(ParcelRecord { depot, variant, end: self.bytes.len() });
        let end = self.records.len();
        match self.groups.last_mut().filter(|group| group.cause == cause) {
            Some(group) => group.end = end,
            None => {
                debug_assert!(!self.end().has(cause), "causes on a channel ascend");
                self.groups.push(Group { cause, end });
            }
        }
    }

    /// How far the channel is with it.
    pub(crate) fn end(&self) -> Watermark {
        self.groups.last().map_or(self.after, |group| Watermark::after(group.cause))
    }

    /// About how many bytes it takes, in memory and in the log.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.len() + self.records.len() * HOP_OVERHEAD
    }

    /// Whether a record with another cause is to begin the next parcel.
    fn is_full(&self, cause: Position) -> bool {
        self.cost() >= PARCEL_BYTES && !self.end().has(cause)
    }

    /// How many records it has.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The cause of each group, and its records by their index in the parcel.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (Position, Range<usize>)> {
        let starts = std::iter::once(0).chain(self.groups.iter().map(|group| group.end));
        self.groups.iter().zip(starts).map(|(group, start)| (group.cause, start..group.end))
    }

    /// Depot (by the plan's numbers), variant and bytes of a record.
    pub(crate) fn record(&self, index: usize) -> (usize, u16, &[u8]) {
        let start = if index == 0 { 0 } else { self.records[index - 1].end };
        let ParcelRecord { depot, variant, end } = self.records[index];
        (depot, variant, &self.bytes[start..end])
    }
}

/// What is sent on one channel, cut into parcels.
#[derive(Debug)]
pub(crate) struct Cutter {
    source: u32,
    end: Watermark,
    parcels: Vec<Parcel>,
}

impl Cutter {
    /// For a channel that is so far.
    pub(crate) fn new(source: u32, end: Watermark) -> Self {
        Self { source, end, parcels: Vec::new() }
    }

    /// Adds a record. Causes ascend.
    pub(crate) fn push(
        &mut self,
        topology: usize,
        cause: Position,
        record: (usize, u16),
        bytes: &[u8],
    ) {
        if self.parcels.last().is_none_or(|parcel| parcel.is_full(cause)) {
            self.parcels.push(Parcel::new(topology, self.source, self.end));
        }
        if let Some(parcel) = self.parcels.last_mut() {
            parcel.push(cause, record, bytes);
        }
        self.end = Watermark::after(cause);
    }

    pub(crate) fn finish(self) -> impl Iterator<Item = Arc<Parcel>> {
        self.parcels.into_iter().map(Arc::new)
    }
}

/// The emits of `effects` by channel: topology and target. Within each they stay in order.
pub(crate) fn by_channel(effects: &Effects) -> Vec<(&Emit, &[u8])> {
    let mut emits: Vec<_> = effects.iter().collect();
    emits.sort_by_key(|(emit, _)| (emit.topology, emit.target));
    emits
}
