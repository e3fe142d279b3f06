//! Direct reads of a depot: records as they were logged.

use std::ops::Range;

use gridmill_model::{Depot, Event};

use crate::client::Client;
use crate::engine::{DepotEntry, DepotRange, StoredEvent};
use crate::error::DepotError;

/// What a depot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepotInfo {
    /// How many partitions it has; 1 for a global depot.
    pub partitions: u32,
    /// The durable records of every partition, by the partition's number.
    pub ranges: Vec<DepotRange>,
}

impl DepotInfo {
    /// How many records the depot holds, over all partitions.
    pub fn records(&self) -> u64 {
        self.ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum()
    }
}

/// One record of a depot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<E> {
    /// Its offset in the depot's partition; they count up by one.
    pub offset: u64,
    /// Its position in the partition's log; positions grow, with gaps.
    pub position: u64,
    /// When it was logged, in microseconds since 1970 (UTC).
    pub time: i64,
    /// The event.
    pub event: E,
}

impl Client {
    /// How many partitions `depot` has and which records each holds.
    ///
    /// The ranges are read one after the other; other callers may append in between.
    ///
    /// # Errors
    /// [`DepotError`] where the grid has no such depot or cannot read it.
    pub async fn depot_info<E: Event>(&self, depot: Depot<E>) -> Result<DepotInfo, DepotError> {
        let entry = &self.handles.depot(&self.engine, &depot)?.entry;
        let ranges = (0..entry.partitions)
            .map(|partition| self.engine.depot_range(entry.id, partition))
            .collect::<Result<_, _>>()?;
        Ok(DepotInfo { partitions: entry.partitions, ranges })
    }

    /// Reads the records at `offsets` of one partition of `depot`, in order.
    ///
    /// All of them are held in memory at once: read a long history in pieces.
    ///
    /// # Errors
    /// [`OutOfRange`](DepotError::OutOfRange) where the partition does not hold all of `offsets`,
    /// [`Decode`](DepotError::Decode) where a record is not an event of the depot's type, and the
    /// others of [`DepotError`].
    pub async fn depot_read<E: Event>(
        &self,
        depot: Depot<E>,
        partition: u32,
        offsets: Range<u64>,
    ) -> Result<Vec<Recorded<E>>, DepotError> {
        let entry = &self.handles.depot(&self.engine, &depot)?.entry;
        if partition >= entry.partitions {
            return Err(DepotError::BadPartition {
                depot: entry.name.clone(),
                expected: entry.partitions,
                got: partition,
            });
        }
        self.check_range(entry, partition, &offsets)?;
        let stored = self.engine.depot_read(entry.id, partition, offsets.start, offsets.end)?;
        stored.into_iter().map(|record| decode(entry, record)).collect()
    }

    fn check_range(
        &self,
        entry: &DepotEntry,
        partition: u32,
        offsets: &Range<u64>,
    ) -> Result<(), DepotError> {
        let DepotRange { start, end } = self.engine.depot_range(entry.id, partition)?;
        if start <= offsets.start && offsets.start <= offsets.end && offsets.end <= end {
            return Ok(());
        }
        let (depot, from, to) = (entry.name.clone(), offsets.start, offsets.end);
        Err(DepotError::OutOfRange { depot, partition, start, end, from, to })
    }
}

fn decode<E: Event>(entry: &DepotEntry, stored: StoredEvent) -> Result<Recorded<E>, DepotError> {
    let StoredEvent { offset, position, time, variant, bytes } = stored;
    match E::decode_fields(usize::from(variant), &bytes) {
        Ok(event) => Ok(Recorded { offset, position, time, event }),
        Err(error) => {
            let (depot, message) = (entry.name.clone(), error.to_string());
            Err(DepotError::Decode { depot, offset, message })
        }
    }
}
