//! What the live flow writes to the log of a partition: events of callers, and control records.

use std::sync::Arc;

use gridmill_persistence::{Log, LogError, LogReader, Position, RecordMeta, Written};
use serde::Serialize;

use crate::machine::control::{NO_DEPOT, Verdict, call_id, kind, push_control, push_verdict};
use crate::machine::core::Core;
use crate::machine::flow::stamp::Stamp;
use crate::machine::registry::Registry;
use crate::module::Plan;
use crate::shell::clock::Clock;
use crate::topology::{CallKey, RecordInfo};

use super::door::{Admitted, Incoming};
use super::ids::Outcomes;
use super::queued::QueuedEvents;

/// The log, and what its next records get: their time, and of each depot their offsets.
pub(crate) struct LogWriter {
    log: Log,
    registry: Arc<Registry>,
    next_offsets: Vec<u64>,
    last_time: i64,
    clock: Clock,
}

/// Events that were logged one after the other.
pub(crate) struct Logged {
    pub(super) first: Position,
    pub(super) time: i64,
    /// By depot: the offset of its first event here.
    pub(super) offsets: Vec<u64>,
    pub(super) records: u32,
    pub(super) bytes: u64,
}

impl LogWriter {
    /// Goes on behind what `log` has, whose last record is of `last_time`.
    pub(crate) fn new(
        log: Log,
        registry: Arc<Registry>,
        next_offsets: Vec<u64>,
        last_time: i64,
        clock: Clock,
    ) -> Self {
        Self { log, registry, next_offsets, last_time, clock }
    }

