//! Choosing how a grid runs, and starting it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gridmill_client::engine::once;
use gridmill_persistence::run::VALUE_BYTES_MAX;
use gridmill_persistence::{FileStorage, LockGuard, LogOptions, Position, SimStorage, Storage};
use ractor::Actor;

use crate::engine::{GridEngine, ModuleRun, registry_of};
use crate::error::StartError;
use crate::grid::Grid;
use crate::identity::Root;
use crate::memory::default_budget;
use crate::module::Module;
use crate::partition::budget::{Budget, Budgets};
use crate::partition::core::Limits;
use crate::partition::open::{OpenOptions, Opened, partition_dir};
use crate::partition::plan::Plan;
use crate::shell::actor::{ActorOptions, Durability};
use crate::shell::clock::Clock;
use crate::shell::held::{self, Held};
use crate::shell::shared::Shared;
use crate::shell::start::open_all;
use crate::shell::supervisor::{Slot, Slots, Supervisor, run};
use crate::shell::worker::Workers;

/// The file that a running grid holds locked.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// The largest batch of the log: what one call may bring, with headers, and a mailbox on top.
const LOG_BATCH_BYTES_MAX: u32 = 256 << 20;

/// Into how many parts the changes' budget is cut for what one step of a batch may touch, with a part for
/// each thread, which makes one step at a time.
const STEPS: usize = 4;

/// How long a start waits for a grid of this process that was dropped.
const LEAVING_MAX: Duration = Duration::from_secs(10);

/// The most partitions of a module.
pub(crate) const PARTITIONS_MAX: u32 = 4096;

/// Options of a grid, each with its default. [`GridBuilder::start`] brings it to life.
///
/// # Limits
///
/// What is over a limit is refused before it is acknowledged: whatever was acknowledged fits all files that
/// it will ever be written to.
///
/// | what | at most | over it |
/// |---|---|---|
/// | an event, encoded | [`event_bytes_max`](Self::event_bytes_max), up to 16 MiB | the append is refused |
/// | events of one call for one partition | 128 MiB | the append is refused |
/// | events that wait for a partition | [`mailbox_bytes_max`](Self::mailbox_bytes_max) | appends wait, or are refused |
/// | the key of an entry at the root of a PState, encoded | 65,535 bytes | the record is set aside |
/// | the value of such an entry, or a root that is one value | [`value_bytes_max`](Self::value_bytes_max), up to 32 MiB | the record is set aside |
/// | keys and values inside of a value | the value | |
/// | what a PState begins with | as keys and values | the start is refused |
/// | changes that cannot be written out because folds fail | nearly twice [`overlay_bytes_max`](Self::overlay_bytes_max) | appends are refused until one succeeds |
/// | what a handler's panic says, in a verdict | 4 KiB | it is cut |
/// | partitions of a module | 4,096 | the start is refused |
/// | threads | 1,024 | the start is refused |
/// | a run | 4 TiB | folds and merges fail |
///
/// The limits of values hold for the past as well: a record that a replay or a new topology reads, and
/// that makes a value over today's limit, is set aside.
///
/// # Memory
///
/// Heap stays within one and a half times [`overlay_bytes_max`](Self::overlay_bytes_max) and
/// [`cache_bytes_max`](Self::cache_bytes_max) together where these are alike, whatever values look like (their
/// lists, maps and texts count), beside what a grid takes without state: some MiB, what waits in mailboxes,
/// and what the largest eight values that change take.
#[derive(Clone)]
#[must_use = "nothing runs before `start`"]
pub struct GridBuilder {
    storage: Option<Arc<dyn Storage>>,
    folder: PathBuf,
    plans: Vec<Result<Arc<Plan>, Arc<StartError>>>,
    partitions: u32,
    threads: usize,
    durability: Durability,
    clock: Clock,
    overlay_bytes_max: usize,
    tail_bytes_max: usize,
    mailbox_bytes_max: u32,
    event_bytes_max: usize,
    value_bytes_max: usize,
    cache_bytes_max: usize,
    attempts: u32,
    check_handlers: bool,
    accept_new_code: bool,
    quarantine_at: Vec<(String, u32, Position)>,
}

