//! What a partition had sent when it stopped, as far as others do not have it.

use std::sync::Arc;

use crate::machine::flow::confirmed::Confirmed;
use crate::machine::flow::outbox_file::OutboxRecord;
use crate::machine::flow::places::Places;
use crate::machine::flush::FlowsAtFlush;
use crate::module::Plan;
use crate::topology::Effects;

use super::OpenOptions;

/// What came from outboxes, and then from the replay of the tail: by topology of the plan, for each target in the
/// order of causes. What the target has is dropped at once: a tail may have sent much more than fits into memory.
pub(super) struct Sent {
    plan: Arc<Plan>,
    confirmed: Arc<Confirmed>,
    partition: u32,
    places: Places,
    topologies: Vec<Vec<OutboxRecord>>,
}

impl Sent {
    /// What outboxes have, as of the snapshots.
    pub(super) fn of(options: &OpenOptions, outboxes: Vec<Vec<OutboxRecord>>) -> Self {
        let mut sent = Self {
            plan: Arc::clone(&options.plan),
            confirmed: Arc::clone(&options.confirmed),
            partition: options.partition,
            places: Places::default(),
            topologies: outboxes,
        };
        let (confirmed, partition) = (&sent.confirmed, sent.partition);
        for (topology, records) in sent.topologies.iter_mut().enumerate() {
            records
                .retain(|record| !confirmed.has(record.target, topology, partition, record.cause));
        }
        sent
    }

    /// What a step of the replay sent.
    pub(super) fn add(&mut self, effects: &Effects) {
        for (emit, bytes) in effects.iter() {
            let (topology, cause, target) = (emit.topology, emit.cause, emit.target);
            let index = self.places.next(topology, cause, target);
            if self.confirmed.has(target, topology, self.partition, cause) {
                continue;
            }
            self.topologies[topology].push(OutboxRecord {
                target,
                cause,
                index,
                kind: self.plan.depots[emit.depot].sent_kind(),
                depot: emit.depot,
                variant: emit.variant,
                bytes: bytes.to_vec(),
            });
        }
    }

    /// What a flush of topologies has to keep, where they are as far as the replay is.
    pub(super) fn at_flush(&self, topologies: &[usize]) -> FlowsAtFlush {
        let senders = topologies.iter().filter(|&&topology| self.plan.topologies[topology].sends());
        let outboxes = senders.map(|&topology| (topology, self.topologies[topology].clone()));
        FlowsAtFlush { intake: None, outboxes: outboxes.collect() }
    }

    pub(super) fn into_topologies(self) -> Vec<Vec<OutboxRecord>> {
        self.topologies
    }
}
