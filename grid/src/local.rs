//! A module's partitions in memory, run by their caller: no threads, no files, no clock.
//!
//! The same machine as in a grid, without its log and its shell: an append is one batch, applied
//! before the call returns.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gridmill_client::engine::{
    Ack, AnyRoot, DepotEntry, DepotRange, EncodedEvents, Engine, Held, JsonEvent, PStateEntry,
    PartEntry, QueryEntry, StoredEvent, Submission,
};
use gridmill_client::{
    AppendError, AppendErrorKind, AskError, BatchReceipt, Client, DepotError, Gate, ReadError,
    Receipt,
};
use gridmill_model::path::{Navigate, Selected};
use gridmill_model::{Depot, Event, Query};
use gridmill_persistence::Position;
use parking_lot::Mutex;

use crate::engine::{QueryEntries, depot_entry, pstate_entry, select_json, sorted};
use crate::error::StartError;
use crate::machine::answers::{LaterAnswers, complete, later};
use crate::machine::batch::{Batch, Events, Item};
use crate::machine::core::{Consumer, Core, ItemAnswers, Limits};
use crate::module::{Module, Plan};
use crate::state::AnyView;
use crate::topology::{AnyEvents, Effects, Emit, HOP_BYTES_MAX, RecordInfo, SendLimits};

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

/// How often a record that panics is tried, as a grid has it unless it is told otherwise.
const ATTEMPTS: u32 = 3;

/// A module in the hand of a unit test: it appends and reads without threads, files, a clock or
/// `await`.
///
/// Handlers, routing, rejections, quarantine and views are those of a [`Grid`](crate::Grid); every
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
        let client = Client::new(Arc::clone(&engine) as _);
        Ok(Self { engine, client, module: PhantomData })
    }

    /// Sets the time of the records to come, in microseconds since 1970 (UTC). It begins at 0 and
    /// stands still; a partition's records never go back.
    pub fn set_time(&self, micros: i64) {
        *self.engine.time.lock() = micros;
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

    /// What a query answers. All of it runs here, its parts one after the other.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn query<A, R>(&self, query: Query<A, R>, args: A) -> Result<R, AskError>
    where
        A: Send + 'static,
        R: Send + 'static,
    {
        at_once(self.client.query(query, args))
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
    /// Why it takes nothing any more: the state of a machine that failed is unusable.
    stopped: Option<String>,
}

/// What stands behind the client.
struct LocalEngine {
    plan: Arc<Plan>,
    /// Behind one lock: what an append leads to on other partitions is part of it.
    machines: Mutex<Vec<Machine>>,
    partitions: u32,
    time: Mutex<i64>,
    depots: Vec<Arc<DepotEntry>>,
    pstates: Vec<Arc<PStateEntry>>,
    queries: QueryEntries,
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
        let pstates = pstates.map(|(id, def)| pstate_entry(def, id, 0, partitions)).collect();
        let queries = QueryEntries::of(&plan, 0, 0, partitions);
        let machines = (0..partitions).map(|number| Machine::new(&plan, (number, partitions)));
        let machines = Mutex::new(machines.collect::<Result<_, _>>()?);
        Ok(Self { plan, machines, partitions, time: Mutex::new(0), depots, pstates, queries })
    }

    /// The depots that clients see: not those of stages.
    fn visible(&self) -> impl Iterator<Item = &Arc<DepotEntry>> {
        let declared = self.depots.iter().zip(&self.plan.depots);
        declared.filter(|(_, def)| def.inbox.is_none()).map(|(entry, _)| entry)
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
        let mut machines = self.machines.lock();
        let (mut receipt, answers, effects) = machines[partition].submit(submission, time)?;
        let first = Position::from_bits(receipt.first_position).number();
        let event_of = |cause: Position| (cause.number() - first) as u32;
        let mut queue = Queue::default();
        queue.extend(&effects, event_of);
        let said_later = queue.run(&self.plan, &mut machines, time).map_err(|kind| (kind, None))?;
        // Who waits for less is told less, as in a grid.
        if ack == Ack::Processed {
            answers.into_iter().for_each(|said| complete(&self.plan, &mut receipt, said));
            said_later.enter(&self.plan, &mut receipt);
        }
        Ok(receipt)
    }
}

/// Why a submission was not applied, with its events where these are not lost.
type Refused = (AppendErrorKind, Option<AnyEvents>);

/// A record that was sent, with the number of the event that led to it.
struct Sent {
    emit: Emit,
    bytes: Vec<u8>,
    event: u32,
}

/// Records that were sent and are not handled yet.
#[derive(Default)]
struct Queue {
    sent: VecDeque<Sent>,
    /// How many there have been.
    steps: usize,
}

impl Queue {
    fn extend(&mut self, effects: &Effects, event_of: impl Fn(Position) -> u32) {
        self.sent.extend(effects.iter().map(|(emit, bytes)| {
            let (emit, bytes, event) = (*emit, bytes.to_vec(), event_of(emit.cause));
            Sent { emit, bytes, event }
        }));
    }

    /// Handles all of them, and what they lead to, in the order in which they were sent.
    fn run(
        mut self,
        plan: &Plan,
        machines: &mut [Machine],
        time: i64,
    ) -> Result<LaterAnswers, AppendErrorKind> {
        let mut said = LaterAnswers::default();
        while let Some(Sent { emit, bytes, event }) = self.sent.pop_front() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                let reason = format!(
                    "the append led to more than {STEPS_MAX} records in stages: a stage that sends to itself has to \
                     come to an end"
                );
                return Err(AppendErrorKind::Unknown { reason });
            }
            let machine = &mut machines[emit.target as usize];
            let (answers, effects) = machine.receive(plan, &emit, &bytes, time)?;
            self.extend(&effects, |_| event);
            let answers = answers.into_iter().flat_map(|said| later(plan, emit.depot, said));
            answers.for_each(|(_, answer)| said.add(event, answer));
        }
        Ok(said)
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
        let core = Core::new(Arc::clone(plan), numbers, cells, consumers.collect(), limits);
        let records = plan.depots.iter().map(|_| Vec::new()).collect();
        Ok(Self { core, end: Position::START, time: 0, records, stopped: None })
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
        let (answers, effects) =
            self.handle(depot, events, encoded, time).map_err(|kind| (kind, None))?;
        Ok((receipt, answers, effects))
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
        self.handle(emit.depot, events, encoded, time)
    }

    /// Keeps events as records of a depot and lets the topologies handle them.
    fn handle(
        &mut self,
        depot: usize,
        events: AnyEvents,
        encoded: EncodedEvents,
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
        let events = Events { depot, events, encoded, infos, only: None };
        let mut batch = Batch::new(vec![Item::Events(events)], self.end);
        let applied = self.core.apply(&mut batch).map_err(|stop| {
            self.stopped = Some(stop.to_string());
            AppendErrorKind::Unknown { reason: stop.to_string() }
        })?;
        Ok((applied.answers, applied.effects))
    }
}

impl Engine for LocalEngine {
    fn depot(&self, name: &str) -> Option<Arc<DepotEntry>> {
        self.visible().find(|entry| entry.name == name).cloned()
    }

    fn pstate(&self, name: &str) -> Option<Arc<PStateEntry>> {
        self.pstates.iter().find(|entry| entry.name == name).cloned()
    }

    fn depot_names(&self) -> Vec<String> {
        self.visible().map(|entry| entry.name.clone()).collect()
    }

    fn pstate_names(&self) -> Vec<String> {
        self.pstates.iter().map(|entry| entry.name.clone()).collect()
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
