//! What stands behind the client of a module in memory: an append is one batch, applied with all that it leads to
//! before the call returns.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gridmill_client::engine::{
    Ack, AnyRoot, DepotEntry, DepotRange, Engine, Held, JsonEvent, PStateEntry, PartEntry,
    QueryEntry, StoredEvent, Submission, WatchGuard, WatchOrder,
};
use gridmill_client::{
    AppendErrorKind, BatchReceipt, DepotError, Gate, ReadError, Repeated, WatchError,
};
use gridmill_model::Uuid;
use gridmill_persistence::Position;
use parking_lot::Mutex;

use crate::engine::{QueryEntries, depot_entry, pstate_entry, select_json, sorted};
use crate::error::StartError;
use crate::machine::answers::{LaterAnswers, complete};
use crate::machine::core::Core;
use crate::machine::once::{IdKey, hash};
use crate::machine::ticks::{Ticking, submission};
use crate::module::Plan;
use crate::shell::partition::calls::Clients;
use crate::shell::partition::outside::poll_guarded;
use crate::state::AnyView;
use crate::topology::{AnyEvents, Call, CallResult, OpenedCall, id_mark, key_of};

use super::EVENT_BYTES_MAX;
use super::machine::Machine;
use super::queue::{CallEnd, Machines, PendingCall, Queue};
use super::watching::Watching;

/// What a mailbox may hold; here nothing ever waits in one.
const MAILBOX_BYTES: u32 = 1 << 30;

/// What stands behind the client.
pub(super) struct LocalEngine {
    pub(super) plan: Arc<Plan>,
    /// Behind one lock: what an append leads to on other partitions is part of it.
    pub(super) machines: Mutex<Vec<Machine>>,
    pub(super) partitions: u32,
    pub(super) time: Mutex<i64>,
    pub(super) ticks: Mutex<Vec<Ticking>>,
    /// Where calls get their clients from.
    pub(super) clients: Clients,
    pub(super) depots: Vec<Arc<DepotEntry>>,
    pub(super) pstates: Vec<Arc<PStateEntry>>,
    pub(super) queries: QueryEntries,
    pub(super) watching: Watching,
}

impl fmt::Debug for LocalEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEngine")
            .field("module", &self.plan.name)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

impl LocalEngine {
    pub(super) fn new(plan: Plan, partitions: u32) -> Result<Self, StartError> {
        let plan = Arc::new(plan);
        let gates: Vec<_> = (0..partitions).map(|_| Gate::new(MAILBOX_BYTES)).collect();
        let depots = 0..plan.depots.len();
        let depots = depots.map(|id| depot_entry(&plan, id, id, &gates, EVENT_BYTES_MAX)).collect();
        let pstates = plan.pstates.iter().enumerate();
        let pstates = pstates.map(|(id, def)| pstate_entry(def, id, 0, partitions)).collect();
        let queries = QueryEntries::of(&plan, 0, 0, partitions);
        let machines = (0..partitions).map(|number| Machine::new(&plan, (number, partitions)));
        let machines = Mutex::new(machines.collect::<Result<_, _>>()?);
        let (time, ticks) = (Mutex::new(0), Mutex::new(Ticking::all(&plan, 0)));
        let clients = Clients::default();
        let watching = Watching::new(partitions);
        Ok(Self {
            plan,
            machines,
            partitions,
            time,
            ticks,
            clients,
            depots,
            pstates,
            queries,
            watching,
        })
    }

    pub(super) fn set_time(&self, micros: i64) {
        *self.time.lock() = micros;
        let mut due = Vec::new();
        for ticking in self.ticks.lock().iter_mut() {
            let Some(tick) = ticking.due(micros) else { continue };
            due.extend(submission(ticking.depot, tick.clone()));
            ticking.appended(tick);
        }
        for tick in due {
            if let Err((error, _)) = self.apply(tick) {
                tracing::warn!(%error, "what a tick led to was not handled");
            }
        }
        if let Err(error) = self.settle(self.machines.lock(), Queue::default(), micros) {
            tracing::warn!(%error, "what timers led to was not handled");
        }
        self.show_watchers();
    }

    /// The depots that clients see: not those of stages.
    fn visible(&self) -> impl Iterator<Item = &Arc<DepotEntry>> {
        let declared = self.depots.iter().zip(&self.plan.depots);
        declared.filter(|(_, def)| def.inbox.is_none()).map(|(entry, _)| entry)
    }

    /// The PStates that clients see: not those in which the engine keeps something of its own.
    fn known(&self) -> impl Iterator<Item = &Arc<PStateEntry>> {
        let declared = self.pstates.iter().zip(&self.plan.pstates);
        declared.filter(|(_, def)| !def.hidden).map(|(entry, _)| entry)
    }

