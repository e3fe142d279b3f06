//! A new view over an existing depot: how fast it reads the past.

use std::time::Instant;

use gridmill::prelude::Module;

use crate::args::Options;
use crate::error::{BenchError, Result};
use crate::measure::{Recorder, Subject};
use crate::modules::count::{CountModule, HITS, HitsOnly};
use crate::modules::todo::{EVENTS, EventsOnly, TodoModule};
use crate::report::{Line, Report};
use crate::usage::Usage;

use super::appends::{Appends, Pace, Running};
use super::events::{Feed, Hits, Todos};
use super::{count, todo};

/// Events of the depot.
const EVENTS_OF_DEPOT: u64 = 4_000_000;

pub(super) fn run(options: &Options) -> Result<Report> {
    match options.of.as_str() {
        "count" => {
            let keys = options.keys(1_000_000);
            let feed = Hits::new(keys, options.dist, options.event_bytes.unwrap_or(0));
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
        "todo" => {
            let fresh = Todos::new(options);
            let check = |running: &Running, feed: &Todos, acts| {
                todo::check_todos(running, feed.total(), Todos::completed(fresh.clone(), acts))
            };
            replay::<EventsOnly, TodoModule, _>(options, EVENTS, fresh.clone(), "todos", check)
        }
        other => Err(BenchError::Usage(format!("--of is count or todo, got `{other}`"))),
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
    let running = Running::start::<Before>(options, 2)?;
    let pace = Pace { batch: 4096, in_flight: 4, ack: options.ack };
    let mut filling = Appends::new(running, depot, feed, pace, |_, _: &F, _| Ok(()));
    while filling.done < EVENTS_OF_DEPOT {
        filling.run(Instant::now() + options.time() / 10, &mut Recorder::default())?;
    }
    let Appends { mut running, feed, done, .. } = filling;
    running.stop()?;
    let mut seen = Recorder::default();
    let (before, start) = (Usage::now(&[]), Instant::now());
    running.open::<After>(options, 2)?;
    if let Some(grid) = &running.grid {
        running.runtime.block_on(grid.caught_up(topology));
    }
    seen.ops = done;
    seen.busy = start.elapsed();
    seen.usage = Usage::now(&[]).since(before);
    check(&running, &feed, done)?;
    running.stop()?;
    Ok(Report { lines: vec![Line { name: "gridmill".to_owned(), seen }], figures: Vec::new() })
}
