//! From options to a running grid.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gridmill_client::engine::once;
use gridmill_persistence::run::VALUE_BYTES_MAX;
use gridmill_persistence::{FileStorage, LockGuard, LogOptions, Position, Storage};
use ractor::{Actor, ActorCell};
use tokio::runtime::Handle;

use crate::ask::pool::QueryPool;
use crate::engine::{GridEngine, ModuleRun};
use crate::error::StartError;
use crate::grid::Grid;
use crate::identity::Root;
use crate::machine::budget::{Budget, Budgets};
use crate::machine::core::Limits;
use crate::machine::flow::confirmed::Confirmed;
use crate::machine::once::OnceLimits;
use crate::machine::open::{OpenOptions, Opened, partition_dir};
use crate::module::{Plan, refuse_common_names};
use crate::shell::held::{self, Held};
use crate::shell::load::Load;
use crate::shell::partition::calls::Clients;
use crate::shell::partition::peers::Peers;
use crate::shell::partition::shared::Shared;
use crate::shell::partition::{ActorOptions, Durability};
use crate::shell::slot::Slot;
use crate::shell::start::open_all;
use crate::shell::threads::opening::OnThreads;
use crate::shell::threads::supervisor::{Seat, Seats, Supervisor, run};
use crate::shell::threads::worker::Workers;
use crate::topology::SendLimits;

use super::{GridBuilder, LOCK_FILE, PARTITIONS_MAX};

/// The largest batch of the log: what one call may bring, with headers, and a mailbox on top.
const LOG_BATCH_BYTES_MAX: u32 = 256 << 20;

/// Into how many parts the changes' budget is cut for what one step of a batch may touch, with a part for
/// each thread, which makes one step at a time.
const STEPS: usize = 4;

/// What part of the changes' budget may be kept for readers of the past.
const PINNED: usize = 4;

/// How long a start waits for a grid of this process that was dropped.
const LEAVING_MAX: Duration = Duration::from_secs(10);

/// Where the files of a grid are.
#[derive(Clone, Copy)]
pub(crate) struct DataFolder<'a> {
    pub(crate) storage: &'a Arc<dyn Storage>,
    pub(crate) root: &'a Root,
}

impl GridBuilder {
    /// Opens the folder, recovers what it holds and starts all partitions. Where a grid of this process
    /// was dropped that has not let go of the folder yet, waits for that, up to ten seconds.
    ///
    /// # Errors
    /// [`StartError`] says what does not fit and what to do. Nothing runs then, and the folder is as
    /// it was.
    pub async fn start(self) -> Result<Grid, StartError> {
        let plans = self.checked()?;
        let storage = self.open_storage()?;
        let folder = self.hold(&*storage).await?;
        let root = Root::open(&storage)?;
        let workers = Workers::start(self.threads, folder).map_err(StartError::Threads)?;
        let workers = Arc::new(workers);
        let folder = DataFolder { storage: &storage, root: &root };
        let clients = Clients::default();
        let modules = self.start_modules(plans, folder, &workers, &clients).await;
        if modules.is_err() {
            // The folder is free again when the error is known.
            workers.stop().await;
        }
        let pool = QueryPool::new(self.query_threads, workers.of(0).clone());
        let engine = GridEngine::new(modules?, self.event_bytes_max);
        let engine = engine.with_queries(pool, self.overlay_bytes_max / PINNED);
        let grid = Grid::new(engine, workers, storage, root, self.drain);
        clients.come_from(grid.weak_engine());
        grid.wake();
        Ok(grid)
    }

