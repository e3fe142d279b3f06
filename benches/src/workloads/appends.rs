//! Gridmill under appends: a caller with so many calls in flight.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, TryStreamExt};
use gridmill::client::{Ack, Client};
use gridmill::prelude::{Depot, Grid, Module};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::args::Options;
use crate::error::{Result, failed};
use crate::measure::{Recorder, Subject};

use super::events::Feed;

/// A grid in a folder of its own, and the runtime of its caller.
#[derive(Debug)]
pub struct Running {
    pub(crate) runtime: Runtime,
    pub(crate) grid: Option<Grid>,
    pub(crate) path: PathBuf,
    /// Removes the folder in the end, if it is a temporary one.
    _folder: Option<TempDir>,
}

impl Running {
    /// Starts module `M` in an empty folder.
    ///
    /// # Errors
    /// Where the grid does not start.
    pub fn start<M: Module>(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(failed("a folder"))?;
        let mut running = Self::at(folder.path().to_owned())?;
        running._folder = Some(folder);
        running.open::<M>(options)?;
        Ok(running)
    }

    /// Nothing yet, in the folder `path`.
    ///
    /// # Errors
    /// Where there is no runtime.
    pub fn at(path: PathBuf) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed("a runtime"))?;
        Ok(Self { runtime, grid: None, path, _folder: None })
    }

    /// Starts module `M` in the same folder.
    ///
    /// # Errors
    /// Where the grid does not start.
    pub fn open<M: Module>(&mut self, options: &Options) -> Result<()> {
        let builder = Grid::builder(&self.path)
            .partitions(options.partitions)
            .threads(options.threads)
            .durability(options.durability)
            .module::<M>();
        let grid = self.runtime.block_on(builder.start()).map_err(failed("starting the grid"))?;
        self.grid = Some(grid);
        Ok(())
    }

    /// Stops cleanly.
    ///
    /// # Errors
    /// Where a partition does not.
    pub fn stop(&mut self) -> Result<()> {
        let Some(grid) = self.grid.take() else { return Ok(()) };
        self.runtime.block_on(grid.shutdown()).map_err(failed("stopping the grid"))
    }

    /// A client of the running grid.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn client(&self) -> Result<Client> {
        let grid = self.grid.as_ref().ok_or("it does not run").map_err(failed("the grid"))?;
        Ok(grid.client())
    }
}

/// How appends are made.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Events a call.
    pub batch: usize,
    /// Calls at a time.
    pub in_flight: usize,
    /// When a call is answered.
    pub ack: Ack,
}

impl Pace {
    /// As the options want it.
    pub fn new(options: &Options) -> Self {
        Self { batch: options.batch, in_flight: options.in_flight, ack: options.ack }
    }
}

/// Appends one event for each key of `feed`, and says how many these were.
pub(super) fn touch<F: Feed>(running: &Running, depot: Depot<F::Event>, feed: &F) -> Result<u64> {
    let (client, mut touched) = (running.client()?, 0);
    let mut events = feed.every_key();
    loop {
        let batch: Vec<_> = events.by_ref().take(TOUCH_BATCH).collect();
        if batch.is_empty() {
            return Ok(touched);
        }
        touched += batch.len() as u64;
        let appended = running.runtime.block_on(client.append_many(depot, batch));
        appended.map_err(failed("touching the keys"))?;
    }
}

/// Events a call of [`touch`].
const TOUCH_BATCH: usize = 4096;

/// Appends of a feed's events, and how the result is checked.
pub struct Appends<F: Feed, C> {
    name: &'static str,
    pub(crate) running: Running,
    depot: Depot<F::Event>,
    pub(crate) feed: F,
    pace: Pace,
    pub(crate) done: u64,
    checker: C,
}

impl<F: Feed, C> Appends<F, C>
where
    C: FnMut(&Running, &F, u64) -> Result<()>,
{
    /// Appends to `depot`; `checker` is given the feed and how many of its events were appended.
    pub fn new(running: Running, depot: Depot<F::Event>, feed: F, pace: Pace, checker: C) -> Self {
        Self { name: "gridmill", running, depot, feed, pace, done: 0, checker }
    }

    /// Calls it something else in the table.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Makes calls until `until`, by `in_flight` callers who make one after the other.
    async fn calls<A: Future<Output = Result<()>>>(
        &mut self,
        until: Instant,
        seen: &mut Recorder,
        call: impl FnMut(&mut F) -> A,
    ) -> Result<()> {
        let count = self.pace.batch as u64;
        let (start, callers) = (Instant::now(), 0..self.pace.in_flight);
        let shared = RefCell::new((&mut self.feed, &mut self.done, seen, call));
        let caller = async || {
            let mut now = start;
            while now < until {
                let answer = {
                    let (feed, done, _, call) = &mut *shared.borrow_mut();
                    **done += count;
                    call(feed)
                };
                answer.await?;
                now = shared.borrow_mut().2.answered(count, now);
            }
            Ok(())
        };
        let callers: FuturesUnordered<_> = callers.map(|_| caller()).collect();
        callers.try_collect().await
    }

    async fn run_all(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        let (client, depot, pace) = (self.running.client()?, self.depot, self.pace);
        let client = &client;
        if pace.batch == 1 {
            let one = |feed: &mut F| {
                let event = feed.next();
                async move {
                    let answer = client.append_with(depot, event, pace.ack).await;
                    answer.map(drop).map_err(failed("an append"))
                }
            };
            return self.calls(until, seen, one).await;
        }
        let many = |feed: &mut F| {
            let events: Vec<_> = (0..pace.batch).map(|_| feed.next()).collect();
            async move {
                let answer = client.append_many_with(depot, events, pace.ack).await;
                answer.map(drop).map_err(failed("an append"))
            }
        };
        self.calls(until, seen, many).await
    }
}

impl<F: Feed, C> Subject for Appends<F, C>
where
    C: FnMut(&Running, &F, u64) -> Result<()>,
{
    fn name(&self) -> &str {
        self.name
    }

    fn touch(&mut self) -> Result<()> {
        self.done += touch(&self.running, self.depot, &self.feed)?;
        Ok(())
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        // The runtime is taken out for the time of the call, so that the rest can be borrowed.
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(failed("a runtime"))?;
        runtime.block_on(self.run_all(until, seen))
    }

    fn check(&mut self) -> Result<()> {
        let grid = self.running.grid.as_ref();
        if let Some(grid) = grid {
            self.running.runtime.block_on(grid.processed());
        }
        (self.checker)(&self.running, &self.feed, self.done)
    }
}

impl<F: Feed, C> std::fmt::Debug for Appends<F, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appends").field("pace", &self.pace).finish_non_exhaustive()
    }
}
