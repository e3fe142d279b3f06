//! A module's partitions in memory, run by their caller: no threads, no files, no clock.
//!
//! The same machine as in a grid, without its log and its shell: an append is one batch, applied
//! before the call returns.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use gridmill_client::engine::{
    Ack, DepotEntry, DepotRange, EncodedEvents, Engine, Held, JsonEvent, PStateEntry, StoredEvent,
    Submission,
};
use gridmill_client::{
    AppendError, AppendErrorKind, BatchReceipt, Client, DepotError, Gate, ReadError, Receipt,
    Repeated,
};
use gridmill_model::path::{Navigate, Selected};
use gridmill_model::{Depot, Event, Uuid};
use gridmill_persistence::Position;
use parking_lot::{Mutex, MutexGuard};

use crate::builder::ONCE_WINDOW;
use crate::engine::{depot_entry, pstate_entry, select_json};
use crate::error::StartError;
use crate::machine::answers::{LaterAnswer, LaterAnswers, complete, later, refused, set_aside};
use crate::machine::batch::{Batch, Events, Item};
use crate::machine::control::{ClockRecord, Verdict};
use crate::machine::core::{Consumer, Core, ItemAnswers, Limits, Stop, skipped};
use crate::machine::once::{IdKey, hash};
use crate::machine::registry::Registry;
use crate::machine::ticks::{Ticking, submission};
use crate::module::{Module, Plan};
use crate::shell::partition::calls::Clients;
use crate::shell::partition::outside::poll_guarded;
use crate::state::AnyView;
use crate::topology::{
    AnyEvents, Call, CallKey, CallResult, Effects, Emit, HOP_BYTES_MAX, RecordInfo, SendLimits,
    id_mark, key_of,
};

/// What a mailbox may hold; here nothing ever waits in one.
const MAILBOX_BYTES: u32 = 1 << 30;

/// The largest event, as a grid has it unless it is told otherwise.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// The largest value, as a grid has it unless it is told otherwise.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// Bytes of decoded entries that a PState's cache may take, about.
const CACHE_BYTES: usize = 32 << 20;

/// How many records of stages one append may lead to.
const STEPS_MAX: usize = 1_000_000;

/// How many timers of a topology go at once.
const FIRED_MAX: u32 = 1024;

/// How often a record that panics is tried, as a grid has it unless it is told otherwise.
const ATTEMPTS: u32 = 3;

/// A module in the hand of a unit test: it appends and reads without threads, files, a clock or
/// `await`.
///
/// Handlers, routing, rejections, quarantine, ids of appends (for 10 minutes of [`set_time`](Self::set_time)) and views
/// are those of a [`Grid`](crate::Grid); every
/// append is applied twice to catch handlers that are not deterministic. What a grid does besides
/// (logs, restarts, catching up) is not here.
///
/// ```
/// # mod words {
/// #     use gridmill::prelude::*;
/// #     pub const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
/// #     pub const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
/// #     pub struct Words;
/// #     impl Module for Words {
/// #         const NAME: &'static str = "words";
/// #         fn define(module: &mut Setup) {
/// #             module.depot(WORDS);
/// #             module.stream("count", COUNTS).source(WORDS).each(|word: Str, counts: &mut Map<Str, u64>| {
/// #                 *counts.entry(word).or_default() += 1;
/// #             });
/// #         }
/// #     }
/// # }
/// # use words::*;
/// use gridmill::Local;
/// use gridmill::prelude::*;
///
/// let words = Local::<Words>::new(2)?;
/// words.append(WORDS, "mill".into())?;
/// words.append(WORDS, "mill".into())?;
/// assert_eq!(words.select_one(COUNTS.key("mill"))?, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Local<M> {
    engine: Arc<LocalEngine>,
    client: Client,
    module: PhantomData<fn() -> M>,
}

