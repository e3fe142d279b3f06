//! Bytes of memory for each entry, once the state has settled.

use gridmill::prelude::Navigate;
use tempfile::TempDir;

use crate::args::Options;
use crate::error::{BenchError, Result, check, failed};
use crate::modules::count::{COUNTS, CountModule};
use crate::peers::redis;
use crate::report::Report;
use crate::usage::field;

use super::appends::Running;
use super::{count, read};

pub(super) fn run(options: &Options) -> Result<Report> {
    let keys = options.keys(1_000_000);
    let empty = Memory::now("self");
    let mut running = Running::start::<CountModule>(options, 2)?;
    read::fill(&running, keys)?;
    let written = Memory::now("self");
    running.stop()?;
    running.open::<CountModule>(options, 2)?;
    // Every entry is read once, so that every page of the runs that readers need is mapped.
    check("gridmill", "sum of the counters", keys as u64, count::sum(&running, keys)?)?;
    let found = running.runtime.block_on(running.client()?.select_one(COUNTS.key(0)));
    check(
        "gridmill",
        "the first counter",
        1,
        found.map_err(failed("a read"))?.unwrap_or_default(),
    )?;
    let settled = Memory::now("self");
    let each = |bytes: u64| bytes as f64 / keys as f64;
    let mapped = settled.file.saturating_sub(empty.file);
    let mut report = Report::default();
    report.figure("bytes_per_entry", each(mapped), "bytes an entry, mapped pages of settled runs");
    let heap = written.anonymous.saturating_sub(empty.anonymous);
    report.figure("heap_while_written", each(heap), "bytes an entry, heap with cache and overlay");
    report.figure("state_bytes", mapped as f64, "bytes of mapped pages");
    for peer in &options.peers {
        match peer.as_str() {
            "redis" => of_redis(keys, &mut report)?,
            other => {
                return Err(BenchError::Usage(format!("workload `memory` has no peer `{other}`")));
            }
        }
    }
    Ok(report)
}

/// Resident memory of a process.
struct Memory {
    anonymous: u64,
    file: u64,
}

impl Memory {
    fn now(pid: &str) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let bytes = |name| field(&status, name).unwrap_or_default() * 1024;
        Self { anonymous: bytes("RssAnon:"), file: bytes("RssFile:") }
    }
}

/// The same counters in a hash of redis for every hundred keys would be compact; a key for each is
/// what an application does.
fn of_redis(keys: usize, report: &mut Report) -> Result<()> {
    let folder = TempDir::new().map_err(failed("a folder"))?;
    let (server, mut stream, _) = redis::start(folder.path(), false)?;
    let before = Memory::now(&server.pid().to_string());
    for key in 0..keys {
        redis::ask(&mut stream, &["INCR", &format!("{key:08}")])?;
    }
    let after = Memory::now(&server.pid().to_string());
    let bytes = after.anonymous.saturating_sub(before.anonymous) as f64 / keys as f64;
    report.figure("redis_bytes_per_entry", bytes, "bytes an entry, redis");
    Ok(())
}
