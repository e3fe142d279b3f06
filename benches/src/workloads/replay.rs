//! A new view over an existing depot: how fast it reads the past.

use std::time::{Duration, Instant};

use gridmill::prelude::Module;

use crate::args::{Of, Options};
use crate::error::Result;
use crate::measure::{Recorder, Subject};
use crate::modules::count::{CountModule, HITS, HitsOnly};
use crate::modules::todo::{EVENTS, EventsOnly, TodoModule};
use crate::report::Report;
use crate::usage::Usage;

use super::appends::{Appends, Pace, Running};
use super::events::{Feed, Hits, Todos};
use super::{count, todo};

/// Events of the depot.
const EVENTS_OF_DEPOT: u64 = 4_000_000;

/// It is filled in steps of this time until it has enough of them.
const FILL_TIME: Duration = Duration::from_millis(200);

pub(super) fn run(options: &Options) -> Result<Report> {
    match options.of {
        Of::Count => {
            let (keys, feed) = (options.keys, Hits::new(options));
            let check = |running: &Running, _: &Hits, hits| {
                crate::error::check(
                    "gridmill",
                    "sum of the counters",
                    hits,
                    count::sum(running, keys)?,
                )
            };
            replay::<HitsOnly, CountModule, _>(options, HITS, feed, "count", check)
        }
        Of::Todo => {
            let fresh = Todos::new(options);
            let check = |running: &Running, feed: &Todos, acts| {
                todo::check_todos(running, feed.total(), Todos::completed(fresh.clone(), acts))
            };
            replay::<EventsOnly, TodoModule, _>(options, EVENTS, fresh.clone(), "todos", check)
        }
    }
}

/// Fills a depot with module `Before`, and starts module `After`, which has the view as well.
fn replay<Before: Module, After: Module, F: Feed>(
    options: &Options,
    depot: gridmill::prelude::Depot<F::Event>,
    feed: F,
    topology: &str,
    check: impl FnOnce(&Running, &F, u64) -> Result<()>,
) -> Result<Report> {
    let running = Running::start::<Before>(options)?;
    let mut filling = Appends::new(running, depot, feed, Pace::new(options), |_, _: &F, _| Ok(()));
    while filling.done < EVENTS_OF_DEPOT {
        filling.run(Instant::now() + FILL_TIME, &mut Recorder::default())?;
    }
    let Appends { mut running, feed, done, .. } = filling;
    running.stop()?;
    let mut seen = Recorder::default();
    let (before, start) = (Usage::now(&[]), Instant::now());
    running.open::<After>(options)?;
    if let Some(grid) = &running.grid {
        running.runtime.block_on(grid.caught_up(topology));
    }
    seen.ops = done;
    seen.busy = start.elapsed();
    seen.usage = Usage::now(&[]).since(before);
    check(&running, &feed, done)?;
    running.stop()?;
    let cpu = seen.usage.cpu.as_secs_f64().max(1e-9);
    let mut report = Report::default();
    report.line("gridmill", seen);
    report.figure("replayed a core", done as f64 / cpu, "events a second of CPU");
    Ok(report)
}
