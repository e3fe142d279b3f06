//! Bytes of memory for each entry, once the state has settled.

use std::io::BufReader;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use gridmill::prelude::*;
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

/// Redis keeps numbers below 10,000 once for all entries.
const UNSHARED: &str = "10000";

/// Commands that redis is sent at a time.
const PIPELINE: usize = 256;

pub(super) fn run(options: &Options) -> Result<Report> {
    // What a grid takes with a single entry is no entry's.
    let empty = measure(&Options { keys: 1, ..options.clone() })?;
    let full = measure(options)?;
    let each = |bytes: u64| bytes as f64 / options.keys as f64;
    let heap = full.heap.saturating_sub(empty.heap);
    let mut report = Report::default();
    report.line("gridmill", full.filled);
    report.figure("first_read_ms", full.first_read_ms, "ms until the first read");
    report.figure("state_bytes", full.mapped as f64, "bytes of mapped pages of runs");
    report.figure("bytes_per_entry", each(full.mapped), "settled: mapped pages of runs");
    report.figure("heap, settled", each(heap), "bytes an entry");
    report.figure("heap, just written", each(full.written), "bytes an entry: cache and overlay");
    report.figure("heap, without entries", empty.heap as f64, "bytes of a grid: threads, buffers");
    for peer in &options.peers {
        match peer.as_str() {
            "redis" => of_redis(options.keys, each(full.mapped + heap), &mut report)?,
            other => {
                return Err(BenchError::Usage(format!("workload `memory` has no peer `{other}`")));
            }
        }
    }
    Ok(report)
}

/// What a grid takes.
struct Grid {
    filled: Recorder,
    /// Bytes of heap right after it was filled.
    written: u64,
    first_read_ms: f64,
    /// Bytes of heap and threads once it was stopped and opened again.
    heap: u64,
    /// Bytes of mapped pages, once all has been read.
    mapped: u64,
}

fn measure(options: &Options) -> Result<Grid> {
    let empty = heap("self");
    let mut running = Running::start::<CountModule>(options)?;
    let filled = fill(&running, options)?;
    let written = heap("self").saturating_sub(empty);
    running.stop()?;
    let [first_read_ms, heap, mapped] = settled(options, &running.path)?;
    Ok(Grid { filled, written, first_read_ms, heap: heap as u64, mapped: mapped as u64 })
}

/// Opens the folder in a process of its own: an allocator keeps what the filling took.
fn settled(options: &Options, folder: &Path) -> Result<[f64; 3]> {
    let program = std::env::current_exe().map_err(failed("this program"))?;
    let mut child = Command::new(program);
    child.arg("memory").arg("--settled").arg(folder);
    child.arg("--keys").arg(options.keys.to_string());
    child.arg("--partitions").arg(options.partitions.to_string());
    child.arg("--threads").arg(options.threads.to_string());
    let output = child.stderr(Stdio::inherit()).output().map_err(failed("this program"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    numbers.try_into().map_err(|_| failed("the settled folder")(output.status))
}

/// The process on a settled folder: prints what [`settled`] wants to know.
///
/// # Errors
/// Where the grid does not open, or a counter is wrong.
pub(crate) fn print_settled(options: &Options, folder: &Path) -> Result<()> {
    let mut running = Running::at(folder.to_owned())?;
    let (empty, start) = (heap("self"), Instant::now());
    running.open::<CountModule>(options)?;
    let found = running.runtime.block_on(running.client()?.select_one(COUNTS.key(0)));
    let first_read_ms = start.elapsed().as_secs_f64() * 1e3;
    let heap = heap("self").saturating_sub(empty);
    let found = found.map_err(failed("a read"))?.unwrap_or_default();
    check("gridmill", "the first counter", 1, found)?;
    let sum = count::sum(&running, options.keys)?;
    check("gridmill", "sum of the counters", options.keys as u64, sum)?;
    // A scan does not need the index; a read of every key does.
    for key in 0..options.keys as u64 {
        let read = running.runtime.block_on(running.client()?.select_one(COUNTS.key(key)));
        check("gridmill", "a counter", 1, read.map_err(failed("a read"))?.unwrap_or_default())?;
    }
    println!("{first_read_ms} {heap} {}", mapped_runs());
    running.stop()
}

/// Bytes of the resident pages of all mapped runs.
fn mapped_runs() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let (mut sum, mut of_run) = (0, false);
    for line in maps.lines() {
        if line.split_ascii_whitespace().next().is_some_and(|word| word.contains('-')) {
            of_run = line.ends_with(".run");
        } else if of_run {
            sum += field(line, "Rss:").unwrap_or_default() * 1024;
        }
    }
    sum
}

/// Gives every key the count 1.
fn fill(running: &Running, options: &Options) -> Result<Recorder> {
    let (mut seen, start, before) = (Recorder::default(), Instant::now(), Usage::now(&[]));
    seen.ops = touch(running, HITS, &Hits::new(options))?;
    seen.busy = start.elapsed();
    seen.usage = Usage::now(&[]).since(before);
    Ok(seen)
}

/// Bytes of resident memory of a process that are no file's.
fn heap(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, "RssAnon:").unwrap_or_default() * 1024
}

/// The same counters in a hash of redis for every hundred keys would be compact; a key for each is
/// what an application does. The ratio is that of the bytes, all of ours against its heap.
fn of_redis(keys: usize, ours: f64, report: &mut Report) -> Result<()> {
    let folder = TempDir::new().map_err(failed("a folder"))?;
    let (server, mut stream, _) = redis::start(folder.path(), false)?;
    let pid = server.pid().to_string();
    let (empty, before) = (heap(&pid), Usage::now(&[server.pid()]));
    let mut seen = Recorder::default();
    increase(&mut stream, keys, "1", &mut seen)?;
    seen.usage = Usage::now(&[server.pid()]).since(before);
    let each = || heap(&pid).saturating_sub(empty) as f64 / keys as f64;
    let theirs = each();
    report.lines.push(Line { name: "redis".to_owned(), seen, ratio: ours / theirs.max(1e-9) });
    report.figure("redis", theirs, "bytes an entry, as long as it shares small counts");
    increase(&mut stream, keys, UNSHARED, &mut Recorder::default())?;
    report.figure("redis, larger counts", each(), "bytes an entry");
    Ok(())
}

/// Adds `by` to every counter.
fn increase(
    stream: &mut BufReader<TcpStream>,
    keys: usize,
    by: &str,
    seen: &mut Recorder,
) -> Result<()> {
    let begin = Instant::now();
    for first in (0..keys).step_by(PIPELINE) {
        let (keys, start) = (first..(first + PIPELINE).min(keys), Instant::now());
        let names: Vec<String> = keys.map(|key| format!("{key:08}")).collect();
        redis::ask_all(stream, names.iter().map(|name| ["INCRBY", name.as_str(), by]))?;
        seen.answered(names.len() as u64, start);
    }
    seen.busy = begin.elapsed();
    Ok(())
}
