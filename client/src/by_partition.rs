//! The events of one call, told apart by partition.

use std::sync::Arc;

use gridmill_model::{Depot, Event};

use crate::engine::{DepotEntry, EncodedEvents};
use crate::error::{AppendErrorKind, AppendManyError};
use crate::handles::{DepotMismatch, DepotRef};
use crate::prepare;
use crate::receipt::ManyReceipt;

/// A failed call on its way to the caller. It is large, so that it is passed on in a box.
pub(crate) type Failed<E> = Box<AppendManyError<E>>;

/// The events of a call, and the depot that they are for.
pub(crate) struct ToldApart<E> {
    pub(crate) depot: Arc<DepotRef>,
    /// Of each partition that gets some.
    pub(crate) lists: Vec<PartitionEvents<E>>,
}

/// Tells the events of a call apart by partition, or gives all of them back.
pub(crate) fn by_partition<E: Event>(
    found: Result<Arc<DepotRef>, DepotMismatch>,
    depot: Depot<E>,
    mut events: impl Iterator<Item = E>,
) -> Result<ToldApart<E>, Failed<E>> {
    let found = match found {
        Ok(found) => found,
        Err(mismatch) => return Err(nothing_logged(mismatch.into(), events.enumerate())),
    };
    let mut told_apart = ByPartition::new(depot, &found.entry, events.size_hint().0);
    while let Some(event) = events.next() {
        if let Err((kind, event)) = told_apart.add(event) {
            let before = told_apart.into_events().into_iter();
            let events = before.chain([event]).chain(events).enumerate();
            return Err(nothing_logged(kind, events));
        }
    }
    let lists = told_apart.lists.into_iter().filter(|list| !list.events.is_empty()).collect();
    Ok(ToldApart { depot: found, lists })
}

fn nothing_logged<E>(kind: AppendErrorKind, events: impl Iterator<Item = (usize, E)>) -> Failed<E> {
    let logged = ManyReceipt::default();
    let not_logged = events.collect();
    Box::new(AppendManyError { kind, not_logged, unknown: Vec::new(), logged })
}

/// The events of a call for one partition.
pub(crate) struct PartitionEvents<E> {
    pub(crate) partition: u32,
    /// The events' numbers in the call.
    pub(crate) indexes: Vec<u32>,
    pub(crate) events: Vec<Option<E>>,
    pub(crate) encoded: EncodedEvents,
}

/// Beyond this, the encoded events of a partition take memory as they come.
const RESERVE_BYTES_MAX: usize = 1 << 20;

/// A call's events while they are told apart: one list a partition, at the partition's number.
struct ByPartition<'a, E> {
    depot: Depot<E>,
    entry: &'a DepotEntry,
    lists: Vec<PartitionEvents<E>>,
    /// How many events a partition probably gets.
    each: usize,
    count: u32,
}

impl<'a, E: Event> ByPartition<'a, E> {
    fn new(depot: Depot<E>, entry: &'a DepotEntry, expected: usize) -> Self {
        // A hint is not to be trusted with memory: vectors grow by themselves beyond this.
        let each = (expected / entry.partitions.max(1) as usize).min(4096);
        let empty = |partition| PartitionEvents {
            partition,
            indexes: Vec::with_capacity(each),
            events: Vec::with_capacity(each),
            encoded: EncodedEvents { bytes: Vec::new(), ends: Vec::with_capacity(each) },
        };
        let lists = (0..entry.partitions).map(empty).collect();
        Self { depot, entry, lists, each, count: 0 }
    }

    /// Adds the next event of the call, or gives it back.
    fn add(&mut self, event: E) -> Result<(), (AppendErrorKind, E)> {
        match self.place(&event) {
            Ok(partition) => {
                let list = &mut self.lists[partition as usize];
                list.indexes.push(self.count);
                list.events.push(Some(event));
                self.count += 1;
                Ok(())
            }
            Err(kind) => Err((kind, event)),
        }
    }

    /// Encodes `event` into the list of its partition.
    fn place(&mut self, event: &E) -> Result<u32, AppendErrorKind> {
        let partition = prepare::partition(&self.depot, self.entry, event)?;
        let encoded = &mut self.lists[partition as usize].encoded;
        if self.count == u32::MAX {
            let (depot, got) = (self.entry.name.clone(), encoded.bytes.len());
            let expected = prepare::BATCH_BYTES_MAX;
            return Err(AppendErrorKind::BatchTooLarge { depot, partition, expected, got });
        }
        prepare::encode(self.entry, partition, self.count as usize, event, encoded)?;
        if encoded.len() == 1 {
            // Events are mostly as long as the first.
            let others = self.each.saturating_sub(1);
            encoded.bytes.reserve((encoded.bytes.len() * others).min(RESERVE_BYTES_MAX));
        }
        Ok(partition)
    }

    /// All events, in the order of the call.
    fn into_events(self) -> Vec<E> {
        let lists = self.lists.into_iter();
        let mut events: Vec<_> =
            lists.flat_map(|list| list.indexes.into_iter().zip(list.events)).collect();
        events.sort_unstable_by_key(|(index, _)| *index);
        events.into_iter().filter_map(|(_, event)| event).collect()
    }
}
