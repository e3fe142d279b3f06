//! The in-process engine behind a client: names, mailboxes, published views, depot reads.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gridmill_client::engine::{
    AnyRoot, DepotEntry, DepotRange, Engine, Held, JsonEvent, PStateEntry, PartEntry, Pool,
    QueryEntry, Single, StoredEvent, Submission, Timer, WatchGuard, WatchOrder,
};
use gridmill_client::{AppendErrorKind, DepotError, Gate, ReadError, WatchError};
use gridmill_persistence::{LogError, LogReader};

use crate::ask::held::{HeldView, HeldViews};
use crate::ask::pool::QueryPool;
use crate::machine::open::Opened;
use crate::machine::registry::Registry;
use crate::module::{PartPlan, Plan, QueryDef, Topology};
use crate::shell::partition::past::Progress;
use crate::shell::partition::shared::Shared;
use crate::shell::partition::watching::Evaluators;
use crate::shell::slot::Slot;
use crate::topology::PStateDef;

/// One module at work.
#[derive(Debug)]
pub(crate) struct ModuleRun {
    pub(crate) plan: Arc<Plan>,
    pub(crate) partitions: Vec<Arc<Shared>>,
    /// By partition: record numbers of depots and variants; they depend on the folder's history.
    pub(crate) registries: Vec<Arc<Registry>>,
}

impl ModuleRun {
    /// A module with these partitions, in their order.
    pub(crate) fn new<'a>(
        plan: Arc<Plan>,
        opened: impl Iterator<Item = (&'a Slot, &'a Opened)>,
    ) -> Self {
        let of = |(slot, opened): (&Slot, &Opened)| {
            (Arc::clone(&slot.shared), Arc::clone(&opened.registry))
        };
        let (partitions, registries) = opened.map(of).unzip();
        Self { plan, partitions, registries }
    }

    /// Whether handlers of the module send records.
    pub(crate) fn sends(&self) -> bool {
        self.plan.topologies.iter().any(Topology::sends)
    }

    /// Waits until nothing is under way on any partition, or between them.
    pub(crate) async fn at_rest(&self) {
        let sends = self.sends();
        loop {
            let before = self.arrivals();
            for shared in &self.partitions {
                shared.done().await;
            }
            // What one partition sent to another came after that one was looked at.
            if !sends || self.arrivals() == before {
                return;
            }
        }
    }

    fn arrivals(&self) -> u64 {
        self.partitions.iter().map(|shared| shared.mailbox.arrivals()).sum()
    }
}

/// Where a depot or PState is declared.
#[derive(Clone, Copy, Debug)]
struct Address {
    module: usize,
    number: usize,
}

/// A PState, and where its views are: one look-up leads a reader to them.
#[derive(Debug)]
struct Views {
    entry: Arc<PStateEntry>,
    address: Address,
    topology: usize,
    partitions: Vec<Arc<Shared>>,
}

/// All modules of a grid.
#[derive(Debug)]
pub(crate) struct GridEngine {
    pub(crate) started: Instant,
    pub(crate) modules: Vec<ModuleRun>,
    depots: Vec<(Arc<DepotEntry>, Address)>,
    pstates: Vec<Views>,
    depots_by_name: HashMap<String, usize>,
    pstates_by_name: HashMap<String, usize>,
    queries: HashMap<String, Arc<QueryEntry>>,
    parts: HashMap<String, Arc<PartEntry>>,
    /// Threads for queries. In a simulation there are none.
    pub(crate) pool: Option<QueryPool>,
    /// Views that readers hold for more than one read.
    pub(crate) held: Arc<HeldViews>,
    /// How many bytes may be kept for them.
    pub(crate) pinned_bytes_max: usize,
}

