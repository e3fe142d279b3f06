//! One life of a simulated process: a grid whose actors, threads and clients are lists of things that
//! could happen next.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gridmill_client::Client;
use gridmill_client::engine::Engine;
use gridmill_persistence::{LockGuard, SimStorage, Storage};

use crate::builder::{DataFolder, GridBuilder};
use crate::engine::{GridEngine, ModuleRun};
use crate::error::StartError;
use crate::identity::Root;
use crate::machine::open::Opened;
use crate::shell::host::{Host, Step};
use crate::shell::load::LastAnswer;
use crate::shell::load::Load;
use crate::shell::partition::calls::Clients;
use crate::shell::partition::shared::Shared;
use crate::shell::partition::{Msg, Partition};
use crate::shell::restarts::Restarts;
use crate::shell::slot::Slot;
use crate::shell::start::{Opening, StartStep, Starting, open_all};

use super::choices::{Choices, Chosen};
use super::host::{self, Jobs, SimHost};
use super::inspect::now;
use super::tasks::Tasks;
use super::watching::Observers;

/// One partition, running or about to be opened again.
struct SimPartition {
    slot: Slot,
    host: SimHost,
    actor: Option<Partition>,
    /// How its restarts go, while it does not run.
    restarts: Option<Restarts>,
}

/// A grid and its clients.
pub(super) struct SimGrid {
    pub(super) client: Client,
    pub(super) tasks: Tasks,
    pub(super) observers: Observers,
    places: Vec<SimPartition>,
    jobs: Jobs,
    calls: host::Calls,
    root: Root,
    storage: Arc<dyn Storage>,
    /// Held as long as the process lives.
    _lock: Box<dyn LockGuard>,
}

/// What could happen next, by the number of ways.
struct Enabled {
    messages: Vec<usize>,
    jobs: usize,
    tasks: usize,
    restarts: Vec<usize>,
}

impl Enabled {
    fn ways(&self) -> usize {
        self.messages.len() + self.jobs + self.tasks + self.restarts.len()
    }
}

impl SimGrid {
    /// Starts a grid on `storage`, partition after partition in an order that is chosen.
    pub(super) fn start(
        builder: &GridBuilder,
        storage: &SimStorage,
        choices: &mut Choices,
    ) -> Result<Self, StartError> {
        // Nothing of it runs on a runtime.
        let plans = builder.plans()?;
        let storage: Arc<dyn Storage> = Arc::new(storage.clone());
        let lock = builder.lock(&*storage)?;
        let root = Root::open(&storage)?;
        let (load, clients) = (Load::new(LastAnswer::new()), Clients::default());
        let folder = DataFolder { storage: &storage, root: &root };
        let mut slots = builder.slots(&plans, folder, &clients, |_| (0, load.clone()));
        slots.iter_mut().for_each(small_segments);
        let opened = now(open_all(&slots, &mut InOrder(choices)));
        let opened = opened.map_err(|what| StartError::Threads(io::Error::other(what)))??;
        let partitions = slots.len() / plans.len();
        let mut all = slots.into_iter().zip(opened);
        let (jobs, calls) = (Jobs::default(), host::Calls::default());
        let (mut modules, mut places) = (Vec::new(), Vec::<SimPartition>::new());
        for plan in plans {
            let mine: Vec<_> = all.by_ref().take(partitions).collect();
            modules.push(ModuleRun::new(plan, mine.iter().map(|(slot, opened)| (slot, opened))));
            for (slot, opened) in mine {
                let mut place = SimPartition::new(slot, SimHost::new(places.len(), &jobs, &calls));
                place.begin(opened).map_err(|message| place.failed(message))?;
                places.push(place);
            }
        }
        let engine: Arc<dyn Engine> = Arc::new(GridEngine::new(modules, EVENT_BYTES_MAX));
        clients.come_from(Arc::downgrade(&engine));
        places.iter().for_each(|place| place.slot.shared.send(Msg::Wake));
        let client = Client::new(engine);
        Ok(Self {
            client,
            tasks: Tasks::default(),
            observers: Observers::default(),
            places,
            jobs,
            calls,
            root,
            storage,
            _lock: lock,
        })
    }

    /// The process notes how far its logs go, before it ends.
    pub(super) fn save_root(&self) -> Result<(), String> {
        self.root.save(&*self.storage).map_err(|error| error.to_string())
    }

    pub(super) fn shared(&self) -> Vec<Arc<Shared>> {
        self.places.iter().map(|place| Arc::clone(&place.slot.shared)).collect()
    }

    fn enabled(&self) -> Enabled {
        let (mut messages, mut restarts) = (Vec::new(), Vec::new());
        for (number, place) in self.places.iter().enumerate() {
            if place.actor.is_some() && place.host.has_messages() {
                messages.push(number);
            }
            if place.restarts.is_some() {
                restarts.push(number);
            }
        }
        Enabled { messages, jobs: self.jobs.lock().len(), tasks: self.tasks.ready(), restarts }
    }

    /// Lets one of the things happen that could; false where there is none.
    pub(super) fn turn(&mut self, choices: &mut Choices) -> bool {
        let begun = std::mem::take(&mut *self.calls.lock());
        begun.into_iter().for_each(|call| self.tasks.spawn(call));
        let enabled = self.enabled();
        if enabled.ways() == 0 {
            return false;
        }
        let mut way = choices.below(enabled.ways());
        if let Some(&partition) = enabled.messages.get(way) {
            self.handle(partition, choices);
            return true;
        }
        way -= enabled.messages.len();
        if way < enabled.jobs {
            self.go_on(way, choices);
            return true;
        }
        way -= enabled.jobs;
        if way < enabled.tasks {
            choices.note(Chosen::Task(self.tasks.at(way)));
            self.tasks.poll(way);
            return true;
        }
        let partition = enabled.restarts[way - enabled.tasks];
        choices.note(Chosen::Restart(partition));
        self.places[partition].restart(&self.jobs, &self.calls, partition);
        true
    }