    async fn start_modules(
        &self,
        plans: Vec<Arc<Plan>>,
        folder: DataFolder<'_>,
        workers: &Workers,
        clients: &Clients,
    ) -> Result<Vec<ModuleRun>, StartError> {
        let seats: Seats = Arc::default();
        let supervisor = Supervisor { seats: Arc::clone(&seats) };
        let spawn = workers.of(0).spawn(Actor::spawn(None, supervisor, ()));
        let threads = |message: String| StartError::Threads(std::io::Error::other(message));
        let spawned = spawn.await.map_err(|error| threads(error.to_string()))?;
        let (supervisor, _) = spawned.map_err(|error| threads(error.to_string()))?;
        let place = |number| (workers.number_of(number), workers.load_of(number));
        let slots = self.slots(&plans, folder, clients, place);
        let seat = |(number, slot): (usize, &Slot)| Seat {
            slot: slot.clone(),
            worker: workers.of(number).clone(),
        };
        let all: Vec<Seat> = slots.iter().enumerate().map(seat).collect();
        let mut opened = open_all(&slots, &mut OnThreads(&all)).await?.into_iter();
        let mut all = all.into_iter();
        let mut modules = Vec::new();
        for plan in plans {
            let partitions = self.partitions as usize;
            let mine = all.by_ref().take(partitions).zip(opened.by_ref()).collect();
            modules.push(run_module(plan, mine, &seats, supervisor.get_cell()).await?);
        }
        Ok(modules)
    }

    /// The modules' plans, where every option is one that a grid can run with.
    pub(crate) fn checked(&self) -> Result<Vec<Arc<Plan>>, StartError> {
        self.check_options()?;
        let plans = self.plans()?;
        if let Some(plan) = plans.iter().find(|plan| plan.has_calls())
            && self.runtime().is_none()
        {
            return Err(StartError::Option {
                option: "calls_on",
                got: format!("no tokio runtime, and module `{}` calls async functions", plan.name),
                expected: "a runtime: start the grid on one, or hand one over".to_owned(),
            });
        }
        Ok(plans)
    }

    /// Where calls to the outside run.
    fn runtime(&self) -> Option<Handle> {
        self.calls_on.clone().or_else(|| Handle::try_current().ok())
    }

    fn check_options(&self) -> Result<(), StartError> {
        let check = |option, ok, got: String, expected: &str| {
            let expected = expected.to_owned();
            if ok { Ok(()) } else { Err(StartError::Option { option, got, expected }) }
        };
        let partitions = self.partitions;
        let in_range = (1..=PARTITIONS_MAX).contains(&partitions);
        check("partitions", in_range, partitions.to_string(), "1 to 4096")?;
        check(
            "threads",
            (1..=1024).contains(&self.threads),
            self.threads.to_string(),
            "1 to 1024",
        )?;
        let threads = self.query_threads;
        check("query_threads", (1..=1024).contains(&threads), threads.to_string(), "1 to 1024")?;
        let event = self.event_bytes_max;
        check(
            "event_bytes_max",
            (1..=16 << 20).contains(&event),
            event.to_string(),
            "1 to 16 MiB",
        )?;
        let hops = self.hop_bytes_max;
        let fits = (1..=64 << 20).contains(&hops);
        check("hop_bytes_max", fits, hops.to_string(), "1 to 64 MiB")?;
        let value = self.value_bytes_max;
        let fits = (1..=VALUE_BYTES_MAX).contains(&value);
        check("value_bytes_max", fits, value.to_string(), "1 to 32 MiB")?;
        let mailbox = self.mailbox_bytes_max;
        check("mailbox_bytes_max", mailbox > 0, mailbox.to_string(), "at least 1")?;
        let interval = match self.durability {
            Durability::Interval(interval) => interval,
            Durability::Sync | Durability::Os => Duration::MAX,
        };
        check(
            "durability",
            interval > Duration::ZERO,
            format!("Interval({interval:?})"),
            "an interval longer than zero, or `Durability::Sync`",
        )?;
        let ids = self.once_ids_max;
        check("once_ids_max", ids > 0, ids.to_string(), "at least 1")?;
        check("attempts", self.attempts > 0, self.attempts.to_string(), "at least 1")?;
        for (module, partition, _) in &self.quarantine_at {
            let is_known = |plan: &Arc<Plan>| plan.name == module && *partition < partitions;
            // What is wrong with another module is told first.
            let known = self.plans.iter().any(|plan| plan.as_ref().map_or(true, is_known));
            check(
                "quarantine_at",
                known,
                format!("partition {partition} of module `{module}`"),
                "a module of this grid and one of its partitions",
            )?;
        }
        check(
            "module",
            !self.plans.is_empty(),
            "missing".to_owned(),
            "at least one `.module::<M>()`",
        )
    }