impl GridEngine {
    pub(crate) fn new(modules: Vec<ModuleRun>, event_bytes_max: usize) -> Self {
        let mut engine = Self {
            started: Instant::now(),
            modules,
            depots: Vec::new(),
            pstates: Vec::new(),
            depots_by_name: HashMap::new(),
            pstates_by_name: HashMap::new(),
            queries: HashMap::new(),
            parts: HashMap::new(),
            pool: None,
            held: Arc::default(),
            pinned_bytes_max: usize::MAX,
        };
        for module in 0..engine.modules.len() {
            engine.enter_depots(module, event_bytes_max);
            let first = engine.pstates.len();
            engine.enter_pstates(module);
            let run = &engine.modules[module];
            let entries = QueryEntries::of(&run.plan, module, first, run.partitions.len() as u32);
            engine.queries.extend(entries.queries);
            engine.parts.extend(entries.parts);
        }
        engine
    }

    /// The same with threads for queries, for which so many bytes may be kept.
    pub(crate) fn with_queries(self, pool: QueryPool, pinned_bytes_max: usize) -> Self {
        Self { pool: Some(pool), pinned_bytes_max, ..self }
    }

    fn enter_depots(&mut self, module: usize, event_bytes_max: usize) {
        let run = &self.modules[module];
        let gates: Vec<Gate> = run.partitions.iter().map(|shared| shared.gate.clone()).collect();
        for (number, depot) in run.plan.depots.iter().enumerate() {
            let id = self.depots.len();
            let entry = depot_entry(&run.plan, number, id, &gates, event_bytes_max);
            if depot.inbox.is_none() {
                self.depots_by_name.insert(depot.name.to_owned(), id);
            }
            self.depots.push((entry, Address { module, number }));
        }
    }

    fn enter_pstates(&mut self, module: usize) {
        let run = &self.modules[module];
        for (number, pstate) in run.plan.pstates.iter().enumerate() {
            let id = self.pstates.len();
            let entry = pstate_entry(pstate, id, module, run.partitions.len() as u32);
            if !pstate.hidden {
                self.pstates_by_name.insert(pstate.name.to_owned(), id);
            }
            self.pstates.push(Views {
                entry,
                address: Address { module, number },
                topology: pstate.topology,
                partitions: run.partitions.clone(),
            });
        }
    }

    fn no_partition(&self, pstate: usize, got: u32) -> ReadError {
        let entry = &self.pstates[pstate].entry;
        ReadError::BadPartition { name: entry.name.clone(), expected: entry.partitions, got }
    }

    fn depot_partition(
        &self,
        depot: usize,
        partition: u32,
    ) -> Result<(&ModuleRun, usize, Arc<LogReader>), DepotError> {
        let (entry, address) = &self.depots[depot];
        let module = &self.modules[address.module];
        let bad = || DepotError::BadPartition {
            depot: entry.name.clone(),
            expected: entry.partitions,
            got: partition,
        };
        if partition >= entry.partitions {
            return Err(bad());
        }
        let shared = module.partitions.get(partition as usize).ok_or_else(bad)?;
        let reader = shared.published.reader().ok_or_else(|| DepotError::Unreadable {
            partition,
            reason: "it has not started".to_owned(),
        })?;
        Ok((module, address.number, reader))
    }
}

/// The partition has never had a view.
fn not_running(shared: &Shared) -> ReadError {
    let reason = shared.life.stopped();
    let reason = reason.unwrap_or_else(|| "it is starting".to_owned());
    ReadError::Stopped { partition: shared.partition, reason }
}

fn unreadable(partition: u32, error: LogError) -> DepotError {
    match error {
        LogError::Damaged { .. } => DepotError::Damaged(crate::folder::damage_of(error)),
        other => DepotError::Unreadable { partition, reason: other.to_string() },
    }
}

impl Engine for GridEngine {
    fn depot(&self, name: &str) -> Option<Arc<DepotEntry>> {
        self.depots_by_name.get(name).map(|&id| Arc::clone(&self.depots[id].0))
    }

    fn pstate(&self, name: &str) -> Option<Arc<PStateEntry>> {
        self.pstates_by_name.get(name).map(|&id| Arc::clone(&self.pstates[id].entry))
    }