    fn handle(&mut self, partition: usize, choices: &mut Choices) {
        let place = &mut self.places[partition];
        let (Some(actor), Some(message)) = (&mut place.actor, place.host.next()) else { return };
        choices.note(Chosen::Message(partition, host::named(&message)));
        match actor.handle(message) {
            Err(fatal) => place.die(fatal.to_string()),
            Ok(()) if actor.may_stop() => place.stop(),
            Ok(()) => {}
        }
    }

    fn go_on(&self, job: usize, choices: &mut Choices) {
        let mut job = self.jobs.lock().swap_remove(job);
        choices.note(Chosen::Job(job.partition, host::of(job.work)));
        if job.job.step() == Step::Again {
            self.jobs.lock().push(job);
        }
    }

    /// Ends the actor of one partition, as a fault in it does.
    pub(super) fn kill(&mut self, partition: usize) {
        self.places[partition].die("it was killed".to_owned());
    }

    /// Time passes on every partition.
    pub(super) fn pass(&self, time: Duration) {
        self.places.iter().for_each(|place| place.host.pass(time));
    }

    /// Whether the outside is still to answer.
    pub(super) fn has_calls(&self) -> bool {
        let open = |place: &SimPartition| place.slot.shared.counters.calls.load(Relaxed);
        self.places.iter().any(|place| open(place) > 0)
    }

    /// Whether a partition was given up: it takes no part any more.
    pub(super) fn has_given_up(&self) -> bool {
        self.places.iter().any(|place| place.slot.shared.mailbox.is_closed())
    }
}

impl Drop for SimGrid {
    fn drop(&mut self) {
        // They hold hosts, which hold the list.
        let jobs = std::mem::take(&mut *self.jobs.lock());
        drop(jobs);
    }
}

/// The largest event of a simulated grid.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Small enough that a life of some hundred events comes to others.
fn small_segments(slot: &mut Slot) {
    slot.open.log.segment_bytes_min = 2 << 10;
    slot.open.log.segment_bytes_max = 8 << 10;
}

/// Opens one partition after the other, in an order that is chosen for each step.
struct InOrder<'a>(&'a mut Choices);

impl Opening for InOrder<'_> {
    fn each<'a, I: Send + 'static, O: Send + 'static>(
        &'a mut self,
        slots: &'a [Slot],
        inputs: Vec<I>,
        step: StartStep<I, O>,
    ) -> Starting<'a, Result<Vec<O>, StartError>> {
        let mut inputs: Vec<Option<I>> = inputs.into_iter().map(Some).collect();
        let mut outputs: Vec<Option<O>> = inputs.iter().map(|_| None).collect();
        let mut failed = None;
        for number in order(slots.len(), self.0) {
            let Some(input) = inputs[number].take() else { continue };
            match step(&slots[number].open, input) {
                Ok(output) => outputs[number] = Some(output),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let done = failed.map_or_else(|| Ok(outputs.into_iter().flatten().collect()), Err);
        Box::pin(std::future::ready(done))
    }

    fn block<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Starting<'_, io::Result<T>> {
        Box::pin(std::future::ready(Ok(work())))
    }
}

fn order(count: usize, choices: &mut Choices) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, choices.below(last + 1));
    }
    order
}

impl SimPartition {
    fn new(slot: Slot, host: SimHost) -> Self {
        Self { slot, host, actor: None, restarts: None }
    }

    fn failed(&self, message: String) -> StartError {
        let (module, partition) = (self.slot.shared.module.to_owned(), self.slot.shared.partition);
        StartError::Partition { module, partition, message }
    }

    fn begin(&mut self, opened: Opened) -> Result<(), String> {
        self.slot.note_opened(&opened);
        let (shared, options) = (Arc::clone(&self.slot.shared), self.slot.options.clone());
        let host: Arc<dyn Host> = Arc::new(self.host.clone());
        let actor = Partition::begin(shared, options, opened, Arc::clone(&host));
        self.actor = Some(actor.map_err(|fatal| fatal.to_string())?);
        self.slot.shared.attach(host);
        Ok(())
    }

    fn die(&mut self, reason: String) {
        if self.actor.take().is_some() {
            self.slot.shared.detach(reason);
            self.restarts = Some(Restarts::default());
        }
    }

    fn stop(&mut self) {
        if let Some(actor) = self.actor.take() {
            actor.stop_cleanly();
            self.slot.shared.detach("the grid has shut down".to_owned());
        }
    }

    /// Opens the partition again, as its supervisor does.
    fn restart(&mut self, jobs: &Jobs, calls: &host::Calls, number: usize) {
        let Some(mut restarts) = self.restarts.take() else { return };
        // Messages to the life that ended are lost.
        self.host = SimHost::new(number, jobs, calls);
        let (is_final, reason) = match self.slot.open_again() {
            Ok(opened) => match self.begin(opened) {
                Ok(()) => return,
                Err(reason) => (false, reason),
            },
            Err(error) => (error.is_final(), error.to_string()),
        };
        if restarts.go_on(is_final) {
            self.slot.shared.detach(reason);
            self.restarts = Some(restarts);
        } else {
            self.slot.give_up(&reason);
        }
    }
}
