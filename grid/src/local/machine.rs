//! One partition of a module in memory.

use std::collections::HashMap;
use std::sync::Arc;

use gridmill_client::engine::{EncodedEvents, StoredEvent, Submission};
use gridmill_client::{AppendErrorKind, BatchReceipt, Repeated};
use gridmill_persistence::Position;

use crate::builder::ONCE_WINDOW;
use crate::error::StartError;
use crate::machine::answers::{LaterAnswer, LaterAnswers};
use crate::machine::batch::{Batch, Events, Item};
use crate::machine::control::ClockRecord;
use crate::machine::core::{Consumer, Core, ItemAnswers, Limits, Stop};
use crate::machine::once::IdKey;
use crate::machine::registry::Registry;
use crate::module::Plan;
use crate::topology::{AnyEvents, CallKey, Effects, HOP_BYTES_MAX, RecordInfo, SendLimits};

use super::engine::Refused;
use super::queue::{CallEnd, NO_EVENT, PendingCall};
use super::{EVENT_BYTES_MAX, VALUE_BYTES_MAX};

/// Bytes of decoded entries that a PState's cache may take, about.
const CACHE_BYTES: usize = 32 << 20;

/// How many timers of a topology go at once.
const FIRED_MAX: u32 = 1024;

/// How often a record that panics is tried, as a grid has it unless it is told otherwise.
const ATTEMPTS: u32 = 3;

/// One partition: the machine, and its depots' records.
pub(super) struct Machine {
    pub(super) core: Core,
    pub(super) end: Position,
    pub(super) time: i64,
    /// By depot.
    pub(super) records: Vec<Vec<StoredEvent>>,
    pub(super) ids: HashMap<IdKey, Known>,
    /// Why it takes nothing any more: the state of a machine that failed is unusable.
    pub(super) stopped: Option<String>,
}

/// An append with an id, and what a repeated one is answered with.
pub(super) struct Known {
    pub(super) hash: u64,
    pub(super) time: i64,
    pub(super) receipt: BatchReceipt,
}

impl Machine {
    pub(super) fn new(plan: &Arc<Plan>, numbers: (u32, u32)) -> Result<Self, StartError> {
        let place = |pstate| crate::machine::core::place(plan, pstate, numbers, CACHE_BYTES);
        let cells = plan.pstates.iter().enumerate();
        let cells = cells.map(|(pstate, def)| def.codec.cell(place(pstate), Vec::new(), 0));
        // Without runs there is nothing that could be damaged.
        let cells = cells.collect::<Result<_, _>>().map_err(|damage| StartError::Damaged {
            module: plan.name.to_owned(),
            partition: numbers.0,
            damage,
        })?;
        let consumers = plan.topologies.iter().map(|topology| Consumer {
            live: true,
            starts: vec![0; topology.sources.len()],
            ..Consumer::default()
        });
        let limits = Limits {
            value_bytes_max: VALUE_BYTES_MAX,
            cache_bytes: CACHE_BYTES,
            // Nothing is ever written out.
            step_bytes: usize::MAX,
            sends: SendLimits { event_bytes_max: EVENT_BYTES_MAX, hop_bytes_max: HOP_BYTES_MAX },
            attempts: ATTEMPTS,
            check_twice: true,
        };
        let what = (Arc::clone(plan), Arc::new(Registry::in_memory(plan)));
        let core = Core::new(what, numbers, cells, consumers.collect(), limits);
        let records = plan.depots.iter().map(|_| Vec::new()).collect();
        let (end, ids) = (Position::START, HashMap::new());
        Ok(Self { core, end, time: 0, records, ids, stopped: None })
    }

    /// The append with this id, where it is in the window that a grid has unless it is told otherwise.
    pub(super) fn known(&self, key: IdKey, time: i64) -> Option<&Known> {
        let since = time.max(self.time).saturating_sub(ONCE_WINDOW.as_micros() as i64);
        self.ids.get(&key).filter(|known| known.time >= since)
    }

    /// Keeps what appends with the same id are to be answered with.
    pub(super) fn note(
        &mut self,
        id: Option<(IdKey, u64)>,
        repeated: Repeated,
        receipt: &BatchReceipt,
    ) {
        let Some((key, hash)) = id else { return };
        let receipt = BatchReceipt { repeated: Some(repeated), ..receipt.clone() };
        self.ids.insert(key, Known { hash, time: self.time, receipt });
    }

    /// Keeps the events of a submission as records and lets the topologies handle them.
    pub(super) fn submit(
        &mut self,
        submission: Submission,
        time: i64,
    ) -> Result<(BatchReceipt, Vec<ItemAnswers>, Effects), Refused> {
        let Submission { depot, events, encoded, .. } = submission;
        if let Some(reason) = &self.stopped {
            let kind = AppendErrorKind::NotLogged { reason: reason.clone() };
            return Err((kind, Some(events)));
        }
        let receipt = BatchReceipt {
            partition: self.core.partition,
            count: encoded.len() as u64,
            first_offset: self.records[depot].len() as u64,
            first_position: self.end.to_bits(),
            ..BatchReceipt::default()
        };
        let handled = self.handle(depot, (events, encoded), None, time);
        let (answers, effects) = handled.map_err(|kind| (kind, None))?;
        Ok((receipt, answers, effects))
    }