    fn depot_names(&self) -> Vec<String> {
        let visible = |(_, address): &&(Arc<DepotEntry>, Address)| {
            self.modules[address.module].plan.depots[address.number].inbox.is_none()
        };
        self.depots.iter().filter(visible).map(|(entry, _)| entry.name.clone()).collect()
    }

    fn pstate_names(&self) -> Vec<String> {
        let known = |views: &&Views| self.pstates_by_name.contains_key(&views.entry.name);
        self.pstates.iter().filter(known).map(|views| views.entry.name.clone()).collect()
    }

    fn submit(&self, mut submission: Submission) {
        let (_, address) = &self.depots[submission.depot];
        submission.depot = address.number;
        let partition = submission.partition as usize;
        self.modules[address.module].partitions[partition].submit(submission.into());
    }

    fn submit_one(&self, mut single: Single<'_>) {
        let (_, address) = &self.depots[single.depot];
        single.depot = address.number;
        let partition = single.partition as usize;
        self.modules[address.module].partitions[partition].submit_one(single);
    }

    fn view(
        &self,
        pstate: usize,
        partition: u32,
        partial: bool,
        read: &mut dyn FnMut(&dyn Any),
    ) -> Result<(), ReadError> {
        let Views { entry, address, topology, partitions } = &self.pstates[pstate];
        let shared = partitions.get(partition as usize);
        let shared = shared.ok_or_else(|| self.no_partition(pstate, partition))?;
        let view = shared.published.view();
        let Some(root) = view.roots.get(address.number) else { return Err(not_running(shared)) };
        if view.live[*topology] {
            read(&**root);
            return Ok(());
        }
        let past = shared.past.root_of(address.number);
        match past.filter(|_| partial) {
            Some(root) => read(&*root),
            None if partial => read(&**root),
            None => return Err(catching_up(&entry.name, shared, *topology)),
        }
        Ok(())
    }

    fn hold(&self, pstate: usize, partition: u32) -> Result<Held, ReadError> {
        let Views { address, partitions, .. } = &self.pstates[pstate];
        let shared = partitions.get(partition as usize);
        let shared = shared.ok_or_else(|| self.no_partition(pstate, partition))?;
        let view = shared.published.view_full();
        if view.roots.is_empty() {
            return Err(not_running(shared));
        }
        let end = view.end.to_bits();
        Ok(Held { state: self.held.hold(address.module, shared, view), end })
    }

    fn held_root(&self, held: &Held, pstate: usize, partial: bool) -> Result<AnyRoot, ReadError> {
        let Views { entry, address, topology, .. } = &self.pstates[pstate];
        let Some(held) = held.state.downcast_ref::<HeldView>() else {
            unreachable!("what is held was held by this engine");
        };
        let view = held.view()?;
        let root = view.roots.get(address.number).filter(|_| held.module == address.module);
        let Some(root) = root else { return Err(not_running(&held.shared)) };
        if view.is_live(*topology) {
            return Ok(Arc::clone(root));
        }
        if !partial {
            return Err(catching_up(&entry.name, &held.shared, *topology));
        }
        Ok(held.shared.past.root_of(address.number).unwrap_or_else(|| Arc::clone(root)))
    }

    fn check_held(&self, held: &Held) -> Result<(), ReadError> {
        held.state.downcast_ref::<HeldView>().map_or(Ok(()), HeldView::check)
    }

    fn query(&self, name: &str) -> Option<Arc<QueryEntry>> {
        self.queries.get(name).cloned()
    }

    fn part(&self, name: &str) -> Option<Arc<PartEntry>> {
        self.parts.get(name).cloned()
    }

    fn query_names(&self) -> Vec<String> {
        sorted(self.queries.keys())
    }

    fn part_names(&self) -> Vec<String> {
        sorted(self.parts.keys())
    }

    fn pool(&self) -> Option<&dyn Pool> {
        self.pool.as_ref().map(|pool| pool as &dyn Pool)
    }

