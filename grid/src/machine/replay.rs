//! From the log back into batches: recovery, catch-up and rebuilding read through here.

use std::collections::HashSet;
use std::sync::Arc;

use gridmill_persistence::{LogError, LogReader, LogRecord, LogScan, Position};

use crate::module::Plan;
use crate::topology::RecordInfo;

use super::batch::{Batch, Events, Item};
use super::control::{ClockRecord, Retry, Verdict, call_of, kind};
use super::registry::Registry;

/// Records in one batch of a replay: nobody waits for one, and what is touched twice is sealed once;
/// what more of them touch does not stay in the processor's cache until then.
const BATCH_RECORDS: usize = 4096;

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(
        "the record at position {position} (depot `{depot}`) cannot be decoded: {message}; it was \
         written by other code"
    )]
    Decode { position: Position, depot: String, message: String },
}

/// Reads batches from a position on.
pub(crate) struct Replay {
    plan: Arc<Plan>,
    registry: Arc<Registry>,
    reader: LogReader,
    scan: LogScan,
    /// Depots whose records are wanted.
    wanted: Vec<bool>,
    next: Position,
    batch_records: usize,
}

impl Replay {
    /// Reads on from `from`; only records of depots that one of `topologies` reads are decoded.
    pub(crate) fn new(
        plan: &Arc<Plan>,
        registry: &Arc<Registry>,
        reader: LogReader,
        from: Position,
        topologies: impl Iterator<Item = usize> + Clone,
    ) -> Result<Self, ReplayError> {
        let reads = |depot| {
            topologies.clone().any(|topology| plan.topologies[topology].source(depot).is_some())
        };
        let wanted = (0..plan.depots.len()).map(reads).collect();
        let scan = reader.scan(from)?;
        let batch_records = BATCH_RECORDS;
        let (plan, registry) = (Arc::clone(plan), Arc::clone(registry));
        Ok(Self { plan, registry, reader, scan, wanted, next: from, batch_records })
    }

    /// Reads one record at a time from now on.
    pub(crate) fn one_by_one(&mut self) {
        self.batch_records = 1;
    }

    /// The next records as a batch; `None` at the end of what is durable.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>, ReplayError> {
        let mut batch = Batch::default();
        let mut records = 0;
        while records < self.batch_records {
            let Some(record) = self.scan.next()? else { break };
            records += 1;
            self.next = record.position.next();
            match record.kind {
                of if kind::is_event(of) => {
                    let known = self.registry.event(record.type_id);
                    if let Some((depot, variant)) = known.filter(|&(depot, _)| self.wanted[depot]) {
                        push_event(&self.plan, &mut batch, depot, variant, &record)?;
                    }
                }
                _ => {
                    let of = (&*self.plan, &*self.registry);
                    push_control(of, &self.reader, &mut batch, &record)?;
                }
            }
        }
        batch.end = self.next;
        Ok((records > 0).then_some(batch))
    }

    /// The position after the last record that was read.
    pub(crate) fn position(&self) -> Position {
        self.next
    }
}