    /// What is due at `time`, some at a time; nothing where nothing is, or where the machine is unusable.
    pub(super) fn fire(&mut self, time: i64) -> Result<Option<Effects>, AppendErrorKind> {
        let time = time.max(self.time);
        let due = self.stopped.is_none() && self.usable(|core| core.is_due(time))?;
        if !due {
            return Ok(None);
        }
        self.time = time;
        let clock = ClockRecord { timers_max: FIRED_MAX, bytes_max: u64::MAX };
        let info = RecordInfo { position: self.end, offset: 0, time };
        self.end = self.end.next();
        let mut batch = Batch::new(vec![Item::Clock(clock, info)], self.end);
        let applied = self.usable(|core| core.apply(&mut batch))?;
        Ok(Some(applied.effects))
    }

    /// Asks the machine for something; where that fails, it is unusable.
    pub(super) fn usable<T>(
        &mut self,
        ask: impl FnOnce(&mut Core) -> Result<T, Stop>,
    ) -> Result<T, AppendErrorKind> {
        ask(&mut self.core).map_err(|stop| {
            self.stopped = Some(stop.to_string());
            AppendErrorKind::Unknown { reason: stop.to_string() }
        })
    }

    /// Takes a record for a stage or depot that a handler sent, or that is the answer to a call.
    pub(super) fn receive(
        &mut self,
        plan: &Plan,
        depot: usize,
        (variant, bytes): (u16, &[u8]),
        call: Option<CallKey>,
        time: i64,
    ) -> Result<(Vec<ItemAnswers>, Effects), AppendErrorKind> {
        let unknown = |reason: String| AppendErrorKind::Unknown { reason };
        if let Some(reason) = &self.stopped {
            return Err(unknown(reason.clone()));
        }
        let def = &plan.depots[depot];
        let mut events = def.codec.events();
        let decoded = def.codec.decode(&mut events, usize::from(variant), bytes);
        decoded.map_err(|error| {
            unknown(format!("a record for `{}` cannot be decoded: {error}", def.name))
        })?;
        let mut encoded = EncodedEvents::default();
        encoded.push(variant, bytes);
        self.handle(depot, (events, encoded), call, time)
    }

    /// Takes the answer to a call as a record of its stage, or sets its record aside; returns what was said by which
    /// stage.
    pub(super) fn end_call(
        &mut self,
        plan: &Plan,
        CallEnd { pending, result, attempts }: CallEnd<'_>,
        time: i64,
        said: &mut LaterAnswers,
    ) -> Result<(Vec<(usize, ItemAnswers)>, Effects), AppendErrorKind> {
        let &PendingCall { call, event, .. } = pending;
        match result {
            Ok((variant, bytes)) => {
                let Some(def) = plan.topologies[call.topology].call(call.depot) else {
                    return Ok(Default::default());
                };
                let key = self.core.call_key(call.depot, call.position);
                let received =
                    self.receive(plan, def.result, (variant, &bytes), Some(key), time)?;
                let (answers, effects) = received;
                Ok((answers.into_iter().map(|said| (def.result, said)).collect(), effects))
            }
            Err(message) => {
                let failed = self.usable(|core| core.failed_call(call, attempts, &message))?;
                let Some(failed) = failed else { return Ok(Default::default()) };
                if event != NO_EVENT {
                    said.add(plan, event, LaterAnswer::Rejection(failed.rejection.clone()));
                }
                self.end = self.end.next();
                let mut batch = Batch::new(failed.into_items(), self.end);
                self.usable(|core| core.apply(&mut batch))?;
                Ok(Default::default())
            }
        }
    }

    /// Keeps events as records of a depot and lets the topologies handle them. One of them may be the answer to a call.
    pub(super) fn handle(
        &mut self,
        depot: usize,
        (events, encoded): (AnyEvents, EncodedEvents),
        call: Option<CallKey>,
        time: i64,
    ) -> Result<(Vec<ItemAnswers>, Effects), AppendErrorKind> {
        self.time = time.max(self.time);
        let records = &mut self.records[depot];
        let mut infos = Vec::with_capacity(encoded.len());
        for (variant, bytes) in encoded.iter() {
            let (offset, position, time) = (records.len() as u64, self.end, self.time);
            infos.push(RecordInfo { position, offset, time });
            let (position, bytes) = (position.to_bits(), bytes.to_vec());
            records.push(StoredEvent { offset, position, time, variant, bytes });
            self.end = self.end.next();
        }
        let events = Events { depot, events, encoded, infos, only: None, call };
        let mut batch = Batch::new(vec![Item::Events(events)], self.end);
        let applied = self.usable(|core| core.apply(&mut batch))?;
        Ok((applied.answers, applied.effects))
    }
}