impl std::fmt::Debug for GridBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GridBuilder")
            .field("folder", &self.folder)
            .field("partitions", &self.partitions)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl GridBuilder {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let budget = default_budget();
        Self {
            storage: None,
            folder,
            plans: Vec::new(),
            partitions: 8,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            durability: Durability::Sync,
            clock: Clock::system(),
            overlay_bytes_max: budget,
            tail_bytes_max: 256 << 20,
            mailbox_bytes_max: 16 << 20,
            event_bytes_max: 1 << 20,
            value_bytes_max: 16 << 20,
            cache_bytes_max: budget,
            attempts: 3,
            check_handlers: false,
            accept_new_code: false,
            quarantine_at: Vec::new(),
        }
    }

    /// A grid in memory, for tests: it starts in milliseconds, runs every batch twice to catch
    /// handlers that are not deterministic, and leaves nothing behind.
    pub(crate) fn in_memory() -> Self {
        let mut builder = Self::new(PathBuf::from("(memory)"));
        builder.storage = Some(Arc::new(SimStorage::new()));
        builder.check_handlers = true;
        builder.partitions = 4;
        builder
    }

    /// Adds a module.
    pub fn module<M: Module>(mut self) -> Self {
        self.plans.push(Plan::of::<M>().map(Arc::new).map_err(Arc::new));
        self
    }

    /// Partitions of each module: 8. Stored at the first start; another number is refused later.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions;
        self
    }

    /// The grid's threads: one for each core. A partition is pinned to one of them.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How durable an append is before it is answered: [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Where record times come from: the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Bytes of changes, about, that all topologies and partitions together hold in memory before
    /// they are folded into runs: a sixteenth of the memory of the machine, or of the container that
    /// the process runs in, at most 1 GiB; 256 MiB where that is not known. Those that have more
    /// than an even share are folded first. While folds run it may be twice as much.
    ///
    /// More memory means that a value that changes often is written out less often. Where the values
    /// that change all the time fit, folds come by [`tail_bytes_max`](Self::tail_bytes_max) alone;
    /// where they do not, each fold writes most of them again, which can cost more than all else.
    pub fn overlay_bytes_max(mut self, bytes: usize) -> Self {
        self.overlay_bytes_max = bytes;
        self
    }

    /// Bytes of logs that the partitions of a thread together let pile up before they fold: 256 MiB. A
    /// start after a crash replays about that much for each thread, at most twice as much: one that has
    /// less than an even share is not folded for what others have.
    pub fn tail_bytes_max(mut self, bytes: usize) -> Self {
        self.tail_bytes_max = bytes;
        self
    }

    /// Bytes of events that may wait in a partition's mailbox: 16 MiB. Then `append` waits and
    /// `try_append` is refused.
    pub fn mailbox_bytes_max(mut self, bytes: u32) -> Self {
        self.mailbox_bytes_max = bytes;
        self
    }

    /// The largest event in encoded bytes: 1 MiB; at most 16 MiB.
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.event_bytes_max = bytes;
        self
    }

    /// The largest value under one key: 16 MiB; at most 32 MiB. Counted are the bytes that it takes in a
    /// run, and of the gaps before aligned parts (such as the elements of a list) the most there can be: 15
    /// bytes each. A record that makes a larger one is set aside and its appender told.
    pub fn value_bytes_max(mut self, bytes: usize) -> Self {
        self.value_bytes_max = bytes;
        self
    }

    /// Bytes, about, of decoded entries that writers keep, shared out evenly among the PStates and
    /// partitions of the grid: as many as [`overlay_bytes_max`](Self::overlay_bytes_max) has by default.
    /// A value that is in both as it is takes its memory once. A handler that changes an entry that
    /// is not among them reads it from the layers first, which costs several times as much.
    pub fn cache_bytes_max(mut self, bytes: usize) -> Self {
        self.cache_bytes_max = bytes;
        self
    }

    /// How often a record that panics is tried before it goes into quarantine: 3.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Applies every batch twice and compares, to catch handlers that are not deterministic. On for
    /// grids in memory, off otherwise: it halves the speed.
    pub fn check_handlers(mut self, check: bool) -> Self {
        self.check_handlers = check;
        self
    }

    /// Replays an unclean tail although another [`Module::VERSION`] processed it. Views may then
    /// differ from what readers saw before the crash.
    pub fn accept_replay_with_new_code(mut self) -> Self {
        self.accept_new_code = true;
        self
    }

    /// Sets a record aside before it is replayed: for one that ends the process each time.
    pub fn quarantine_at(mut self, module: &str, partition: u32, position: Position) -> Self {
        self.quarantine_at.push((module.to_owned(), partition, position));
        self
    }

    /// Keeps everything on `storage` instead of the folder; for tests with a simulated disk.
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Opens the folder, recovers what it holds and starts all partitions. Where a grid of this process
    /// was dropped that has not let go of the folder yet, waits for that, up to ten seconds.
    ///
    /// # Errors
    /// [`StartError`] says what does not fit and what to do. Nothing runs then, and the folder is as
    /// it was.
    pub async fn start(self) -> Result<Grid, StartError> {
        self.check_options()?;
        let plans = self.plans()?;
        let storage = self.open_storage()?;
        let folder = self.hold(&*storage).await?;
        let root = Root::open(&storage)?;
        let workers = Workers::start(self.threads, folder).map_err(StartError::Threads)?;
        let workers = Arc::new(workers);
        let modules = self.start_modules(plans, &storage, &root, &workers).await;
        if modules.is_err() {
            // The folder is free again when the error is known.
            workers.stop().await;
        }
        let engine = GridEngine::new(modules?, self.event_bytes_max);
        Ok(Grid::new(engine, workers, storage, root))
    }

    async fn start_modules(
        &self,
        plans: Vec<Arc<Plan>>,
        storage: &Arc<dyn Storage>,
        root: &Root,
        workers: &Workers,
    ) -> Result<Vec<ModuleRun>, StartError> {
        let slots: Slots = Arc::default();
        let supervisor = Supervisor { slots: Arc::clone(&slots) };
        let spawn = workers.of(0).spawn(Actor::spawn(None, supervisor, ()));
        let threads = |message: String| StartError::Threads(std::io::Error::other(message));
        let spawned = spawn.await.map_err(|error| threads(error.to_string()))?;
        let (supervisor, _) = spawned.map_err(|error| threads(error.to_string()))?;
        let budgets = self.budgets();
        let mut all = Vec::new();
        for plan in &plans {
            all.extend(self.slots(plan, (storage, root), workers, &budgets, all.len()));
        }
        let mut opened = open_all(&all).await?.into_iter();
        let mut all = all.into_iter();
        let mut modules = Vec::new();
        for plan in plans {
            let partitions = self.partitions as usize;
            let mine = all.by_ref().take(partitions).zip(opened.by_ref()).collect();
            modules.push(run_module(plan, mine, &slots, supervisor.get_cell()).await?);
        }
        Ok(modules)
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
        let event = self.event_bytes_max;
        check(
            "event_bytes_max",
            (1..=16 << 20).contains(&event),
            event.to_string(),
            "1 to 16 MiB",
        )?;
        let value = self.value_bytes_max;
        let fits = (1..=VALUE_BYTES_MAX).contains(&value);
        check("value_bytes_max", fits, value.to_string(), "1 to 32 MiB")?;
        let mailbox = self.mailbox_bytes_max;
        check("mailbox_bytes_max", mailbox > 0, mailbox.to_string(), "at least 1")?;
        check("attempts", self.attempts > 0, self.attempts.to_string(), "at least 1")?;
        check(
            "module",
            !self.plans.is_empty(),
            "missing".to_owned(),
            "at least one `.module::<M>()`",
        )
    }

    /// The modules' plans; no two may have a name in common.
    fn plans(&self) -> Result<Vec<Arc<Plan>>, StartError> {
        let mut plans: Vec<Arc<Plan>> = Vec::new();
        for plan in self.plans.clone() {
            let plan = plan.map_err(|error| match Arc::try_unwrap(error) {
                Ok(error) => error,
                Err(shared) => StartError::Declaration {
                    module: String::new(),
                    problems: vec![shared.to_string()],
                },
            })?;
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

    fn lock(&self, storage: &dyn Storage) -> Result<Box<dyn LockGuard>, StartError> {
        let folder = storage.display(Path::new(""));
        storage.lock(Path::new(LOCK_FILE)).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => StartError::InUse { folder },
            _ => StartError::Folder { folder, source },
        })
    }

    fn slots(
        &self,
        plan: &Arc<Plan>,
        folder: (&Arc<dyn Storage>, &Root),
        workers: &Workers,
        budgets: &Budgets,
        first: usize,
    ) -> Vec<Slot> {
        let load = |partition: u32| workers.load_of(first + partition as usize);
        let shared =
            |partition| Shared::new(plan.name, partition, self.mailbox_bytes_max, load(partition));
        let slot = |partition: u32| Slot {
            shared: Arc::new(shared(partition)),
            open: self.open_options(plan, folder, &budgets.changes, partition),
            options: ActorOptions {
                durability: self.durability,
                changes: budgets.changes.clone(),
                tails: budgets.tails[workers.number_of(first + partition as usize)].clone(),
                clock: self.clock.clone(),
            },
            worker: workers.of(first + partition as usize).clone(),
        };
        (0..self.partitions).map(slot).collect()
    }

    fn budgets(&self) -> Budgets {
        let (plans, partitions) = (self.plans.iter().flatten(), self.partitions as usize);
        let topologies: usize = plans.map(|plan| plan.topologies.len()).sum();
        Budgets {
            changes: Budget::new(self.overlay_bytes_max, topologies * partitions),
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
        let pstates: usize = plans.map(|plan| plan.pstates.len()).sum();
        (pstates * self.partitions as usize).max(1)
    }

    fn open_options(
        &self,
        plan: &Arc<Plan>,
        (storage, root): (&Arc<dyn Storage>, &Root),
        changes: &Budget,
        partition: u32,
    ) -> OpenOptions {
        let mine = |(module, number, _): &&(String, u32, Position)| {
            module == plan.name && *number == partition
        };
        OpenOptions {
            storage: Arc::clone(storage),
            root: root.clone(),
            dir: partition_dir(plan.name, partition),
            plan: Arc::clone(plan),
            partition,
            partitions: self.partitions,
            limits: Limits {
                value_bytes_max: self.value_bytes_max,
                cache_bytes: self.cache_bytes_max / self.cells(),
                step_bytes: self.overlay_bytes_max / (STEPS * self.threads.max(1)),
                attempts: self.attempts,
                check_twice: self.check_handlers,
            },
            log: self.log_options(),
            changes: changes.clone(),
            accept_new_code: self.accept_new_code,
            quarantine_at: self.quarantine_at.iter().filter(mine).map(|&(.., at)| at).collect(),
            waiting_from: None,
        }
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

fn refuse_common_names(one: &Plan, other: &Plan) -> Result<(), StartError> {
    let mut problems = Vec::new();
    if one.name == other.name {
        problems.push("another module has this name; rename one".to_owned());
    }
    for depot in &other.depots {
        if one.depots.iter().any(|known| known.name == depot.name) {
            let (name, module) = (depot.name, one.name);
            problems.push(format!("depot `{name}` is declared by module `{module}` too"));
        }
    }
    for pstate in &other.pstates {
        if one.pstates.iter().any(|known| known.name == pstate.name) {
            let (name, module) = (pstate.name, one.name);
            problems.push(format!("PState `{name}` is declared by module `{module}` too"));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(StartError::Declaration { module: other.name.to_owned(), problems })
}

/// Starts the actors of a module's partitions.
async fn run_module(
    plan: Arc<Plan>,
    mine: Vec<(Slot, Opened)>,
    slots: &Slots,
    supervisor: ractor::ActorCell,
) -> Result<ModuleRun, StartError> {
    let (mut partitions, mut registries) = (Vec::new(), Vec::new());
    for (slot, opened) in mine {
        let partition = slot.shared.partition;
        registries.push(registry_of(&plan, &opened.folds.manifest.lock()));
        partitions.push(Arc::clone(&slot.shared));
        let running = run(slot, opened, slots, supervisor.clone()).await;
        running.map_err(|message| StartError::Partition {
            module: plan.name.to_owned(),
            partition,
            message,
        })?;
    }
    Ok(ModuleRun { plan, partitions, registries })
}
