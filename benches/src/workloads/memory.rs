//! Bytes of memory for each entry, once the state has settled.

use std::time::Instant;

use gridmill::prelude::Navigate;
use tempfile::TempDir;

use crate::args::Options;
use crate::error::{BenchError, Result, check, failed};
use crate::measure::Recorder;
use crate::modules::count::{COUNTS, CountModule, HITS};
use crate::peers::redis;
use crate::report::{Line, Report};
use crate::usage::{Usage, field};

use super::appends::{Running, touch};
use super::count;
use super::events::Hits;

/// Commands that redis is sent at a time.
const PIPELINE: usize = 256;

pub(super) fn run(options: &Options) -> Result<Report> {
    let keys = options.keys;
    let empty = Memory::now("self");
    let mut running = Running::start::<CountModule>(options)?;
    let filled = fill(&running, options)?;
    let written = Memory::now("self").since(empty);
    running.stop()?;
    let start = Instant::now();
    running.open::<CountModule>(options)?;
    let found = running.runtime.block_on(running.client()?.select_one(COUNTS.key(0)));
    let first_read = start.elapsed().as_secs_f64() * 1e3;
    let found = found.map_err(failed("a read"))?.unwrap_or_default();
    check("gridmill", "the first counter", 1, found)?;
    // Every entry is read once, so that every page of the runs that readers need is mapped.
    check("gridmill", "sum of the counters", keys as u64, count::sum(&running, keys)?)?;
    let settled = Memory::now("self").since(empty);
    let each = |bytes: u64| bytes as f64 / keys as f64;
    let mut report = Report::default();
    report.line("gridmill", filled);
    report.figure("first_read_ms", first_read, "ms until the first read");
    report.figure("state_bytes", settled.mapped as f64, "bytes of mapped pages");
    report.figure("bytes_per_entry", each(settled.mapped), "settled: mapped pages of runs");
    report.figure("settled heap", each(settled.heap), "bytes an entry, threads and all");
    report.figure("written heap", each(written.heap), "bytes an entry, with cache and overlay");
    for peer in &options.peers {
        match peer.as_str() {
            "redis" => of_redis(keys, each(settled.mapped), &mut report)?,
            other => {
                return Err(BenchError::Usage(format!("workload `memory` has no peer `{other}`")));
            }
        }
    }
    Ok(report)
}

/// Gives every key the count 1.
fn fill(running: &Running, options: &Options) -> Result<Recorder> {
    let (mut seen, start, before) = (Recorder::default(), Instant::now(), Usage::now(&[]));
    seen.ops = touch(running, HITS, &Hits::new(options))?;
    seen.busy = start.elapsed();
    seen.usage = Usage::now(&[]).since(before);
    Ok(seen)
}

/// Resident memory of a process.
#[derive(Clone, Copy)]
struct Memory {
    heap: u64,
    mapped: u64,
}

impl Memory {
    fn now(pid: &str) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let bytes = |name| field(&status, name).unwrap_or_default() * 1024;
        Self { heap: bytes("RssAnon:"), mapped: bytes("RssFile:") }
    }

    fn since(self, before: Self) -> Self {
        Self {
            heap: self.heap.saturating_sub(before.heap),
            mapped: self.mapped.saturating_sub(before.mapped),
        }
    }
}

/// The same counters in a hash of redis for every hundred keys would be compact; a key for each is
/// what an application does. The ratio is that of the bytes.
fn of_redis(keys: usize, ours: f64, report: &mut Report) -> Result<()> {
    let folder = TempDir::new().map_err(failed("a folder"))?;
    let (server, mut stream, _) = redis::start(folder.path(), false)?;
    let servers = [server.pid()];
    let (memory, before) = (Memory::now(&server.pid().to_string()), Usage::now(&servers));
    let (mut seen, start) = (Recorder::default(), Instant::now());
    for first in (0..keys).step_by(PIPELINE) {
        let keys = first..(first + PIPELINE).min(keys);
        let names: Vec<String> = keys.map(|key| format!("{key:08}")).collect();
        redis::ask_all(&mut stream, names.iter().map(|name| ["INCR", name.as_str()]))?;
        seen.answered(names.len() as u64, start);
    }
    seen.busy = start.elapsed();
    seen.usage = Usage::now(&servers).since(before);
    let memory = Memory::now(&server.pid().to_string()).since(memory);
    let theirs = memory.heap as f64 / keys as f64;
    report.lines.push(Line { name: "redis".to_owned(), seen, ratio: ours / theirs.max(1e-9) });
    report.figure("redis", theirs, "bytes an entry");
    Ok(())
}