    /// Reads from the machine of a PState's partition, while it is usable.
    pub(super) fn read_state<T>(
        &self,
        pstate: usize,
        partition: u32,
        read: impl FnOnce(&mut Core, Position) -> T,
    ) -> Result<T, ReadError> {
        let mut machines = self.machines.lock();
        let machine = machines.get_mut(partition as usize);
        let machine = machine.ok_or_else(|| ReadError::BadPartition {
            name: self.pstates[pstate].name.clone(),
            expected: self.pstates[pstate].partitions,
            got: partition,
        })?;
        match machine.stopped.clone() {
            Some(reason) => Err(ReadError::Stopped { partition, reason }),
            None => Ok(read(&mut machine.core, machine.end)),
        }
    }

    /// Reads from the machine of a depot's partition; a global depot has one.
    fn with_machine<T>(
        &self,
        depot: usize,
        partition: u32,
        read: impl FnOnce(&Machine) -> T,
    ) -> Result<T, DepotError> {
        let entry = &self.depots[depot];
        let machines = self.machines.lock();
        let machine = machines.get(partition as usize);
        let machine = machine.filter(|_| partition < entry.partitions);
        machine.map(read).ok_or_else(|| DepotError::BadPartition {
            depot: entry.name.clone(),
            expected: entry.partitions,
            got: partition,
        })
    }

    /// Applies a submission, and all that it leads to.
    fn apply(&self, submission: Submission) -> Result<BatchReceipt, Refused> {
        let time = *self.time.lock();
        let (ack, partition) = (submission.ack, submission.partition as usize);
        let id = id_of(&submission);
        let mut machines = self.machines.lock();
        let machine = &mut machines[partition];
        match id.and_then(|(key, hash)| machine.known(key, time).map(|known| (known, hash))) {
            Some((known, hash)) if known.hash == hash => return Ok(known.receipt.clone()),
            Some(_) => return Err(self.id_taken(submission)),
            None => {}
        }
        let (mut receipt, answers, effects) = machine.submit(submission, time)?;
        machine.note(id, Repeated::BeforeRestart, &receipt);
        let first = Position::from_bits(receipt.first_position).number();
        let event_of = |cause: Position| (cause.number() - first) as u32;
        let mut queue = Queue::default();
        queue.extend(partition, &effects, event_of);
        let settled = self.settle(machines, queue, time).map_err(|kind| (kind, None))?;
        let (mut machines, said_later) = settled;
        let mut entered = Ok(());
        // Who waits for less is told less, as in a grid.
        if ack == Ack::Processed {
            answers.into_iter().for_each(|said| complete(&self.plan, &mut receipt, said));
            entered = said_later.enter(&self.plan, &mut receipt);
        }
        let known = if entered.is_ok() { Repeated::Known } else { Repeated::BeforeRestart };
        machines[partition].note(id, known, &receipt);
        entered.map(|()| receipt).map_err(|kind| (kind, None))
    }

    /// Handles what was sent, lets timers go that are due, and makes calls, until nothing is left; returns what was
    /// said to the append that it began with.
    fn settle<'a>(
        &'a self,
        mut machines: Machines<'a>,
        mut queue: Queue,
        time: i64,
    ) -> Result<(Machines<'a>, LaterAnswers), AppendErrorKind> {
        let mut said = LaterAnswers::default();
        loop {
            queue.run(&self.plan, &mut machines, time, &mut said)?;
            queue.fire(&mut machines, time)?;
            if !queue.sent.is_empty() {
                continue;
            }
            let calls = std::mem::take(&mut queue.calls);
            if calls.is_empty() {
                return Ok((machines, said));
            }
            // They are the user's, and may read.
            drop(machines);
            let ended: Vec<_> = calls.iter().map(|call| self.call(call)).collect();
            machines = self.machines.lock();
            for (pending, (result, attempts)) in calls.iter().zip(ended) {
                let machine = &mut machines[pending.machine];
                let end = CallEnd { pending, result, attempts };
                let (answers, effects) = machine.end_call(&self.plan, end, time, &mut said)?;
                queue.extend(pending.machine, &effects, |_| pending.event);
                answers.into_iter().for_each(|(depot, answers)| {
                    queue.say(&self.plan, (depot, pending.event), answers, &mut said);
                });
            }
        }
    }

    /// Makes a call, as often as it fails and may be made; what came of it, and at which attempt.
    fn call(&self, pending: &PendingCall) -> (CallResult, u32) {
        let PendingCall { machine, call: OpenedCall { topology, depot, position }, .. } = *pending;
        let def = &self.plan.topologies[topology];
        let open = {
            let core = &mut self.machines.lock()[machine].core;
            let key = core.call_key(depot, position);
            let open = core.open_call(topology, key).ok().flatten();
            open.and_then(|open| Some((core.registry().event(open.type_id)?.1, open.bytes)))
        };
        let gone = || (Err("its record is gone".to_owned()), 1);
        let Some(((variant, bytes), call)) = open.zip(def.call(depot)) else { return gone() };
        let key = key_of(machine as u32, id_mark(def.name), position.to_bits());
        let mut attempt = 1;
        loop {
            let Some(client) = self.clients.client() else { return gone() };
            let of = Call { key, attempt, client };
            let Some(mut calling) = call.handler.call(usize::from(variant), &bytes, of) else {
                return gone();
            };
            let polled = poll_guarded(&mut calling, &mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Pending => {
                    let waits =
                        "the call has to wait, and `Local` does not; test it in `Grid::in_memory`";
                    return (Err(waits.to_owned()), attempt);
                }
                Poll::Ready(Err(_)) if attempt < call.options.attempts => attempt += 1,
                Poll::Ready(result) => return (result, attempt),
            }
        }
    }

    fn id_taken(&self, submission: Submission) -> Refused {
        let Submission { depot, partition, id, events, .. } = submission;
        let depot = self.depots[depot].name.clone();
        let id = Uuid::from_bytes(id.unwrap_or_default());
        (AppendErrorKind::IdTaken { depot, partition, id }, Some(events))
    }
}

