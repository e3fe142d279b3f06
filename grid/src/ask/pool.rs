//! The threads that queries, and selects that take long, run on: beside the partitions, and behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gridmill_client::Gate;
use gridmill_client::engine::{Pool, Timer};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::shell::threads::background::give_way;

/// How many jobs may wait; then queries wait.
const WAITING_MAX: u32 = 4096;

/// How far the threads stand behind those of partitions: beside one on a core, a partition has the larger part
/// of it.
const NICENESS: i32 = 1;

/// After how long a job counts as one that may never end. Another thread takes the place of its own.
const STUCK: Duration = Duration::from_secs(10);

/// How many threads may be stuck. Beyond that queries wait, and time out.
const STUCK_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// Threads for queries. They are started when there is something to do, and end with the grid.
pub(crate) struct QueryPool {
    gate: Gate,
    shared: Arc<Shared>,
    /// Where time-outs are waited for.
    timer: Handle,
}

struct Shared {
    jobs: Mutex<Jobs>,
    /// Told of each job, and of the end.
    told: Condvar,
    threads_max: usize,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// When each thread that is busy began its job.
    busy: Vec<Option<Instant>>,
    threads: usize,
    idle: usize,
    done: u64,
    closed: bool,
}

/// What the pool does.
pub(crate) struct PoolFigures {
    pub(crate) threads: usize,
    pub(crate) waiting: usize,
    pub(crate) running: usize,
    pub(crate) done: u64,
}

impl QueryPool {
    pub(crate) fn new(threads_max: usize, timer: Handle) -> Self {
        let (jobs, told) = Default::default();
        let shared = Arc::new(Shared { jobs, told, threads_max });
        Self { gate: Gate::new(WAITING_MAX), shared, timer }
    }

    /// Takes no more jobs. Those that wait are still done.
    pub(crate) fn close(&self) {
        self.gate.close();
        self.shared.jobs.lock().closed = true;
        self.shared.told.notify_all();
    }

    pub(crate) fn figures(&self) -> PoolFigures {
        let jobs = self.shared.jobs.lock();
        PoolFigures {
            threads: jobs.threads,
            waiting: jobs.waiting.len(),
            running: jobs.busy.iter().flatten().count(),
            done: jobs.done,
        }
    }
}

impl Pool for QueryPool {
    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn run(&self, job: Job) {
        let mut jobs = self.shared.jobs.lock();
        if jobs.closed {
            drop(jobs);
            return job();
        }
        jobs.waiting.push_back(job);
        if jobs.idle >= jobs.waiting.len() {
            drop(jobs);
            self.shared.told.notify_one();
        } else if jobs.threads < self.shared.threads_max + jobs.stuck() {
            start(&self.shared, jobs);
        }
    }

