//! Point selects in process: alone, and beside a writer at full speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use gridmill::client::{Ack, Client};
use gridmill::prelude::Navigate;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::args::Options;
use crate::draw::Draw;
use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject, turn};
use crate::modules::count::{COUNTS, CountModule, HITS, Hit};
use crate::report::{Line, Report};

use super::appends::Running;

/// Of so many reads, one is timed: the clock costs as much as a read.
const SAMPLE: u64 = 32;

/// Events of a writer's call.
const BATCH: u64 = 1024;

pub(super) fn run(options: &Options) -> Result<Report> {
    let keys = options.keys(1_000_000);
    let mut running = Running::start::<CountModule>(options, 2)?;
    fill(&running, keys)?;
    // A clean stop folds everything: what is read is one settled run a partition.
    running.stop()?;
    running.open::<CountModule>(options, 2)?;
    let mut reads = Reads { client: running.client()?, draw: reads_of(options, keys), wrong: 0 };
    let mut idle = Recorder::default();
    turn(&mut reads, &mut Recorder::default(), options.time() / 10)?;
    turn(&mut reads, &mut idle, options.time())?;
    reads.check()?;
    let mut report = Report::default();
    loaded(&running, &mut reads, options, keys, &mut report)?;
    report.lines.insert(0, Line { name: "gridmill".to_owned(), seen: idle });
    if options.peers.iter().any(|peer| peer == "hashmap") {
        report.lines.push(hashmap(options, keys));
    }
    Ok(report)
}

fn reads_of(options: &Options, keys: usize) -> Draw {
    Draw::new(7, keys, options.dist)
}

/// Gives key `n` the count 1.
pub(super) fn fill(running: &Running, keys: usize) -> Result<()> {
    let client = running.client()?;
    let all: Vec<u64> = (0..keys as u64).collect();
    for keys in all.chunks(4096) {
        let hits: Vec<Hit> = keys.iter().map(|&key| Hit { key, note: "".into() }).collect();
        let appended = running.runtime.block_on(client.append_many(HITS, hits));
        appended.map_err(failed("filling"))?;
    }
    Ok(())
}

struct Reads {
    client: Client,
    draw: Draw,
    /// Reads that found no counter.
    wrong: u64,
}

impl Reads {
    fn read(&mut self) -> Result<()> {
        let key = self.draw.key();
        // A select walks the view on this thread; it never waits.
        let found = self.client.select_one(COUNTS.key(key)).now_or_never();
        let found = found.transpose().map_err(failed("a read"))?.flatten();
        self.wrong += u64::from(found.is_none());
        Ok(())
    }
}

impl Subject for Reads {
    fn name(&self) -> &str {
        "gridmill"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        loop {
            let start = Instant::now();
            if start >= until {
                return Ok(());
            }
            self.read()?;
            let sampled = Instant::now();
            for _ in 1..SAMPLE {
                self.read()?;
            }
            seen.sampled(SAMPLE, start, sampled);
        }
    }

    fn check(&mut self) -> Result<()> {
        check("gridmill", "reads that found nothing", 0, self.wrong)
    }
}

/// The same reads while a writer has the other core to itself, and the writer with and without them.
fn loaded(
    running: &Running,
    reads: &mut Reads,
    options: &Options,
    keys: usize,
    report: &mut Report,
) -> Result<()> {
    let cores = Cores::split()?;
    let stop = Arc::new(AtomicBool::new(false));
    let client = running.client()?;
    let (written, ended) = std::sync::mpsc::channel();
    let writer = {
        let (stop, draw) = (Arc::clone(&stop), Draw::new(11, keys, options.dist));
        std::thread::spawn(move || write(&client, draw, &stop, &written))
    };
    cores.move_others(1)?;
    let drain = || ended.try_iter().sum::<u64>() as f64;
    std::thread::sleep(options.time() / 10);
    drain();
    std::thread::sleep(options.time());
    let alone = drain() / options.time().as_secs_f64();
    let mut seen = Recorder::default();
    turn(reads, &mut seen, options.time())?;
    let beside = drain() / seen.busy.as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let joined = writer.join().map_err(|_| "it panicked").map_err(failed("the writer"))?;
    cores.release()?;
    joined?;
    reads.check()?;
    report.lines.push(Line { name: "under load".to_owned(), seen });
    report.figure("writer_alone_ops_per_s", alone, "events/s");
    report.figure("writer_beside_reader_ops_per_s", beside, "events/s");
    report.figure("reader_costs_writer", (1.0 - beside / alone.max(1.0)) * 100.0, "%");
    Ok(())
}

/// Appends until it is told to stop; says after each call how many events it were.
fn write(
    client: &Client,
    mut draw: Draw,
    stop: &AtomicBool,
    written: &std::sync::mpsc::Sender<u64>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(failed("a runtime"))?;
    while !stop.load(Ordering::Relaxed) {
        let hits: Vec<Hit> = (0..BATCH).map(|_| Hit { key: draw.key(), note: "".into() }).collect();
        let appended = runtime.block_on(client.append_many_with(HITS, hits, Ack::Processed));
        appended.map_err(failed("an append"))?;
        // The reader may have ended already.
        let _ = written.send(BATCH);
    }
    Ok(())
}

/// The first core for this thread, the second for all others.
struct Cores {
    before: CpuSet,
}

impl Cores {
    fn split() -> Result<Self> {
        let before = sched_getaffinity(None).map_err(failed("the cores"))?;
        sched_setaffinity(None, &only(0)).map_err(failed("the cores"))?;
        Ok(Self { before })
    }

    /// Pins every other thread of this process to core `core`.
    fn move_others(&self, core: usize) -> Result<()> {
        let me = rustix::thread::gettid();
        for task in std::fs::read_dir("/proc/self/task").map_err(failed("the threads"))? {
            let name = task.map_err(failed("the threads"))?.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            let Some(id) = id.and_then(rustix::thread::Pid::from_raw) else { continue };
            if id != me {
                // It may have ended meanwhile.
                let _ = sched_setaffinity(Some(id), &only(core));
            }
        }
        Ok(())
    }

    fn release(&self) -> Result<()> {
        sched_setaffinity(None, &self.before).map_err(failed("the cores"))
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// The same reads of a hash map.
fn hashmap(options: &Options, keys: usize) -> Line {
    let map: hashbrown::HashMap<u64, u64> = (0..keys as u64).map(|key| (key, 1)).collect();
    let mut draw = reads_of(options, keys);
    let mut seen = Recorder::default();
    let (start, mut found) = (Instant::now(), 0_u64);
    while start.elapsed() < options.time() {
        let sample = Instant::now();
        found += map.get(&draw.key()).copied().unwrap_or_default();
        let sampled = Instant::now();
        for _ in 1..SAMPLE {
            found += map.get(&draw.key()).copied().unwrap_or_default();
        }
        seen.sampled(SAMPLE, sample, sampled);
    }
    std::hint::black_box(found);
    seen.busy = start.elapsed().max(Duration::from_nanos(1));
    Line { name: "hashmap".to_owned(), seen }
}
