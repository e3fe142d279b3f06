//! What a grid says of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gridmill_persistence::Run;

use crate::ask::keeper::Pinned;
use crate::ask::pool::PoolFigures;
use crate::engine::{GridEngine, ModuleRun};
use crate::shell::partition::past::Progress;
use crate::shell::partition::shared::Shared;

/// Figures of a whole grid, as of now. Counts start at zero with each start.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How long the grid has been running: what the counts are to be divided by for a rate.
    pub elapsed: Duration,
    /// One for each module, in the order of the builder.
    pub modules: Vec<ModuleStats>,
    /// The threads of queries.
    pub queries: QueryStats,
}

/// What the threads do that queries, and selects that take long, run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// How many there are: they are started when there is something to do, up to
    /// [`query_threads`](crate::GridBuilder::query_threads).
    pub threads: usize,
    /// Jobs that are being done: parts of queries, and selects that take long.
    pub running: usize,
    /// Jobs that wait for a thread. Where it is 4,096, queries wait.
    pub waiting: usize,
    /// Jobs that were done.
    pub done: u64,
}

/// Figures of one module.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ModuleStats {
    /// The module's name.
    pub name: String,
    /// One for each partition.
    pub partitions: Vec<PartitionStats>,
}

/// Figures of one partition.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PartitionStats {
    /// Records logged.
    pub records: u64,
    /// Batches logged.
    pub batches: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Flushes: a topology's changes written into runs.
    pub flushes: u64,
    /// Bytes of runs that flushes wrote.
    pub flushed_bytes: u64,
    /// Merges of runs.
    pub merges: u64,
    /// Bytes of runs that merges wrote.
    pub merged_bytes: u64,
    /// Flushes and merges that failed. What they were to write stays in memory and in the log.
    pub failed_jobs: u64,
    /// Why flushes or merges fail now, if the last one did.
    pub problem: Option<JobProblem>,
    /// Events that a handler refused.
    pub rejected: u64,
    /// Records that its handlers sent to stages and depots, on this partition or others.
    pub sent: u64,
    /// Those of them that were sent again: after a start, or because their target missed some.
    pub sent_again: u64,
    /// Records that were sent to it and logged. What came twice is not among them.
    pub received: u64,
    /// Bytes of memory, about, that hold what it has sent and its targets have not made durable yet.
    pub outbox_bytes: u64,
    /// Records that its handlers have scheduled for a time that has not come.
    pub timers: u64,
    /// Calls to the outside that have no answer yet: under way, and waiting.
    pub calls: u64,
    /// Times that the partition's actor was started again.
    pub restarts: u64,
    /// Records that the last start replayed.
    pub replayed: u64,
    /// How the log had been stopped before the last start: `new`, `clean`, `unclean`, or what was cut
    /// from a torn tail.
    pub recovery: String,
    /// Bytes of the log that a start after a crash would replay.
    pub tail_bytes: u64,
    /// Bytes of memory, about, that hold changes not flushed yet.
    pub overlay_bytes: u64,
    /// Views of one moment that readers hold: queries, [`view_of`](gridmill_client::Client::view_of).
    pub held_views: u64,
    /// How long the oldest of them has been held.
    pub oldest_view: Option<Duration>,
    /// Bytes of memory, about, that are kept for them alone: what was overwritten or flushed meanwhile. Over a quarter
    /// of [`overlay_bytes_max`](crate::GridBuilder::overlay_bytes_max), on all partitions, the oldest are let go of
    /// ([`ReadError::LetGo`](gridmill_client::ReadError::LetGo)).
    pub pinned_bytes: u64,
    /// Watches on the partition.
    pub watches: u64,
    /// Distinct paths that these watch.
    pub watched_paths: u64,
    /// How often such a path was evaluated.
    pub evaluations: u64,
    /// Runs that the views of the live flow read from.
    pub runs: u64,
    /// Bytes of these runs.
    pub run_bytes: u64,
    /// Pages (16 KiB) of these runs that were read since they were opened. A page counts once.
    pub run_pages_read: u64,
    /// Batches that are written and not answered yet.
    pub in_flight: usize,
    /// Why the partition does not run, if it does not.
    pub stopped: Option<String>,
    /// One for each topology.
    pub topologies: Vec<TopologyStats>,
}

/// Flushes or merges fail: changes pile up in memory and in the log, or runs on disk. They are tried again by
/// themselves. Where the changes take nearly twice
/// [`overlay_bytes_max`](crate::GridBuilder::overlay_bytes_max), appends are refused until it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobProblem {
    /// What failed last, and why.
    pub message: String,
    /// How long they have been failing.
    pub lasts: Duration,
}

