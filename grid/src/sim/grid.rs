//! One life of a simulated process: a grid whose actors, threads and clients are lists of things that
//! could happen next.

use std::sync::Arc;

use gridmill_client::Client;
use gridmill_persistence::{LockGuard, SimStorage};

use crate::builder::GridBuilder;
use crate::engine::GridEngine;
use crate::error::StartError;
use crate::shell::actor::Partition;
use crate::shell::restarts::Restarts;
use crate::shell::shared::Shared;
use crate::shell::slot::Slot;

use super::choices::{Choices, Chosen};
use super::host::{self, Jobs, SimHost};
use super::tasks::Tasks;

/// One partition, running or about to be opened again.
struct Place {
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
    places: Vec<Place>,
    jobs: Jobs,
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
        builder: GridBuilder,
        storage: &SimStorage,
        choices: &mut Choices,
    ) -> Result<Self, StartError> {
        let parts = builder.storage(Arc::new(storage.clone())).parts()?;
        let jobs = Jobs::default();
        let opened = parts.open(|count| order(count, choices))?;
        let (engine, lock, opened) = opened.into_engine();
        let mut places = Vec::new();
        for (number, (slot, opened)) in opened.into_iter().enumerate() {
            let host = SimHost::new(number, &jobs);
            let mut place = Place { slot, host, actor: None, restarts: None };
            place.begin(opened);
            places.push(place);
        }
        let client = Client::new(Arc::new(engine) as _);
        Ok(Self { client, tasks: Tasks::default(), places, jobs, _lock: lock })
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
        self.places[partition].restart(&self.jobs, partition);
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
        if job.job.step() == crate::shell::host::Step::Again {
            self.jobs.lock().push(job);
        }
    }

    /// Ends the actor of one partition, as a fault in it does.
    pub(super) fn kill(&mut self, partition: usize) {
        self.places[partition].die("it was killed".to_owned());
    }

    /// An interval has passed on every partition.
    pub(super) fn tick(&self) {
        self.places.iter().for_each(|place| place.host.tick());
    }

    /// Whether a partition was given up: it takes no part any more.
    pub(super) fn has_given_up(&self) -> bool {
        self.places.iter().any(|place| place.slot.shared.is_given_up())
    }
}

fn order(count: usize, choices: &mut Choices) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, choices.below(last + 1));
    }
    order
}

impl Place {
    fn begin(&mut self, opened: Opened) -> bool {
        let (shared, options) = (Arc::clone(&self.slot.shared), self.slot.options.clone());
        let host: Arc<dyn Host> = Arc::new(self.host.clone());
        match Partition::begin(shared, options, opened, Arc::clone(&host)) {
            Ok(actor) => {
                self.actor = Some(actor);
                self.slot.shared.attach(host);
                true
            }
            Err(fatal) => {
                self.slot.shared.detach(fatal.to_string());
                false
            }
        }
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
    fn restart(&mut self, jobs: &Jobs, number: usize) {
        let Some(mut restarts) = self.restarts.take() else { return };
        // Messages to the life that ended are lost.
        self.host = SimHost::new(number, jobs);
        let (damage, reason) = match self.slot.open_again() {
            Ok(opened) => match self.begin(opened) {
                true => return,
                false => (false, "it could not begin".to_owned()),
            },
            Err(error) => (error.is_damage(), error.to_string()),
        };
        self.slot.shared.detach(reason.clone());
        if restarts.failed(damage) {
            self.restarts = Some(restarts);
        } else {
            self.slot.shared.end(&reason);
        }
    }
}
