//! Point selects in process: of a settled run, and beside a writer at full speed.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use gridmill::client::Client;
use gridmill::prelude::*;

use crate::args::Options;
use crate::draw::Draw;
use crate::error::{BenchError, Result, check, failed};
use crate::measure::{Recorder, Subject, turn};
use crate::modules::count::{COUNTS, CountModule, HITS};
use crate::report::Report;
use crate::usage::Usage;

use super::appends::{Running, touch};
use super::beside::beside;
use super::cores::Cores;
use super::events::Hits;
use super::{compare, with_peers};

/// Of so many reads, one is timed: the clock costs a tenth of a read.
pub(super) const SAMPLE: u64 = 16;

pub(super) fn run(options: &Options) -> Result<Report> {
    let cores = Cores::two()?.ok_or_else(|| BenchError::Failed {
        what: "read",
        message: "it needs two cores, one for the writer and one for the reader".to_owned(),
    })?;
    cores.write()?;
    let mut running = Running::start::<CountModule>(options)?;
    touch(&running, HITS, &Hits::new(options))?;
    // A clean stop flushes everything: what is read is one settled run a partition.
    running.stop()?;
    running.open::<CountModule>(options)?;
    cores.read()?;
    let subjects = with_peers(Reads::new(&running, options)?, options, |name| match name {
        "hashmap" => Ok(Some(Box::new(HashMapReads::new(options)))),
        _ => Ok(None),
    })?;
    let mut report = compare(subjects, options)?;
    beside(running, cores, options, &mut report)?;
    Ok(report)
}

/// Reads keys through a client, each on the calling thread.
pub(super) struct Reads {
    client: Client,
    draw: Draw,
    /// Reads that found no counter.
    wrong: u64,
}

impl Reads {
    pub(super) fn new(running: &Running, options: &Options) -> Result<Self> {
        Ok(Self { client: running.client()?, draw: draw(options), wrong: 0 })
    }

    /// Reads for `time`, and says what CPU time that took.
    pub(super) fn turn(&mut self, time: Duration, seen: &mut Recorder) -> Result<Duration> {
        let before = Usage::of_thread();
        turn(self, seen, time)?;
        let used = Usage::of_thread() - before;
        seen.usage.cpu += used;
        Ok(used)
    }

    fn read(&mut self) -> Result<()> {
        let key = self.draw.key();
        // A select walks the view on this thread; it never waits.
        let found = self.client.select_one(COUNTS.key(key)).now_or_never();
        let found = found.transpose().map_err(failed("a read"))?.flatten();
        self.wrong += u64::from(found.is_none());
        Ok(())
    }
}

fn draw(options: &Options) -> Draw {
    Draw::new(7, options.keys, options.dist)
}

impl Subject for Reads {
    fn name(&self) -> &str {
        "gridmill"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        sample(until, seen, SAMPLE, || self.read())
    }

    fn check(&mut self) -> Result<()> {
        check("gridmill", "reads that found nothing", 0, self.wrong)
    }
}

/// Reads until `until`, and times one of every `each` reads.
pub(super) fn sample(
    until: Instant,
    seen: &mut Recorder,
    each: u64,
    mut read: impl FnMut() -> Result<()>,
) -> Result<()> {
    loop {
        let start = Instant::now();
        if start >= until {
            return Ok(());
        }
        read()?;
        let sampled = Instant::now();
        for _ in 1..each {
            read()?;
        }
        seen.sampled(each, start, sampled);
    }
}

/// The same reads of a hash map.
struct HashMapReads {
    map: hashbrown::HashMap<u64, u64>,
    draw: Draw,
    wrong: u64,
}

impl HashMapReads {
    fn new(options: &Options) -> Self {
        let map = (0..options.keys as u64).map(|key| (key, 1)).collect();
        Self { map, draw: draw(options), wrong: 0 }
    }
}

impl Subject for HashMapReads {
    fn name(&self) -> &str {
        "hashmap"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        sample(until, seen, SAMPLE, || {
            self.wrong += u64::from(self.map.get(&self.draw.key()) != Some(&1));
            Ok(())
        })
    }

    fn check(&mut self) -> Result<()> {
        check("hashmap", "reads that found nothing", 0, self.wrong)
    }
}