impl<M> fmt::Debug for Local<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl<M: Module> Local<M> {
    /// The module with that many partitions (at least one), all of them empty.
    ///
    /// # Errors
    /// [`StartError::Declaration`] where the module contradicts itself, as when a grid starts.
    pub fn new(partitions: u32) -> Result<Self, StartError> {
        let plan = Plan::of::<M>()?;
        plan.check_initial(VALUE_BYTES_MAX)?;
        let engine = Arc::new(LocalEngine::new(plan, partitions.max(1))?);
        let weak: Weak<LocalEngine> = Arc::downgrade(&engine);
        engine.clients.come_from(weak);
        let client = Client::new(Arc::clone(&engine) as _);
        Ok(Self { engine, client, module: PhantomData })
    }

    /// Sets the time of the records to come, in microseconds since 1970 (UTC). It begins at 0 and
    /// stands still; a partition's records never go back. Ticks and timers that are due by then are handled when this
    /// returns.
    pub fn set_time(&self, micros: i64) {
        self.engine.set_time(micros);
    }

    /// Appends an event; its handlers have finished when this returns.
    ///
    /// # Errors
    /// As [`Client::append`].
    pub fn append<E: Event>(&self, depot: Depot<E>, event: E) -> Result<Receipt, AppendError<E>> {
        at_once(self.client.append(depot, event))
    }

    /// The values that `path` reaches.
    ///
    /// # Errors
    /// As [`Client::select`].
    pub fn select<N: Navigate>(&self, path: N) -> Result<Vec<Selected<N>>, ReadError> {
        at_once(self.client.select(path))
    }

    /// The one value that `path` reaches, or `None` where there is nothing.
    ///
    /// # Errors
    /// As [`Client::select_one`].
    pub fn select_one<N: Navigate>(&self, path: N) -> Result<Option<Selected<N>>, ReadError> {
        at_once(self.client.select_one(path))
    }

    /// A client, for all else that one can do. Its futures never wait: any executor will do.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

/// Runs a future that never waits.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// One partition: the machine, and its depots' records.
struct Machine {
    core: Core,
    end: Position,
    time: i64,
    /// By depot.
    records: Vec<Vec<StoredEvent>>,
    ids: HashMap<IdKey, Known>,
    /// Why it takes nothing any more: the state of a machine that failed is unusable.
    stopped: Option<String>,
}

/// An append with an id, and what a repeated one is answered with.
struct Known {
    hash: u64,
    time: i64,
    receipt: BatchReceipt,
}

/// What stands behind the client.
struct LocalEngine {
    plan: Arc<Plan>,
    /// Behind one lock: what an append leads to on other partitions is part of it.
    machines: Mutex<Vec<Machine>>,
    partitions: u32,
    time: Mutex<i64>,
    ticks: Mutex<Vec<Ticking>>,
    /// Where calls get their clients from.
    clients: Clients,
    depots: Vec<Arc<DepotEntry>>,
    pstates: Vec<Arc<PStateEntry>>,
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
    fn new(plan: Plan, partitions: u32) -> Result<Self, StartError> {
        let plan = Arc::new(plan);
        let gates: Vec<_> = (0..partitions).map(|_| Gate::new(MAILBOX_BYTES)).collect();
        let depots = 0..plan.depots.len();
        let depots = depots.map(|id| depot_entry(&plan, id, id, &gates, EVENT_BYTES_MAX)).collect();
        let pstates = plan.pstates.iter().enumerate();
        let pstates = pstates.map(|(id, def)| pstate_entry(def, id, partitions)).collect();
        let machines = (0..partitions).map(|number| Machine::new(&plan, (number, partitions)));
        let machines = Mutex::new(machines.collect::<Result<_, _>>()?);
        let (time, ticks) = (Mutex::new(0), Mutex::new(Ticking::all(&plan, 0)));
        let clients = Clients::default();
        Ok(Self { plan, machines, partitions, time, ticks, clients, depots, pstates })
    }