/// Figures of one topology on one partition.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TopologyStats {
    /// The topology's name.
    pub name: String,
    /// Whether it takes part in the live flow.
    pub live: bool,
    /// Records of the log that it still has to read; 0 when it is live.
    pub lag: u64,
    /// Records that it has set aside.
    pub quarantined: usize,
}

impl Stats {
    pub(crate) fn of(engine: &GridEngine) -> Self {
        let pinned = engine.pinned(&engine.held.all());
        let modules = engine.modules.iter().enumerate();
        let modules = modules.map(|(number, run)| {
            module(run, |partition| pinned.get(&(number, partition)).copied().unwrap_or_default())
        });
        let (elapsed, modules) = (engine.started.elapsed(), modules.collect());
        let queries = engine.pool.as_ref().map(|pool| queries(&pool.figures()));
        Self { elapsed, modules, queries: queries.unwrap_or_default() }
    }

    /// A figure's sum over all partitions, per second since the start.
    pub fn rate(&self, figure: impl Fn(&PartitionStats) -> u64) -> f64 {
        self.total(figure) as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The sum of a figure over all partitions.
    pub fn total(&self, figure: impl Fn(&PartitionStats) -> u64) -> u64 {
        self.modules.iter().flat_map(|module| &module.partitions).map(figure).sum()
    }
}

fn queries(figures: &PoolFigures) -> QueryStats {
    let &PoolFigures { threads, running, waiting, done } = figures;
    QueryStats { threads, running, waiting, done }
}

fn module(run: &ModuleRun, pinned: impl Fn(u32) -> Pinned) -> ModuleStats {
    let partitions = run.partitions.iter();
    let partitions = partitions.map(|shared| partition(run, shared, pinned(shared.partition)));
    ModuleStats { name: run.plan.name.to_owned(), partitions: partitions.collect() }
}

fn partition(run: &ModuleRun, shared: &Shared, pinned: Pinned) -> PartitionStats {
    let counters = &shared.counters;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (runs, watching) = (shared.published.runs(), shared.watching.figures());
    PartitionStats {
        records: get(&counters.records),
        batches: get(&counters.batches),
        log_bytes: get(&counters.bytes),
        syncs: get(&counters.syncs),
        flushes: get(&counters.flushes),
        flushed_bytes: get(&counters.flushed_bytes),
        merges: get(&counters.merges),
        merged_bytes: get(&counters.merged_bytes),
        failed_jobs: get(&counters.failed_jobs),
        problem: shared
            .life
            .problem()
            .map(|problem| JobProblem { message: problem.message, lasts: problem.since.elapsed() }),
        rejected: get(&counters.rejected),
        sent: get(&counters.sent),
        sent_again: get(&counters.sent_again),
        received: get(&counters.received),
        outbox_bytes: get(&counters.outbox_bytes),
        timers: get(&counters.timers),
        calls: get(&counters.calls),
        restarts: get(&counters.restarts),
        replayed: get(&counters.replayed),
        recovery: shared.life.recovery(),
        tail_bytes: get(&counters.tail_bytes),
        overlay_bytes: get(&counters.overlay_bytes),
        held_views: pinned.views,
        oldest_view: pinned.oldest,
        pinned_bytes: pinned.bytes as u64,
        watches: watching.watches as u64,
        watched_paths: watching.paths as u64,
        evaluations: watching.evaluated,
        runs: runs.len() as u64,
        run_bytes: runs.iter().map(Run::bytes).sum(),
        run_pages_read: runs.iter().map(Run::pages_read).sum(),
        in_flight: shared.commits.len(),
        stopped: shared.life.stopped(),
        topologies: topologies(run, shared),
    }
}

fn topologies(run: &ModuleRun, shared: &Shared) -> Vec<TopologyStats> {
    let view = shared.published.view();
    let names = run.plan.topologies.iter().map(|topology| topology.name);
    let stats = names.enumerate().map(|(number, name)| {
        let live = view.is_live(number);
        let mine = view.quarantine.iter().filter(|verdict| verdict.topology == name);
        let Progress { done, total } = shared.progress_of(number);
        TopologyStats {
            name: name.to_owned(),
            live,
            lag: if live { 0 } else { total.saturating_sub(done) },
            quarantined: mine.count(),
        }
    });
    stats.collect()
}