    fn after(&self, wait: Duration, wake: Box<dyn FnOnce() + Send>) -> Timer {
        let waiting = self.timer.spawn(async move {
            tokio::time::sleep(wait).await;
            wake();
        });
        Box::new(Waiting(waiting.abort_handle()))
    }
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// A wait that ends when it is dropped.
struct Waiting(AbortHandle);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Jobs {
    /// How many threads may never come back, of those whose place others take.
    fn stuck(&self) -> usize {
        let stuck = self.busy.iter().flatten().filter(|begun| begun.elapsed() > STUCK);
        stuck.count().min(STUCK_MAX)
    }
}

/// Starts a thread. Where that fails and there is none, what waits is done at once.
fn start(shared: &Arc<Shared>, mut jobs: MutexGuard<'_, Jobs>) {
    jobs.threads += 1;
    let number = jobs.busy.iter().position(Option::is_none).unwrap_or(jobs.busy.len());
    let busy = jobs.busy.len().max(number + 1);
    jobs.busy.resize(busy, None);
    // It is taken from now on: it has a job to begin with.
    jobs.busy[number] = Some(Instant::now());
    let job = jobs.waiting.pop_front();
    drop(jobs);
    let job = Arc::new(Mutex::new(job));
    let (mine, first) = (Arc::clone(shared), Arc::clone(&job));
    let thread = std::thread::Builder::new().name("gridmill-query".to_owned());
    let spawned = thread.spawn(move || {
        give_way(NICENESS);
        let first = first.lock().take();
        work(&mine, number, first);
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for queries could be started");
        let mut jobs = shared.jobs.lock();
        jobs.threads -= 1;
        jobs.busy[number] = None;
        drop(jobs);
        let job = job.lock().take();
        job.into_iter().for_each(|job| job());
    }
}

/// Does jobs until there are no more to come.
fn work(shared: &Shared, number: usize, mut job: Option<Job>) {
    loop {
        if let Some(job) = job.take() {
            job();
        }
        let mut jobs = shared.jobs.lock();
        jobs.done += 1;
        jobs.busy[number] = None;
        while jobs.waiting.is_empty() && !jobs.closed && !is_too_many(shared, &jobs) {
            jobs.idle += 1;
            shared.told.wait(&mut jobs);
            jobs.idle -= 1;
        }
        job = jobs.waiting.pop_front();
        if job.is_none() || is_too_many(shared, &jobs) {
            jobs.threads -= 1;
            // Whoever is left finds it.
            job.into_iter().for_each(|job| jobs.waiting.push_front(job));
            return;
        }
        jobs.busy[number] = Some(Instant::now());
    }
}

/// Whether a thread that was stuck came back, while another one has its place.
fn is_too_many(shared: &Shared, jobs: &Jobs) -> bool {
    jobs.threads > shared.threads_max + jobs.stuck()
}

impl std::fmt::Debug for QueryPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryPool").field("threads_max", &self.shared.threads_max).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn pool(threads: usize) -> (tokio::runtime::Runtime, QueryPool) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_time().build().expect("a runtime");
        let pool = QueryPool::new(threads, runtime.handle().clone());
        (runtime, pool)
    }

    #[test]
    fn jobs_run_beside_each_other_up_to_the_number_of_threads() {
        let (_runtime, pool) = pool(2);
        let (told, tells) = mpsc::channel();
        let (go, _) = (Arc::new(Mutex::new(())), ());
        let held = go.lock();
        for number in 0..5 {
            let (told, go) = (told.clone(), Arc::clone(&go));
            pool.run(Box::new(move || {
                told.send(number).expect("the test listens");
                drop(go.lock());
            }));
        }
        let mut begun = [tells.recv().expect("one"), tells.recv().expect("another")];
        begun.sort_unstable();
        assert_eq!(begun, [0, 1]);
        let PoolFigures { threads, waiting, running, .. } = pool.figures();
        assert_eq!((threads, waiting, running), (2, 3, 2));
        drop(held);
        let mut rest: Vec<i32> = tells.iter().take(3).collect();
        rest.sort_unstable();
        assert_eq!(rest, [2, 3, 4]);
    }

    #[test]
    fn what_waits_is_done_after_the_end_and_later_jobs_at_once() {
        let (_runtime, pool) = pool(1);
        let (told, tells) = mpsc::channel();
        for number in 0..3 {
            let told = told.clone();
            pool.run(Box::new(move || told.send(number).expect("the test listens")));
        }
        pool.close();
        assert_eq!(tells.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
        let here = std::thread::current().id();
        pool.run(Box::new(move || assert_eq!(std::thread::current().id(), here)));
        assert!(pool.gate().try_enter(1).is_err());
    }

    #[test]
    fn a_timer_that_is_dropped_wakes_nobody() {
        let (_runtime, pool) = pool(1);
        let (told, tells) = mpsc::channel();
        let (one, other) = (told.clone(), told);
        let long = Duration::from_millis(50);
        let dropped = pool.after(long, Box::new(move || one.send("dropped").expect("listens")));
        let kept = pool.after(2 * long, Box::new(move || other.send("kept").expect("listens")));
        drop(dropped);
        assert_eq!(tells.recv(), Ok("kept"));
        drop(kept);
        assert!(tells.recv().is_err());
    }
}