    fn set_time(&self, micros: i64) {
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
    fn read_state<T>(
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
        // Who waits for less is told less, as in a grid.
        if ack == Ack::Processed {
            answers.into_iter().for_each(|said| complete(&self.plan, &mut receipt, said));
            said_later.enter(&self.plan, &mut receipt);
        }
        machines[partition].note(id, Repeated::Known, &receipt);
        Ok(receipt)
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
            for (opened, (result, attempts)) in calls.iter().zip(ended) {
                let machine = &mut machines[opened.machine];
                let end = CallEnd { opened, result, attempts };
                let (answers, effects) = machine.end_call(&self.plan, end, time, &mut said)?;
                queue.extend(opened.machine, &effects, |_| opened.event);
                answers.into_iter().for_each(|(depot, answers)| {
                    queue.say(&self.plan, (depot, opened.event), answers, &mut said);
                });
            }
        }
    }

    /// Makes a call, as often as it fails and may be made; what came of it, and at which attempt.
    fn call(&self, opened: &OpenedCall) -> (CallResult, u32) {
        let OpenedCall { machine, topology, position, .. } = *opened;
        let def = &self.plan.topologies[topology];
        let called = {
            let mut machines = self.machines.lock();
            let key = machines[machine].call_key(opened);
            let open = machines[machine].core.open_call(topology, key).ok().flatten();
            open.zip(machines[machine].source_of(&self.plan, opened))
        };
        let gone = || (Err("its record is gone".to_owned()), 1);
        let Some((open, (source, variant))) = called else { return gone() };
        let Some(call) = &def.sources[source].call else { return gone() };
        let key = key_of(machine as u32, id_mark(def.name), position.to_bits());
        let mut attempt = 1;
        loop {
            let Some(client) = self.clients.client() else { return gone() };
            let of = Call { key, attempt, client };
            let Some(mut calling) = call.handler.call(usize::from(variant), &open.bytes, of) else {
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
type Refused = (AppendErrorKind, Option<AnyEvents>);

/// A record that was sent, with the number of the event that led to it.
struct Sent {
    emit: Emit,
    bytes: Vec<u8>,
    event: u32,
}

/// All partitions, behind their lock.
type Machines<'a> = MutexGuard<'a, Vec<Machine>>;

/// A call that was opened and not made yet.
struct OpenedCall {
    machine: usize,
    topology: usize,
    position: Position,
    /// The number of the event that led to it.
    event: u32,
}

/// What a call came to.
struct CallEnd<'a> {
    opened: &'a OpenedCall,
    result: CallResult,
    attempts: u32,
}

/// The number of no event: nobody waits for what timers lead to.
const NO_EVENT: u32 = u32::MAX;

/// Records that were sent and are not handled yet.
#[derive(Default)]
struct Queue {
    sent: VecDeque<Sent>,
    calls: Vec<OpenedCall>,
    /// How many there have been.
    steps: usize,
}

impl Queue {
    /// Adds what a step on a machine sent and opened.
    fn extend(&mut self, machine: usize, effects: &Effects, event_of: impl Fn(Position) -> u32) {
        self.calls.extend(effects.opened_calls().iter().map(|&(topology, position)| OpenedCall {
            machine,
            topology,
            position,
            event: event_of(position),
        }));
        self.sent.extend(effects.iter().map(|(emit, bytes)| {
            let (emit, bytes, event) = (*emit, bytes.to_vec(), event_of(emit.cause));
            Sent { emit, bytes, event }
        }));
    }

    /// Handles all of them, and what they lead to, in the order in which they were sent.
    fn run(
        &mut self,
        plan: &Plan,
        machines: &mut [Machine],
        time: i64,
        said: &mut LaterAnswers,
    ) -> Result<(), AppendErrorKind> {
        while let Some(Sent { emit, bytes, event }) = self.sent.pop_front() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                let reason = format!(
                    "an append, or a timer, led to more than {STEPS_MAX} records in stages: a stage that sends to itself \
                     has to come to an end"
                );
                return Err(AppendErrorKind::Unknown { reason });
            }
            let target = emit.target as usize;
            let (answers, effects) = machines[target].receive(plan, &emit, &bytes, time)?;
            self.extend(target, &effects, |_| event);
            answers.into_iter().for_each(|one| self.say(plan, (emit.depot, event), one, said));
        }
        Ok(())
    }

    /// Keeps what handlers said about a record of a depot, to the event that led to it.
    fn say(
        &self,
        plan: &Plan,
        (depot, event): (usize, u32),
        answers: ItemAnswers,
        said: &mut LaterAnswers,
    ) {
        if event != NO_EVENT {
            later(plan, depot, answers).for_each(|(_, answer)| said.add(event, answer));
        }
    }

    /// Lets timers go that are due at `time`.
    fn fire(&mut self, machines: &mut [Machine], time: i64) -> Result<(), AppendErrorKind> {
        for (number, machine) in machines.iter_mut().enumerate() {
            while let Some(effects) = machine.fire(time)? {
                self.extend(number, &effects, |_| NO_EVENT);
            }
        }
        Ok(())
    }
}

impl Machine {
    fn new(plan: &Arc<Plan>, numbers: (u32, u32)) -> Result<Self, StartError> {
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
    fn known(&self, key: IdKey, time: i64) -> Option<&Known> {
        let since = time.max(self.time).saturating_sub(ONCE_WINDOW.as_micros() as i64);
        self.ids.get(&key).filter(|known| known.time >= since)
    }

    /// Keeps what appends with the same id are to be answered with.
    fn note(&mut self, id: Option<(IdKey, u64)>, repeated: Repeated, receipt: &BatchReceipt) {
        let Some((key, hash)) = id else { return };
        let receipt = BatchReceipt { repeated: Some(repeated), ..receipt.clone() };
        self.ids.insert(key, Known { hash, time: self.time, receipt });
    }

    /// Keeps the events of a submission as records and lets the topologies handle them.
    fn submit(
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
    fn fire(&mut self, time: i64) -> Result<Option<Effects>, AppendErrorKind> {
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
    fn usable<T>(
        &mut self,
        ask: impl FnOnce(&mut Core) -> Result<T, Stop>,
    ) -> Result<T, AppendErrorKind> {
        ask(&mut self.core).map_err(|stop| {
            self.stopped = Some(stop.to_string());
            AppendErrorKind::Unknown { reason: stop.to_string() }
        })
    }

    /// Takes a record that a handler sent.
    fn receive(
        &mut self,
        plan: &Plan,
        emit: &Emit,
        bytes: &[u8],
        time: i64,
    ) -> Result<(Vec<ItemAnswers>, Effects), AppendErrorKind> {
        let unknown = |reason: String| AppendErrorKind::Unknown { reason };
        if let Some(reason) = &self.stopped {
            return Err(unknown(reason.clone()));
        }
        let def = &plan.depots[emit.depot];
        let mut events = def.codec.events();
        let decoded = def.codec.decode(&mut events, usize::from(emit.variant), bytes);
        decoded.map_err(|error| {
            unknown(format!("a record for `{}` cannot be decoded: {error}", def.name))
        })?;
        let mut encoded = EncodedEvents::default();
        encoded.push(emit.variant, bytes);
        self.handle(emit.depot, (events, encoded), None, time)
    }

    fn call_key(&self, opened: &OpenedCall) -> CallKey {
        let depot = self.core.plan.topologies[opened.topology].sources.iter();
        // A record is in one of them.
        let mut depots = depot.filter(|source| source.call.is_some()).map(|source| source.depot);
        let at = opened.position.to_bits();
        let has = |depot: &usize| {
            let records = &self.records[*depot];
            records.binary_search_by_key(&at, |record| record.position).is_ok()
        };
        let depot = depots.find(has).unwrap_or_default();
        (self.core.registry().source(depot), at)
    }

    /// The source that a call's record is of, and its variant.
    fn source_of(&self, plan: &Plan, opened: &OpenedCall) -> Option<(usize, u16)> {
        let (depot, at) = self.call_key(opened);
        let records = &self.records[usize::from(depot)];
        let record = records.binary_search_by_key(&at, |record| record.position).ok()?;
        let source = plan.topologies[opened.topology].source(usize::from(depot))?;
        Some((source, records[record].variant))
    }

    /// Takes the answer to a call as a record of its stage, or sets its record aside; returns what was said by which
    /// stage.
    fn end_call(
        &mut self,
        plan: &Plan,
        end: CallEnd<'_>,
        time: i64,
        said: &mut LaterAnswers,
    ) -> Result<(Vec<(usize, ItemAnswers)>, Effects), AppendErrorKind> {
        let CallEnd { opened, result, attempts } = end;
        let key = self.call_key(opened);
        let Some((source, _)) = self.source_of(plan, opened) else { return Ok(Default::default()) };
        let source = &plan.topologies[opened.topology].sources[source];
        let Some(call) = &source.call else { return Ok(Default::default()) };
        match result {
            Ok((variant, bytes)) => {
                let codec = &plan.depots[call.result].codec;
                let mut events = codec.events();
                if codec.decode(&mut events, usize::from(variant), &bytes).is_err() {
                    codec.push_unknown(&mut events);
                }
                let mut encoded = EncodedEvents::default();
                encoded.push(variant, &bytes);
                let handled = self.handle(call.result, (events, encoded), Some(key), time)?;
                let (answers, effects) = handled;
                Ok((answers.into_iter().map(|said| (call.result, said)).collect(), effects))
            }
            Err(message) => {
                let message = format!("the call failed: {message}");
                self.set_call_aside(plan, (opened, source.depot), (attempts, &message))?;
                if opened.event != NO_EVENT {
                    let (name, stage) =
                        (plan.topologies[opened.topology].name, plan.depots[source.depot].inbox);
                    let stage = stage.map(|inbox| inbox.stage);
                    let rejection = match plan.skips(name, plan.depots[source.depot].name) {
                        true => refused(name, stage, skipped(&message)),
                        false => set_aside(name, stage, message),
                    };
                    said.add(opened.event, LaterAnswer::Rejection(rejection));
                }
                Ok(Default::default())
            }
        }
    }

    fn set_call_aside(
        &mut self,
        plan: &Plan,
        (opened, depot): (&OpenedCall, usize),
        (attempts, message): (u32, &str),
    ) -> Result<(), AppendErrorKind> {
        let key = self.call_key(opened);
        let open = self.usable(|core| core.open_call(opened.topology, key))?;
        let Some(open) = open else { return Ok(()) };
        let verdict = Verdict {
            topology: plan.topologies[opened.topology].name.to_owned(),
            position: opened.position,
            depot: plan.depots[depot].name.to_owned(),
            offset: open.offset,
            time: open.time,
            attempts,
            message: message.to_owned(),
        };
        self.end = self.end.next();
        let mut batch = Batch::new(vec![Item::Verdict(verdict)], self.end);
        self.usable(|core| core.apply(&mut batch)).map(drop)
    }

    /// Keeps events as records of a depot and lets the topologies handle them. One of them may be the answer to a call.
    fn handle(
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
        match (done, self.apply(submission)) {
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
            state: Box::new(core.views()),
            end: end.to_bits(),
        })
    }

    fn view_held(
        &self,
        held: &Held,
        pstate: usize,
        _: bool,
        read: &mut dyn FnMut(&dyn Any),
    ) -> Result<bool, ReadError> {
        let roots = held.state.downcast_ref::<Vec<AnyView>>();
        let Some(root) = roots.and_then(|roots| roots.get(pstate)) else { return Ok(false) };
        read(&**root);
        Ok(true)
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

    fn select_json(&self, pstate: usize, path: &str) -> Result<String, ReadError> {
        let codec = &*self.plan.pstates[pstate].codec;
        select_json(self, &self.pstates[pstate], codec, path)
    }
}