    fn watch(&self, order: WatchOrder) -> Result<WatchGuard, WatchError> {
        let Views { entry, address, topology, partitions } = &self.pstates[order.pstate];
        let shared = partitions.get(order.partition as usize);
        let shared = shared.ok_or_else(|| self.no_partition(order.pstate, order.partition))?;
        let view = shared.published.view();
        if view.roots.is_empty() {
            return Err(not_running(shared).into());
        }
        if !order.partial && !view.is_live(*topology) {
            return Err(catching_up(&entry.name, shared, *topology).into());
        }
        drop(view);
        shared.watch(order, (address.number, *topology))
    }

    fn depot_range(&self, depot: usize, partition: u32) -> Result<DepotRange, DepotError> {
        let (module, number, reader) = self.depot_partition(depot, partition)?;
        let source = module.registries[partition as usize].source(number);
        let bounds = reader.depot_bounds(source);
        let (start, end) = bounds.map_err(|error| unreadable(partition, error))?;
        Ok(DepotRange { start, end })
    }

    fn depot_read(
        &self,
        depot: usize,
        partition: u32,
        from: u64,
        to: u64,
    ) -> Result<Vec<StoredEvent>, DepotError> {
        let DepotRange { start, end } = self.depot_range(depot, partition)?;
        if from < start || to > end || from > to {
            let depot = self.depots[depot].0.name.clone();
            return Err(DepotError::OutOfRange { depot, partition, start, end, from, to });
        }
        let (module, number, reader) = self.depot_partition(depot, partition)?;
        let registry = &module.registries[partition as usize];
        let scan = reader.depot_range(registry.source(number), from, to);
        let mut scan = scan.map_err(|error| unreadable(partition, error))?;
        let mut events = Vec::new();
        while let Some(record) = scan.next().map_err(|error| unreadable(partition, error))? {
            let variant = registry.event(record.type_id).map_or(0, |(_, variant)| variant);
            events.push(StoredEvent {
                offset: record.depot_offset,
                position: record.position.to_bits(),
                time: record.time,
                variant,
                bytes: record.payload.to_vec(),
            });
        }
        Ok(events)
    }

    fn decode_json(&self, depot: usize, json: &str) -> Result<JsonEvent, AppendErrorKind> {
        let (entry, address) = &self.depots[depot];
        self.modules[address.module].plan.depots[address.number].codec.decode_json(entry, json)
    }

    fn select_json(
        &self,
        pstate: usize,
        path: &str,
        going: &dyn Fn() -> bool,
    ) -> Result<String, ReadError> {
        let Views { entry, address, .. } = &self.pstates[pstate];
        select_json(self, entry, (&self.modules[address.module].plan, address.number), path, going)
    }
}

/// The threads of queries, for what is watched: as long as there is a grid.
#[derive(Debug)]
struct OfQueries(Weak<GridEngine>);

impl Evaluators for OfQueries {
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        let Some(engine) = self.0.upgrade() else { return false };
        engine.pool.as_ref().map(|pool| pool.run(job)).is_some()
    }

    fn after(&self, wait: Duration, wake: Box<dyn FnOnce() + Send>) -> Option<Timer> {
        let engine = self.0.upgrade()?;
        engine.pool.as_ref().map(|pool| pool.after(wait, wake))
    }
}

impl GridEngine {
    /// Has what is watched evaluated on the threads of queries.
    pub(crate) fn evaluates(self: &Arc<Self>) {
        let partitions = self.modules.iter().flat_map(|module| &module.partitions);
        for shared in partitions {
            shared.watching.evaluated_by(Box::new(OfQueries(Arc::downgrade(self))));
        }
    }
}

