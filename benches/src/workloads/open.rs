//! Starting on a folder with state, until the first correct read.

use std::path::Path;
use std::time::Instant;

use gridmill::prelude::*;

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::Recorder;
use crate::modules::todo::{EVENTS, TODOS, TodoEvent, TodoModule};
use crate::report::Report;
use crate::usage::Usage;

use super::appends::Running;
use super::events::user_name;

/// Bytes of a todo's text: state comes to its size quickly.
const TEXT_BYTES: usize = 1000;

/// Events a call.
const BATCH: u64 = 4096;

/// Starts that are timed.
const STARTS: usize = 9;

pub(super) fn run(options: &Options) -> Result<Report> {
    let mut running = Running::start::<TodoModule>(options)?;
    let users = options.state.div_ceil(TEXT_BYTES as u64);
    for first in (0..users).step_by(BATCH as usize) {
        add(&running, first..(first + BATCH).min(users))?;
    }
    running.stop()?;
    let mut clean = Recorder::default();
    for _ in 0..STARTS {
        clean.add(&start(&mut running, options, users, 1)?);
    }
    // What was killed replays its tail: one more batch, and no clean stop.
    running.open::<TodoModule>(options)?;
    add(&running, 0..BATCH.min(users))?;
    if let Some(grid) = running.grid.take() {
        running.runtime.block_on(grid.halt());
    }
    let again = u64::from(users / 2 < BATCH.min(users));
    let killed = start(&mut running, options, users, 1 + again)?;
    Ok(report(clean, &killed, runs_bytes(&running.path), users))
}

fn report(clean: Recorder, killed: &Recorder, state: u64, users: u64) -> Report {
    let mut report = Report::default();
    let (first, after_kill) = (clean.micros(0.5) / 1e3, killed.micros(0.5) / 1e3);
    report.line("gridmill", clean);
    report.figure("first_read_ms", first, "ms until the first read, cleanly stopped, median");
    report.figure("state_bytes", state as f64, "bytes in runs");
    report.figure("bytes_per_entry", state as f64 / users as f64, "bytes in runs of each user");
    report.figure("killed", after_kill, "ms until the first read, killed");
    report.figure("tail", BATCH.min(users) as f64, "events that the killed one replays");
    report
}

/// Appends a todo for each user.
fn add(running: &Running, users: std::ops::Range<u64>) -> Result<()> {
    let text = "y".repeat(TEXT_BYTES);
    let new = |user| TodoEvent::New { user: user_name(user), text: text.as_str().into() };
    let appended = running.client()?;
    let appended = running.runtime.block_on(appended.append_many(EVENTS, users.map(new)));
    appended.map(drop).map_err(failed("filling"))
}

/// From the start to the first read, which has to find `todos`.
fn start(running: &mut Running, options: &Options, users: u64, todos: u64) -> Result<Recorder> {
    let (mut seen, start, before) = (Recorder::default(), Instant::now(), Usage::now(&[]));
    running.open::<TodoModule>(options)?;
    let path = TODOS.key(user_name(users / 2)).len();
    let found = running.runtime.block_on(running.client()?.select_one(path));
    seen.answered(1, start);
    seen.busy = start.elapsed();
    seen.usage = Usage::now(&[]).since(before);
    let found = found.map_err(failed("the first read"))?.unwrap_or_default();
    check("gridmill", "todos of the first user read", todos, found)?;
    running.stop()?;
    Ok(seen)
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