    /// The modules' plans; no two may have a name in common.
    pub(crate) fn plans(&self) -> Result<Vec<Arc<Plan>>, StartError> {
        let mut plans: Vec<Arc<Plan>> = Vec::new();
        for plan in self.plans.clone() {
            // The builder keeps what was wrong, to be started again.
            let plan = plan.map_err(|error| declaration(&error))?;
            for other in &plans {
                refuse_common_names(other, &plan)?;
            }
            plan.check_initial(self.value_bytes_max)?;
            plans.push(plan);
        }
        Ok(plans)
    }

    fn open_storage(&self) -> Result<Arc<dyn Storage>, StartError> {
        if let Some(storage) = &self.storage {
            return Ok(Arc::clone(storage));
        }
        let folder = &self.folder;
        std::fs::create_dir_all(folder)
            .map_err(|source| StartError::Folder { folder: folder.clone(), source })?;
        Ok(Arc::new(FileStorage::new(folder)))
    }

    /// Takes the folder's lock, once a grid of this process that was dropped has let go of it.
    async fn hold(&self, storage: &dyn Storage) -> Result<Arc<Held>, StartError> {
        let folder = storage.display(Path::new(""));
        let mut lock = self.lock(storage);
        if let Err(StartError::InUse { .. }) = lock
            && held::is_leaving(&folder)
        {
            wait_until_left(folder.clone()).await?;
            lock = self.lock(storage);
        }
        Ok(Held::new(&folder, lock?))
    }

