//! Starting on a folder with state, until the first correct read.

use std::path::Path;
use std::time::Instant;

use gridmill::prelude::Navigate;

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::modules::todo::{EVENTS, TODOS, TodoEvent, TodoModule};
use crate::report::Report;

use super::appends::Running;
use super::events::user_name;

/// Bytes of a todo's text: state comes to its size quickly.
const TEXT_BYTES: usize = 1000;

/// Events a call.
const BATCH: u64 = 4096;

/// Starts that are timed; the best counts, as the machine may be busy.
const STARTS: usize = 5;

pub(super) fn run(options: &Options) -> Result<Report> {
    let mut running = Running::start::<TodoModule>(options, 2)?;
    let users = options.state.div_ceil(TEXT_BYTES as u64);
    for first in (0..users).step_by(BATCH as usize) {
        add(&running, first..(first + BATCH).min(users))?;
    }
    running.stop()?;
    let mut report = Report::default();
    let clean = (0..STARTS).map(|_| start(&mut running, options, users, true));
    let clean = clean.collect::<Result<Vec<f64>>>()?.into_iter().fold(f64::MAX, f64::min);
    report.figure("first_read_ms", clean, "ms until the first read, cleanly stopped");
    report.figure("state_bytes", runs_bytes(running.folder.path()) as f64, "bytes in runs");
    // What was killed replays its tail: one more batch, and no clean stop.
    running.open::<TodoModule>(options, 2)?;
    add(&running, 0..BATCH.min(users))?;
    if let Some(grid) = running.grid.take() {
        running.runtime.block_on(grid.halt());
    }
    let killed = start(&mut running, options, users, false)?;
    report.figure("first_read_killed_ms", killed, "ms until the first read, killed");
    report.figure("tail_events", BATCH.min(users) as f64, "events in the tail");
    Ok(report)
}

/// Appends a todo for each user.
fn add(running: &Running, users: std::ops::Range<u64>) -> Result<()> {
    let text = "y".repeat(TEXT_BYTES);
    let new = |user| TodoEvent::New { user: user_name(user), text: text.as_str().into() };
    let appended = running.client()?;
    let appended = running.runtime.block_on(appended.append_many(EVENTS, users.map(new)));
    appended.map(drop).map_err(failed("filling"))
}

/// Milliseconds from the start to the first read, which has to be right.
fn start(running: &mut Running, options: &Options, users: u64, clean: bool) -> Result<f64> {
    let start = Instant::now();
    running.open::<TodoModule>(options, 2)?;
    let path = TODOS.key(user_name(users / 2)).len();
    let found = running.runtime.block_on(running.client()?.select_one(path));
    let millis = start.elapsed().as_secs_f64() * 1e3;
    let found = found.map_err(failed("the first read"))?.unwrap_or_default();
    let again = u64::from(!clean && users / 2 < BATCH.min(users));
    check("gridmill", "todos of the first user read", 1 + again, found)?;
    running.stop()?;
    Ok(millis)
}

/// Bytes of all runs below `folder`.
fn runs_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => runs_bytes(&entry.path()),
            Ok(meta) if entry.path().extension().is_some_and(|end| end == "run") => meta.len(),
            _ => 0,
        })
        .sum()
}