/// A control record. A decision about a record counts where its topology is still the one that it was taken for.
fn push_control(
    (plan, registry): (&Plan, &Registry),
    reader: &LogReader,
    batch: &mut Batch,
    record: &LogRecord<'_>,
) -> Result<(), ReplayError> {
    let concerns = |name: &str| concerned(plan, registry, name, record).is_some();
    match record.kind {
        kind::VERDICT => {
            let verdict: Verdict = decode(record)?;
            if concerns(&verdict.topology) {
                batch.items.push(Item::Verdict(verdict));
            }
        }
        kind::DISCARD => {
            let retry: Retry = decode(record)?;
            if concerns(&retry.topology) {
                batch.items.push(Item::Discard(retry));
            }
        }
        kind::CLOCK => {
            let clock: ClockRecord = decode(record)?;
            batch.items.push(Item::Clock(clock, info(record)));
        }
        kind::RETRY => {
            let retry: Retry = decode(record)?;
            if concerns(&retry.topology)
                && let Some(events) = retried(plan, registry, reader, &retry, info(record))?
            {
                batch.items.push(Item::Retry(retry, events));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The topology with this name, where the record was written for this one and not for an earlier of the
/// same name.
fn concerned(
    plan: &Plan,
    registry: &Registry,
    name: &str,
    record: &LogRecord<'_>,
) -> Option<usize> {
    let topology = plan.topologies.iter().position(|topology| topology.name == name)?;
    (registry.generation(topology) == record.type_id).then_some(topology)
}

fn info(record: &LogRecord<'_>) -> RecordInfo {
    RecordInfo { position: record.position, offset: record.depot_offset, time: record.time }
}

fn push_event(
    plan: &Plan,
    batch: &mut Batch,
    depot: usize,
    variant: u16,
    record: &LogRecord<'_>,
) -> Result<(), ReplayError> {
    let call = record.id.filter(|_| record.kind == kind::RESULT).map(call_of);
    let same = |item: &Item| matches!(item, Item::Events(events) if events.depot == depot && events.call.is_none());
    // An answer stands alone.
    if call.is_some() || !batch.items.last().is_some_and(same) {
        batch.items.push(Item::Events(Events { call, ..Events::none(plan, depot) }));
    }
    if let Some(Item::Events(events)) = batch.items.last_mut() {
        push_into(plan, events, variant, record.payload, info(record))?;
    }
    Ok(())
}

fn push_into(
    plan: &Plan,
    events: &mut Events,
    variant: u16,
    payload: &[u8],
    info: RecordInfo,
) -> Result<(), ReplayError> {
    let def = &plan.depots[events.depot];
    let decoded = def.codec.decode(&mut events.events, usize::from(variant), payload);
    decoded.map_err(|error| ReplayError::Decode {
        position: info.position,
        depot: def.name.to_owned(),
        message: error.to_string(),
    })?;
    events.encoded.bytes.extend_from_slice(payload);
    let end = u32::try_from(events.encoded.bytes.len()).unwrap_or(u32::MAX);
    events.encoded.ends.push((variant, end));
    events.infos.push(info);
    Ok(())
}

fn decode<T: serde::de::DeserializeOwned>(record: &LogRecord<'_>) -> Result<T, ReplayError> {
    postcard::from_bytes(record.payload).map_err(|error| ReplayError::Decode {
        position: record.position,
        depot: "(control)".to_owned(),
        message: error.to_string(),
    })
}

/// The event of a quarantined record, to be handled under the position and time of `info`.
pub(crate) fn retried(
    plan: &Plan,
    registry: &Registry,
    reader: &LogReader,
    retry: &Retry,
    info: RecordInfo,
) -> Result<Option<Events>, ReplayError> {
    let Some(depot) = plan.depots.iter().position(|depot| depot.name == retry.depot) else {
        return Ok(None);
    };
    let source = registry.source(depot);
    let mut scan = reader.depot_range(source, retry.offset, retry.offset + 1)?;
    let Some(record) = scan.next()? else { return Ok(None) };
    let Some((_, variant)) = registry.event(record.type_id) else { return Ok(None) };
    let mut events = Events::none(plan, depot);
    events.only = plan.topologies.iter().position(|topology| topology.name == retry.topology);
    let info = RecordInfo { offset: retry.offset, ..info };
    push_into(plan, &mut events, variant, record.payload, info)?;
    Ok(events.only.is_some().then_some(events))
}

/// Verdicts in the log from `from` on: topology and position of each.
pub(crate) fn verdicts(
    plan: &Plan,
    registry: &Registry,
    reader: &LogReader,
    from: Position,
) -> Result<HashSet<(usize, Position)>, ReplayError> {
    let mut found = HashSet::new();
    let mut scan = reader.scan(from)?;
    while let Some(record) = scan.next()? {
        if record.kind == kind::VERDICT {
            found.extend(verdict_in(plan, registry, &record)?);
        }
    }
    Ok(found)
}

/// Topology and position of a verdict, where it concerns a topology that is there.
pub(crate) fn verdict_in(
    plan: &Plan,
    registry: &Registry,
    record: &LogRecord<'_>,
) -> Result<Option<(usize, Position)>, ReplayError> {
    let verdict: Verdict = decode(record)?;
    let topology = concerned(plan, registry, &verdict.topology, record);
    Ok(topology.map(|topology| (topology, verdict.position)))
}