    pub(crate) fn reader(&self) -> LogReader {
        self.log.reader()
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The position after the last record.
    pub(crate) fn end(&self) -> Position {
        self.log.next_position()
    }

    pub(crate) fn bytes_after(&self, position: Position) -> u64 {
        self.log.bytes_after(position)
    }

    /// The time of records that are written now: no record is older than those before it.
    pub(crate) fn time(&self) -> i64 {
        self.clock.now().max(self.last_time)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Writes what came in as one batch, with answers to earlier appends before it; past the page cache where
    /// `direct`. On an error the log is as it was.
    pub(crate) fn write(
        &mut self,
        plan: &Plan,
        (batch, outcomes): (&Incoming, &Outcomes),
        direct: bool,
    ) -> Result<Logged, LogError> {
        let (time, offsets) = (self.time(), self.next_offsets.clone());
        let pushed = self.push_outcomes(outcomes, time);
        let mut admitted = batch.admitted.iter();
        let pushed = pushed
            .and_then(|()| admitted.try_for_each(|admitted| self.push_sent(plan, admitted, time)));
        let pushed = pushed.and_then(|()| self.push_events(&batch.events, time));
        let written = pushed.and_then(|()| match direct {
            true => self.log.write_direct(),
            false => self.log.write(),
        });
        match written {
            Ok(Written { first, records, bytes, .. }) => {
                self.last_time = time;
                let first = first.forward(outcomes.records.len() as u64);
                Ok(Logged { first, time, offsets, records, bytes })
            }
            Err(error) => {
                self.log.discard();
                self.next_offsets = offsets;
                Err(error)
            }
        }
    }

    fn push_outcomes(&mut self, outcomes: &Outcomes, time: i64) -> Result<(), LogError> {
        for (id, payload) in &outcomes.records {
            let (source, kind, id) = (NO_DEPOT, kind::OUTCOME, Some(*id));
            let meta = RecordMeta { time, depot_offset: 0, type_id: 0, source, kind, id };
            self.log.push(&meta, payload)?;
        }
        Ok(())
    }

    /// Writes answers to earlier appends as a batch of their own. On an error the log is as it was.
    pub(crate) fn write_outcomes(&mut self, outcomes: &Outcomes) -> Result<(), LogError> {
        let pushed = self.push_outcomes(outcomes, self.last_time);
        let written = pushed.and_then(|()| self.log.write());
        if written.is_err() {
            self.log.discard();
        }
        written.map(drop)
    }

    fn push_events(&mut self, dequeued: &[QueuedEvents], time: i64) -> Result<(), LogError> {
        for events in dequeued {
            let depot = events.depot();
            let source = self.registry.source(depot);
            for (variant, bytes) in events.encoded().iter() {
                let meta = RecordMeta {
                    time,
                    depot_offset: self.next_offsets[depot],
                    type_id: self.registry.type_id(depot, variant),
                    source,
                    kind: kind::EVENT,
                    id: events.id(),
                };
                self.log.push(&meta, bytes)?;
                self.next_offsets[depot] += 1;
            }
        }
        Ok(())
    }

    fn push_sent(&mut self, plan: &Plan, admitted: &Admitted, time: i64) -> Result<(), LogError> {
        let parcel = &admitted.delivery.parcel;
        for (cause, records) in parcel.groups().skip(admitted.known) {
            for (record, index) in records.zip(0u32..) {
                let sent = parcel.record(record);
                let stamp = Stamp {
                    cause,
                    // There are at most 4,096 partitions.
                    partition: parcel.source as u16,
                    channel: admitted.channel,
                    index,
                };
                let kind = plan.depots[sent.0].sent_kind();
                self.push_record(sent, kind, stamp.to_bytes(), time)?;
            }
        }
        Ok(())
    }

    /// Puts a record that nobody appended into the log's batch: of a depot, with variant and bytes.
    fn push_record(
        &mut self,
        (depot, variant, bytes): (usize, u16, &[u8]),
        kind: u8,
        id: [u8; 16],
        time: i64,
    ) -> Result<RecordInfo, LogError> {
        let offset = self.next_offsets[depot];
        let meta = RecordMeta {
            time,
            depot_offset: offset,
            type_id: self.registry.type_id(depot, variant),
            source: self.registry.source(depot),
            kind,
            id: Some(id),
        };
        let position = self.log.push(&meta, bytes)?;
        self.next_offsets[depot] += 1;
        Ok(RecordInfo { position, offset, time })
    }

    /// Writes what calls gave as one batch: for each the depot of its stage, the call, the variant and the bytes. On an
    /// error the log is as it was.
    pub(crate) fn write_results(
        &mut self,
        results: &[(usize, CallKey, u16, Vec<u8>)],
    ) -> Result<Vec<RecordInfo>, LogError> {
        let (time, offsets) = (self.time(), self.next_offsets.clone());
        let mut infos = Vec::with_capacity(results.len());
        let pushed = results.iter().try_for_each(|(depot, key, variant, bytes)| {
            let record = (*depot, *variant, &bytes[..]);
            infos.push(self.push_record(record, kind::RESULT, call_id(*key), time)?);
            Ok(())
        });
        match pushed.and_then(|()| self.log.write()) {
            Ok(_) => {
                self.last_time = time;
                Ok(infos)
            }
            Err(error) => {
                self.log.discard();
                self.next_offsets = offsets;
                Err(error)
            }
        }
    }

    /// Writes control records of one kind and time as one batch, each with the generation of its topology. On
    /// an error the log is as it was.
    pub(crate) fn write_controls<'a, T: Serialize + 'a>(
        &mut self,
        kind: u8,
        time: i64,
        records: impl Iterator<Item = (u32, &'a T)>,
    ) -> Result<(), LogError> {
        let pushed = records.map(|(generation, record)| {
            push_control(&mut self.log, (kind, generation), time, record).map(drop)
        });
        let pushed = pushed.collect::<Result<(), _>>();
        match pushed.and_then(|()| self.log.write()) {
            Ok(_) => {
                self.last_time = time;
                Ok(())
            }
            Err(error) => {
                self.log.discard();
                Err(error)
            }
        }
    }

    /// Writes verdicts as one batch, of the time of the last record. On an error the log is as it was.
    pub(crate) fn write_verdicts(
        &mut self,
        core: &Core,
        verdicts: &[Verdict],
    ) -> Result<(), LogError> {
        let Self { log, last_time, .. } = self;
        let pushed =
            verdicts.iter().try_for_each(|verdict| push_verdict(log, *last_time, core, verdict));
        let written = pushed.and_then(|()| self.log.write());
        if written.is_err() {
            self.log.discard();
        }
        written.map(drop)
    }

    /// After a failed sync: writes all that was not durable into a new segment.
    pub(crate) fn recover_from_failed_sync(&mut self) -> Result<(), LogError> {
        self.log.recover_from_failed_sync().map(drop)
    }

    /// Leaves a clean end.
    pub(crate) fn close_clean(self) -> Result<(), LogError> {
        self.log.close_clean()
    }
}
