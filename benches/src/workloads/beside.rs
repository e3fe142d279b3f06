//! Reads under full write load: what the load does to a reader, and the reader to the writer.
//!
//! The writer and all that works for it have one core, the reader has another. Short slices of the
//! writer alone, of both, and of the reader alone take turns, so that neither a drift of the
//! machine nor the state's growth can look like a cost.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject, rest, turn};
use crate::modules::count::HITS;
use crate::report::Report;
use crate::usage::Usage;

use super::appends::{Appends, Pace, Running};
use super::cores::Cores;
use super::count;
use super::events::Hits;
use super::read::Reads;

/// Slices of each kind.
const SLICES: u32 = 8;

/// Unmeasured time of the writer before each slice: its core is warm, its pipeline full.
const LEAD: Duration = Duration::from_millis(100);

/// Flushes of each partition after which the writer counts as steady.
const FOLDS: u64 = 2;

/// The longest wait for them, in terms of the asked warm-up.
const STEADY_MAX: u32 = 20;

/// Measures reads beside a writer of `running`, and adds the result to `report`.
pub(super) fn beside(
    running: Running,
    cores: Cores,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let (keys, filled) = (options.keys, options.keys as u64);
    let reads = Reads::new(&running, options)?;
    let checker = move |running: &Running, _: &Hits, hits| {
        check("gridmill", "sum of the counters", filled + hits, count::sum(running, keys)?)
    };
    let writer = Appends::new(running, HITS, Hits::new(options), Pace::new(options), checker);
    let mut pair = Pair { writer, reads, cores };
    pair.become_steady(options.warm_up)?;
    let mut seen = Seen::default();
    for slice in 0..SLICES {
        pair.slices(slice, options.time / SLICES, &mut seen)?;
    }
    pair.writer.check()?;
    pair.reads.check()?;
    seen.report(report);
    Ok(())
}

/// What was seen in the slices of each kind.
#[derive(Default)]
struct Seen {
    alone: Recorder,
    beside: Recorder,
    loaded: Recorder,
    idle: Recorder,
    /// The writer's rate with the reader in terms of its rate without, slice by slice.
    kept: Vec<f64>,
}

impl Seen {
    fn report(mut self, report: &mut Report) {
        let percent = |share: f64| (1.0 - share) * 100.0;
        let cpu = |seen: &Recorder| seen.usage.cpu.as_secs_f64() / seen.ops.max(1) as f64;
        let (by_sum, by_cpu) =
            (self.beside.rate() / self.alone.rate(), cpu(&self.alone) / cpu(&self.beside));
        self.kept.sort_by(f64::total_cmp);
        let median = self.kept.get(self.kept.len() / 2).copied().unwrap_or(1.0);
        let p99 = self.loaded.micros(0.99) / self.idle.micros(0.99).max(1e-9);
        report.line("reads, writer idle", self.idle);
        report.line("reads under load", self.loaded);
        report.line("writer alone", self.alone);
        report.line("writer with reader", self.beside);
        report.figure("p99 under load", p99, "times that with an idle writer");
        report.figure("reader costs writer", percent(by_sum), "% of its rate, over all slices");
        report.figure("", percent(median), "% of its rate, median of pairs of slices");
        report.figure("", percent(by_cpu), "% of its events per second of CPU");
    }
}

struct Pair<C> {
    writer: Appends<Hits, C>,
    reads: Reads,
    cores: Cores,
}

impl<C> Pair<C>
where
    C: FnMut(&Running, &Hits, u64) -> Result<()> + Send,
{
    /// Writes until every key has been touched and every partition has flushed.
    fn become_steady(&mut self, warm_up: Duration) -> Result<()> {
        self.writer.touch()?;
        let (start, before) = (Instant::now(), self.flushes());
        loop {
            self.write(LEAD, &mut Recorder::default(), None)?;
            let flushed = self.flushes() >= before + FOLDS;
            if (flushed && start.elapsed() >= warm_up) || start.elapsed() > warm_up * STEADY_MAX {
                return Ok(());
            }
        }
    }

    /// Flushes of the partition that has the fewest.
    fn flushes(&self) -> u64 {
        let stats = self.writer.running.grid.as_ref().map(|grid| grid.stats());
        let modules = stats.into_iter().flat_map(|stats| stats.modules);
        let partitions = modules.flat_map(|module| module.partitions);
        partitions.map(|partition| partition.flushes).min().unwrap_or_default()
    }

    /// A slice of each kind; with and without the reader take turns in coming first.
    fn slices(&mut self, number: u32, time: Duration, seen: &mut Seen) -> Result<()> {
        let (mut alone, mut beside) = (Recorder::default(), Recorder::default());
        for reading in [number.is_multiple_of(2), !number.is_multiple_of(2)] {
            match reading {
                true => self.write(time, &mut beside, Some(&mut seen.loaded))?,
                false => self.write(time, &mut alone, None)?,
            }
        }
        seen.kept.push(beside.rate() / alone.rate());
        seen.alone.add(&alone);
        seen.beside.add(&beside);
        rest(&[]);
        self.reads.turn(time, &mut seen.idle).map(drop)
    }

    /// A slice of the writer on its core, and of the reader on this one if somebody looks at it.
    fn write(
        &mut self,
        time: Duration,
        written: &mut Recorder,
        read: Option<&mut Recorder>,
    ) -> Result<()> {
        let (Self { writer, reads, cores }, ready) = (self, Barrier::new(2));
        let reader_used = std::thread::scope(|scope| {
            let writing = scope.spawn(|| write(writer, *cores, time, written, &ready));
            ready.wait();
            let used = read.map_or(Ok(Duration::ZERO), |seen| reads.turn(time, seen));
            writing.join().map_err(|_| "it panicked").map_err(failed("the writer"))??;
            used
        })?;
        written.usage.cpu = written.usage.cpu.saturating_sub(reader_used);
        Ok(())
    }
}

/// A slice of the writer, on a thread of its own; `ready` is reached when it is up to speed.
fn write(
    writer: &mut (impl Subject + Send),
    cores: Cores,
    time: Duration,
    written: &mut Recorder,
    ready: &Barrier,
) -> Result<()> {
    let up = cores.write();
    let up = up.and_then(|()| writer.run(Instant::now() + LEAD, &mut Recorder::default()));
    ready.wait();
    up?;
    let before = Usage::now(&[]);
    turn(writer, written, time)?;
    written.usage += Usage::now(&[]).since(before);
    Ok(())
}