    pub(crate) fn lock(&self, storage: &dyn Storage) -> Result<Box<dyn LockGuard>, StartError> {
        let folder = storage.display(Path::new(""));
        storage.lock(Path::new(LOCK_FILE)).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => StartError::InUse { folder },
            _ => {
                let message = format!("{LOCK_FILE}: {source}");
                let source = std::io::Error::new(source.kind(), message);
                StartError::Folder { folder, source }
            }
        })
    }

    /// The partitions of all modules. `place` says of the number of a partition, counted through all modules,
    /// which thread it is pinned to, and what that has to do.
    pub(crate) fn slots(
        &self,
        plans: &[Arc<Plan>],
        folder: DataFolder<'_>,
        clients: &Clients,
        place: impl Fn(usize) -> (usize, Load),
    ) -> Vec<Slot> {
        let budgets = self.budgets();
        let mut slots = Vec::new();
        for plan in plans {
            let confirmed = Arc::new(Confirmed::new(plan, self.partitions));
            for partition in 0..self.partitions {
                let (thread, load) = place(slots.len());
                let maxima = (self.mailbox_bytes_max, self.watches_max);
                let shared = Arc::new(Shared::new(plan.name, partition, maxima, load));
                shared.watching.belongs_to(&shared);
                if plan.follows_time(partition) {
                    self.clock.tell(Arc::downgrade(&shared) as _);
                }
                slots.push(Slot {
                    shared,
                    open: self.open_options(
                        plan,
                        folder,
                        (&budgets.changes, &confirmed),
                        partition,
                    ),
                    options: ActorOptions {
                        durability: self.durability,
                        changes: budgets.changes.clone(),
                        tails: budgets.tails[thread].clone(),
                        flows: budgets.flows.clone(),
                        clock: self.clock.clone(),
                        clients: clients.clone(),
                        calls_on: self.runtime(),
                        once: OnceLimits { window: self.window(), ids_max: self.once_ids_max },
                    },
                });
            }
            let first = slots.len() - self.partitions as usize;
            let module: Vec<_> =
                slots[first..].iter().map(|slot| Arc::clone(&slot.shared)).collect();
            Peers::introduce(&module, &confirmed);
        }
        slots
    }

    fn budgets(&self) -> Budgets {
        let (plans, partitions) = (self.plans.iter().flatten(), self.partitions as usize);
        let topologies: usize = plans.map(|plan| plan.topologies.len()).sum();
        Budgets {
            changes: Budget::new(self.overlay_bytes_max, topologies * partitions),
            flows: Budget::new(self.flow_bytes_max, self.plans.len() * partitions),
            tails: Budget::for_each(
                self.threads,
                self.tail_bytes_max,
                self.plans.len() * partitions,
            ),
        }
    }

    fn log_options(&self) -> LogOptions {
        LogOptions {
            batch_bytes_max: LOG_BATCH_BYTES_MAX,
            // Nobody waits for a sync: what was written need not be kept in memory until one.
            retain_unsynced: self.durability != Durability::Os,
            ..LogOptions::default()
        }
    }

    /// How many caches the writers of all modules have.
    fn cells(&self) -> usize {
        let plans = self.plans.iter().flatten();
        let declared =
            |plan: &Arc<Plan>| plan.pstates.iter().filter(|pstate| !pstate.hidden).count();
        let pstates: usize = plans.map(declared).sum();
        (pstates * self.partitions as usize).max(1)
    }

    fn open_options(
        &self,
        plan: &Arc<Plan>,
        folder: DataFolder<'_>,
        (changes, confirmed): (&Budget, &Arc<Confirmed>),
        partition: u32,
    ) -> OpenOptions {
        let mine = |(module, number, _): &&(String, u32, Position)| {
            module == plan.name && *number == partition
        };
        OpenOptions {
            storage: Arc::clone(folder.storage),
            root: folder.root.clone(),
            dir: partition_dir(plan.name, partition),
            plan: Arc::clone(plan),
            partition,
            partitions: self.partitions,
            limits: Limits {
                value_bytes_max: self.value_bytes_max,
                cache_bytes: self.cache_bytes_max / self.cells(),
                step_bytes: self.overlay_bytes_max / (STEPS * self.threads.max(1)),
                sends: SendLimits {
                    event_bytes_max: self.event_bytes_max,
                    hop_bytes_max: self.hop_bytes_max,
                },
                attempts: self.attempts,
                check_twice: self.check_handlers,
            },
            log: self.log_options(),
            changes: changes.clone(),
            accept_new_code: self.accept_new_code,
            quarantine_at: self.quarantine_at.iter().filter(mine).map(|&(.., at)| at).collect(),
            waiting_from: None,
            confirmed: Arc::clone(confirmed),
            synced: self.durability == Durability::Sync,
            once_window: self.window(),
        }
    }

    /// How long ids of appends are kept, in microseconds.
    fn window(&self) -> i64 {
        i64::try_from(self.once_window.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Waits on a thread of its own: the caller may be on any runtime, or on none.
async fn wait_until_left(folder: PathBuf) -> Result<(), StartError> {
    let (done, left) = once::channel();
    let wait = folder.clone();
    let wait = move || {
        // Nobody has to listen.
        let _ = done.send(held::wait_until_left(&wait, LEAVING_MAX));
    };
    std::thread::Builder::new().spawn(wait).map_err(StartError::Threads)?;
    match left.await {
        Ok(true) => Ok(()),
        _ => Err(StartError::Leaving { folder, waited: LEAVING_MAX }),
    }
}

/// Starts the actors of a module's partitions.
async fn run_module(
    plan: Arc<Plan>,
    mine: Vec<(Seat, Opened)>,
    seats: &Seats,
    supervisor: ActorCell,
) -> Result<ModuleRun, StartError> {
    let module = ModuleRun::new(plan, mine.iter().map(|(seat, opened)| (&seat.slot, opened)));
    for (seat, opened) in mine {
        let partition = seat.slot.shared.partition;
        let running = run(seat, opened, seats, supervisor.clone()).await;
        running.map_err(|message| StartError::Partition {
            module: module.plan.name.to_owned(),
            partition,
            message,
        })?;
    }
    Ok(module)
}

/// A copy of what was wrong with a declaration.
fn declaration(error: &StartError) -> StartError {
    match error {
        StartError::Declaration { module, problems } => {
            StartError::Declaration { module: module.clone(), problems: problems.clone() }
        }
        other => {
            StartError::Declaration { module: String::new(), problems: vec![other.to_string()] }
        }
    }
}
