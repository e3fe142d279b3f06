//! Running systems side by side: in turns, so that a noisy machine is noisy for all of them.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::error::Result;
use crate::usage::Usage;

/// Turns that each system has.
const ROUNDS: u32 = 4;

/// A system is at rest when it used less than a tenth of a core for so long.
const REST: Duration = Duration::from_millis(50);

/// The longest wait for a system to come to rest.
const REST_MAX: Duration = Duration::from_secs(5);

/// How finely throughput over time is kept.
const SLICE: Duration = Duration::from_millis(50);

/// The longest latency that is told apart: a minute, in nanoseconds.
const LATENCY_MAX: u64 = 60_000_000_000;

/// One system that does the operations of a workload.
pub trait Subject {
    /// The name in the table.
    fn name(&self) -> &str;

    /// Puts in place what every operation may meet, such as every key. Not measured.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn touch(&mut self) -> Result<()> {
        Ok(())
    }

    /// Does operations until `until`, and waits for the answers of all of them.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()>;

    /// Compares what the system holds with what was done.
    ///
    /// # Errors
    /// [`BenchError::Wrong`](crate::error::BenchError::Wrong) where they differ.
    fn check(&mut self) -> Result<()>;

    /// Processes whose work counts as this system's.
    fn servers(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// What was seen of one system.
#[derive(Debug)]
pub struct Recorder {
    /// Nanoseconds from asking to the answer, one count an operation.
    pub latency: Histogram<u64>,
    /// Operations that were answered.
    pub ops: u64,
    /// Time spent in turns.
    pub busy: Duration,
    /// What the turns used.
    pub usage: Usage,
    /// Operations in each slice of the busy time.
    pub slices: Vec<u64>,
    turn: Instant,
}

impl Default for Recorder {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 3)
            .unwrap_or_else(|_| unreachable!("the bounds are allowed"));
        Self {
            latency,
            ops: 0,
            busy: Duration::ZERO,
            usage: Usage::default(),
            slices: Vec::new(),
            turn: Instant::now(),
        }
    }
}

impl Recorder {
    /// `count` operations that started at `start` were answered now, which is returned.
    pub fn answered(&mut self, count: u64, start: Instant) -> Instant {
        let now = Instant::now();
        self.latency.saturating_record_n(nanos(now - start), count);
        self.count(count, now);
        now
    }

    /// `count` operations are done, of which one took from `start` to `sampled`.
    pub fn sampled(&mut self, count: u64, start: Instant, sampled: Instant) {
        self.latency.saturating_record(nanos(sampled - start));
        self.count(count, sampled);
    }

    fn count(&mut self, count: u64, now: Instant) {
        self.ops += count;
        let at = self.busy + now.saturating_duration_since(self.turn);
        let slice = (at.as_nanos() / SLICE.as_nanos()) as usize;
        if slice >= self.slices.len() {
            self.slices.resize(slice + 1, 0);
        }
        self.slices[slice] += count;
    }

    /// Takes over what was seen in another turn.
    pub fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).unwrap_or_else(|_| unreachable!("the bounds are equal"));
        self.ops += other.ops;
        self.busy += other.busy;
        self.usage += other.usage;
        self.slices.extend(&other.slices);
    }

    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.ops as f64 / self.busy.as_secs_f64().max(1e-9)
    }

    /// The latency in microseconds below which `share` of the operations stayed.
    pub fn micros(&self, share: f64) -> f64 {
        self.latency.value_at_quantile(share) as f64 / 1e3
    }

    /// Operations a second over time: (seconds, rate).
    pub fn over_time(&self) -> Vec<(f64, f64)> {
        let width = SLICE.as_secs_f64();
        let whole = (self.busy.as_nanos() / SLICE.as_nanos()) as usize;
        let slices = self.slices.iter().take(whole).enumerate();
        slices.map(|(n, ops)| (n as f64 * width, *ops as f64 / width)).collect()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Lets every subject touch its keys, runs each for `warm_up` unmeasured and for `time` measured, in
/// turns, and checks what they hold at the end.
///
/// # Errors
/// The first error of a subject, also that its results are wrong.
pub fn measure(
    subjects: &mut [Box<dyn Subject>],
    warm_up: Duration,
    time: Duration,
) -> Result<Vec<Recorder>> {
    for subject in subjects.iter_mut() {
        subject.touch()?;
        rest(&subject.servers());
    }
    turns(subjects, warm_up)?;
    let seen = turns(subjects, time)?;
    for subject in subjects.iter_mut() {
        subject.check()?;
    }
    Ok(seen)
}

/// Runs every subject for `time`, in turns.
fn turns(subjects: &mut [Box<dyn Subject>], time: Duration) -> Result<Vec<Recorder>> {
    let mut seen: Vec<Recorder> = subjects.iter().map(|_| Recorder::default()).collect();
    if time.is_zero() {
        return Ok(seen);
    }
    for _ in 0..ROUNDS {
        for (subject, seen) in subjects.iter_mut().zip(&mut seen) {
            let before = Usage::now(&subject.servers());
            turn(&mut **subject, seen, time / ROUNDS)?;
            // What a turn leaves to its background threads is its own: it counts there, and is done
            // before the next system has its turn.
            rest(&subject.servers());
            seen.usage += Usage::now(&subject.servers()).since(before);
        }
    }
    Ok(seen)
}

/// One turn of a subject; what it used is for the caller to count.
///
/// # Errors
/// Those of the subject.
pub fn turn(subject: &mut dyn Subject, seen: &mut Recorder, time: Duration) -> Result<()> {
    seen.turn = Instant::now();
    subject.run(seen.turn + time, seen)?;
    seen.busy += seen.turn.elapsed();
    Ok(())
}

/// Waits until this process and `servers` do nothing any more.
pub(crate) fn rest(servers: &[u32]) {
    let (start, mut before) = (Instant::now(), Usage::now(servers));
    while start.elapsed() < REST_MAX {
        std::thread::sleep(REST);
        let now = Usage::now(servers);
        if now.since(before).cpu < REST / 10 {
            return;
        }
        before = now;
    }
}