/// The id of a submission, with what tells its event from others.
fn id_of(submission: &Submission) -> Option<(IdKey, u64)> {
    let (variant, bytes) = submission.encoded.iter().next()?;
    // Each depot has a number of 16 bits.
    let key = (submission.depot as u16, submission.id?);
    Some((key, hash(u32::from(variant), bytes)))
}

/// Why a submission was not applied, with its events where these are not lost.
pub(super) type Refused = (AppendErrorKind, Option<AnyEvents>);

impl Engine for LocalEngine {
    fn depot(&self, name: &str) -> Option<Arc<DepotEntry>> {
        self.visible().find(|entry| entry.name == name).cloned()
    }

    fn pstate(&self, name: &str) -> Option<Arc<PStateEntry>> {
        self.known().find(|entry| entry.name == name).cloned()
    }

    fn depot_names(&self) -> Vec<String> {
        self.visible().map(|entry| entry.name.clone()).collect()
    }

    fn pstate_names(&self) -> Vec<String> {
        self.known().map(|entry| entry.name.clone()).collect()
    }

    fn submit(&self, mut submission: Submission) {
        let done = submission.done.take();
        let applied = self.apply(submission);
        self.show_watchers();
        match (done, applied) {
            (Some(done), Ok(receipt)) => done.answer(receipt),
            (Some(done), Err((kind, events))) => done.fail(kind, events),
            (None, _) => {}
        }
    }

    fn view(
        &self,
        pstate: usize,
        partition: u32,
        _: bool,
        read: &mut dyn FnMut(&dyn Any),
    ) -> Result<(), ReadError> {
        let root = self.read_state(pstate, partition, |core, _| core.cell_mut(pstate).view())?;
        read(&*root);
        Ok(())
    }

    fn hold(&self, pstate: usize, partition: u32) -> Result<Held, ReadError> {
        self.read_state(pstate, partition, |core, end| Held {
            state: Arc::new(core.views()),
            end: end.to_bits(),
        })
    }

    fn held_root(&self, held: &Held, pstate: usize, _: bool) -> Result<AnyRoot, ReadError> {
        let roots = held.state.downcast_ref::<Vec<AnyView>>();
        match roots.and_then(|roots| roots.get(pstate)) {
            Some(root) => Ok(Arc::clone(root)),
            None => unreachable!("what is held has all PStates of the module"),
        }
    }

    fn query(&self, name: &str) -> Option<Arc<QueryEntry>> {
        self.queries.queries.get(name).cloned()
    }

    fn part(&self, name: &str) -> Option<Arc<PartEntry>> {
        self.queries.parts.get(name).cloned()
    }

    fn query_names(&self) -> Vec<String> {
        sorted(self.queries.queries.keys())
    }

    fn part_names(&self) -> Vec<String> {
        sorted(self.queries.parts.keys())
    }

    fn watch(&self, order: WatchOrder) -> Result<WatchGuard, WatchError> {
        self.watch_here(order)
    }

    fn depot_range(&self, depot: usize, partition: u32) -> Result<DepotRange, DepotError> {
        let end = self.with_machine(depot, partition, |machine| machine.records[depot].len())?;
        Ok(DepotRange { start: 0, end: end as u64 })
    }

    fn depot_read(
        &self,
        depot: usize,
        partition: u32,
        from: u64,
        to: u64,
    ) -> Result<Vec<StoredEvent>, DepotError> {
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        let read = |machine: &Machine| {
            let records = &machine.records[depot];
            let found = range.and_then(|(from, to)| records.get(from..to));
            found.map(<[_]>::to_vec).ok_or(records.len() as u64)
        };
        self.with_machine(depot, partition, read)?.map_err(|end| DepotError::OutOfRange {
            depot: self.depots[depot].name.clone(),
            partition,
            start: 0,
            end,
            from,
            to,
        })
    }

    fn decode_json(&self, depot: usize, json: &str) -> Result<JsonEvent, AppendErrorKind> {
        self.plan.depots[depot].codec.decode_json(&self.depots[depot], json)
    }

    fn select_json(
        &self,
        pstate: usize,
        path: &str,
        going: &dyn Fn() -> bool,
    ) -> Result<String, ReadError> {
        select_json(self, &self.pstates[pstate], (&self.plan, pstate), path, going)
    }
}
