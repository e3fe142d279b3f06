//! The seed's module: new todos, completed ones, others moved.

use gridmill::prelude::*;

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::modules::todo::{COMPLETED, EVENTS, TODOS, TodoModule};
use crate::peers::postgres::PostgresPeer;
use crate::peers::redis::RedisPeer;
use crate::report::Report;

use super::appends::{Appends, Pace, Running};
use super::events::Todos;
use super::{compare, log, with_peers};

pub(super) fn run(options: &Options) -> Result<Report> {
    let pace = Pace::new(options);
    let running = Running::start::<TodoModule>(options)?;
    let fresh = Todos::new(options);
    let gridmill =
        Appends::new(running, EVENTS, fresh.clone(), pace, move |running, feed, acts| {
            let completed = Todos::completed(fresh.clone(), acts);
            check_todos(running, feed.total(), completed)
        });
    let subjects = with_peers(gridmill, options, |name| match name {
        "postgres" => Ok(Some(Box::new(PostgresPeer::new(options)?))),
        "redis" => Ok(Some(Box::new(RedisPeer::new(options)?))),
        "file" => Ok(Some(log::file(&mut Todos::new(options), pace, options)?)),
        _ => Ok(None),
    })?;
    compare(subjects, options)
}

pub(super) fn check_todos(running: &Running, todos: u64, completed: u64) -> Result<()> {
    let client = running.client()?.with_limit(usize::MAX);
    let lens = running.runtime.block_on(client.select_all(TODOS.map_vals().len()));
    let lens: u64 = lens.map_err(failed("reading all lists"))?.into_iter().sum();
    check("gridmill", "todos", todos, lens)?;
    let counts = running.runtime.block_on(client.select_all(COMPLETED.map_vals()));
    let counts: u64 = counts.map_err(failed("reading all counters"))?.into_iter().sum();
    check("gridmill", "completed todos", completed, counts)
}