/// What clients know of depot `number` of a plan, where the module's partitions have these gates.
pub(crate) fn depot_entry(
    plan: &Plan,
    number: usize,
    id: usize,
    gates: &[Gate],
    event_bytes_max: usize,
) -> Arc<DepotEntry> {
    let def = &plan.depots[number];
    let partitions = if def.global { 1 } else { gates.len() };
    let readers = plan.topologies.iter().filter(|topology| topology.source(number).is_some());
    Arc::new(DepotEntry {
        id,
        name: def.name.to_owned(),
        event: def.event,
        event_name: def.event_name,
        partitions: partitions as u32,
        topologies: readers.map(|topology| topology.name.to_owned()).collect(),
        event_bytes_max,
        gates: gates[..partitions].to_vec(),
    })
}

/// What clients know of a PState of a module with that many partitions.
pub(crate) fn pstate_entry(
    def: &PStateDef,
    id: usize,
    module: usize,
    partitions: u32,
) -> Arc<PStateEntry> {
    Arc::new(PStateEntry {
        id,
        name: def.name.to_owned(),
        root: def.root,
        schema: def.schema.clone(),
        partitions: if def.global { 1 } else { partitions },
        module,
        module_partitions: partitions,
        private: def.private,
    })
}

/// The queries of a module, and their parts, by their names.
pub(crate) struct QueryEntries {
    pub(crate) queries: HashMap<String, Arc<QueryEntry>>,
    pub(crate) parts: HashMap<String, Arc<PartEntry>>,
}

impl QueryEntries {
    /// Those of the module of that number, whose PStates have numbers from `first` on.
    pub(crate) fn of(plan: &Plan, module: usize, first: usize, partitions: u32) -> Self {
        let query = |def: &QueryDef| {
            let (name, run) = (def.name.to_owned(), Arc::clone(&def.run));
            let entry = QueryEntry { name: name.clone(), module, types: def.types, run };
            (name, Arc::new(entry))
        };
        let part = |part: &PartPlan| {
            let global = |pstate: usize| plan.pstates[pstate].global;
            // What is on partition 0 alone is read there alone.
            let is_global = !part.at.is_empty() && part.at.iter().all(|&pstate| global(pstate));
            let states = part.at.iter().map(|&pstate| (first + pstate, global(pstate)));
            let entry = PartEntry {
                name: part.name.to_owned(),
                module,
                partitions: if is_global { 1 } else { partitions },
                states: states.collect(),
                types: part.types,
                run: Arc::clone(&part.run),
            };
            (part.name.to_owned(), Arc::new(entry))
        };
        Self {
            queries: plan.queries.iter().map(query).collect(),
            parts: plan.parts.iter().map(part).collect(),
        }
    }
}

/// Names for a message.
pub(crate) fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<_> = names.cloned().collect();
    names.sort_unstable();
    names
}

/// Selects with a path given as JSON, in whatever view the engine lends.
pub(crate) fn select_json(
    engine: &impl Engine,
    entry: &PStateEntry,
    (plan, number): (&Plan, usize),
    path: &str,
    going: &dyn Fn() -> bool,
) -> Result<String, ReadError> {
    let codec = &plan.pstates[number].codec;
    let (json, partition) = codec.parse_json(path, entry.partitions, &plan.navigators)?;
    let partition = match partition {
        _ if entry.partitions == 1 => 0,
        Some(partition) => partition,
        None => {
            return Err(ReadError::NoPartition {
                pstate: entry.name.clone(),
                path: path.to_owned(),
                partitions: entry.partitions,
            });
        }
    };
    let mut found = Ok(String::new());
    engine.view(entry.id, partition, false, &mut |view| {
        found = codec.select_json(view, &json, going).map_err(ReadError::from);
    })?;
    found
}

fn catching_up(pstate: &str, shared: &Shared, topology: usize) -> ReadError {
    if let Some(problem) = shared.past.problem_of(topology) {
        let reason = format!("the topology of `{pstate}` stopped catching up: {problem}");
        return ReadError::Stopped { partition: shared.partition, reason };
    }
    let Progress { done, total } = shared.progress_of(topology);
    ReadError::CatchingUp { pstate: pstate.to_owned(), done, total }
}
