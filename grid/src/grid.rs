//! The running grid: what a service holds on to.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gridmill_client::Client;
use gridmill_client::engine::{Engine, once};
use gridmill_persistence::Storage;
use tokio::sync::watch;

use crate::ask::keeper::keep;
use crate::ask::pool::QueryPool;
use crate::builder::GridBuilder;
use crate::engine::{GridEngine, ModuleRun};
use crate::error::ShutdownError;
use crate::folder::{Target, Verification, verify_all};
use crate::identity::Root;
use crate::shell::partition::Msg;
use crate::shell::partition::past::Progress;
use crate::shell::partition::shared::Shared;
use crate::shell::threads::worker::Workers;
use crate::stats::Stats;

/// A grid that runs inside this process: modules, their partitions, their threads.
///
/// Dropping it stops it as a kill would: everything acknowledged is safe, and the next start replays
/// the tail of the log. [`Grid::shutdown`] stops it cleanly, so that the next start replays nothing.
/// Either is safe inside async code.
///
/// # When the folder is free again
/// When the last thread of the grid has ended. `drop` does not wait for that: a handler or a sync that
/// is under way goes on to its end. [`Grid::halt`] and [`Grid::shutdown`] wait. A start in the same
/// process waits, up to ten seconds, for a grid that was dropped there; a start in another process is
/// refused with [`StartError::InUse`](crate::StartError::InUse) meanwhile.
///
/// # What is not done with the folder of a running grid
/// - **Copied file by file.** The files would be of different moments: a start of such a copy may be
///   refused as damaged, or lack the newest events. Copy the folder of a grid that was stopped, or take
///   an atomic snapshot of the file system: that one is what a power loss would have left.
/// - **Changed or truncated.** Runs are mapped, so that a read of what was cut off may end the process
///   (SIGBUS). What was changed while no grid ran is refused as damage, but for the end of a log without
///   a clean stop: there a torn tail is what a crash leaves too, and is cut.
/// - **Used after `fork`.** The child has none of the grid's threads: its calls are never answered. It
///   also keeps the folder locked for as long as it lives. Processes that are started
///   (`std::process::Command`) inherit nothing.
///
/// ```
/// # mod words {
/// #     use gridmill::prelude::*;
/// #     pub const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
/// #     pub const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
/// #     pub struct Words;
/// #     impl Module for Words {
/// #         const NAME: &'static str = "words";
/// #         fn define(module: &mut Setup) {
/// #             module.depot(WORDS);
/// #             module.stream("count", COUNTS).source(WORDS).each(|word: Str, counts: &mut Map<Str, u64>| {
/// #                 *counts.entry(word).or_default() += 1;
/// #             });
/// #         }
/// #     }
/// # }
/// # use words::*;
/// use gridmill::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let grid = Grid::in_memory().module::<Words>().start().await?;
/// let client = grid.client();
/// client.append(WORDS, "mill".into()).await?;
/// client.append(WORDS, "mill".into()).await?;
/// assert_eq!(client.select_one(COUNTS.key("mill")).await?, Some(2));
/// grid.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Grid {
    engine: Arc<GridEngine>,
    client: Client,
    workers: Arc<Workers>,
    storage: Arc<dyn Storage>,
    root: Root,
    /// How long a stop waits for what is under way between partitions.
    drain: Duration,
}

impl Grid {
    /// A grid in a data folder. The folder is created where it does not exist.
    pub fn builder(folder: impl AsRef<Path>) -> GridBuilder {
        GridBuilder::new(folder.as_ref().to_path_buf())
    }

    /// A grid in memory, for tests: it starts in milliseconds, leaves nothing behind, and applies
    /// every batch twice to catch handlers that are not deterministic.
    pub fn in_memory() -> GridBuilder {
        GridBuilder::in_memory()
    }

    pub(crate) fn new(
        engine: GridEngine,
        workers: Arc<Workers>,
        storage: Arc<dyn Storage>,
        root: Root,
        drain: Duration,
    ) -> Self {
        let engine = Arc::new(engine);
        engine.evaluates();
        drop(workers.of(0).spawn(keep(Arc::downgrade(&engine))));
        let client = Client::new(Arc::clone(&engine) as _);
        Self { engine, client, workers, storage, root, drain }
    }

    pub(crate) fn weak_engine(&self) -> Weak<dyn Engine> {
        let weak: Weak<GridEngine> = Arc::downgrade(&self.engine);
        weak
    }

    /// All partitions look whether they have something to do.
    pub(crate) fn wake(&self) {
        let partitions = self.engine.modules.iter().flat_map(|module| &module.partitions);
        partitions.for_each(|shared| shared.send(Msg::Wake));
    }

    pub(crate) fn engine(&self) -> &GridEngine {
        &self.engine
    }

    /// A handle to append and read with. Cheap to clone; any number may exist.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What the grid has done since it was started.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.engine)
    }

    /// Reads every file of the grid and checks it, while it runs: checksums, order, counts, and that
    /// files agree. Takes as long as the disk takes to read all of them, on a thread of its own. What
    /// is wrong stands in the answer.
    pub async fn verify(&self) -> Verification {
        let target = |module: &ModuleRun| Target {
            module: module.plan.name.to_owned(),
            partitions: module
                .partitions
                .iter()
                .map(|shared| {
                    (shared.partition, shared.published.reader().map(|reader| (*reader).clone()))
                })
                .collect(),
        };
        let targets = self.engine.modules.iter().map(target).collect();
        let storage = Arc::clone(&self.storage);
        let check = self.workers.of(0).spawn_blocking(move || verify_all(&storage, targets));
        tokio::task::unconstrained(check).await.unwrap_or_else(|error| {
            let folder = self.storage.display(Path::new("")).display().to_string();
            Verification::unfinished(folder, &error)
        })
    }

    /// How far a topology has read the past, over all partitions; `None` once it takes part in the
    /// live flow everywhere, and for a name that does not exist.
    pub fn progress(&self, topology: &str) -> Option<Progress> {
        let (module, number) = self.topology(topology)?;
        let partitions = &self.engine.modules[module].partitions;
        let reading = |shared: &&Arc<Shared>| !is_live(shared, number);
        let mut sum = Progress { done: 0, total: 0 };
        let mut any = false;
        for shared in partitions.iter().filter(reading) {
            any = true;
            let progress = shared.progress_of(number);
            sum.done += progress.done;
            sum.total += progress.total;
        }
        any.then_some(sum)
    }

    /// Waits until a topology takes part in the live flow on every partition. A name that does not
    /// exist is not waited for. A partition that gave up (see [`Grid::stats`]) is not either.
    pub async fn caught_up(&self, topology: &str) {
        let Some((module, number)) = self.topology(topology) else { return };
        for shared in &self.engine.modules[module].partitions {
            let mut changed = shared.published.changes();
            while !is_live(shared, number)
                && shared.past.problem_of(number).is_none()
                && !shared.mailbox.is_closed()
            {
                next_change(&mut changed).await;
            }
        }
    }

    /// Waits until everything that was appended before the call, with whatever
    /// [`Ack`](gridmill_client::Ack), is processed and visible, with all that it led to on other partitions. It waits
    /// for a partition that is being restarted, and not for one that was given up.
    pub async fn processed(&self) {
        for module in &self.engine.modules {
            module.at_rest().await;
        }
    }

    /// Stops cleanly: takes no more appends, finishes what waits, flushes every topology and leaves a
    /// clean end in every log, so that the next start replays nothing. What is under way from one partition to another
    /// arrives before, unless that takes longer than [`drain`](crate::GridBuilder::drain): then the next start goes on
    /// with it.
    ///
    /// # Errors
    /// [`ShutdownError`]: the grid has stopped, but not cleanly everywhere. Nothing acknowledged is
    /// lost; the next start replays.
    pub async fn shutdown(self) -> Result<(), ShutdownError> {
        let mut failed = None;
        let mut stopping = Vec::new();
        for module in &self.engine.modules {
            module.partitions.iter().for_each(|shared| shared.gate.close());
        }
        self.drain().await;
        for module in &self.engine.modules {
            for shared in &module.partitions {
                let (done, stopped) = once::channel();
                shared.send(Msg::Shutdown(done));
                stopping.push((Arc::clone(shared), stopped));
            }
        }
        for (shared, stopped) in stopping {
            let gone = || Err("its actor is not running".to_owned());
            if let Err(message) = stopped.await.unwrap_or_else(|_| gone()) {
                let (module, partition) = (shared.module.to_owned(), shared.partition);
                failed = failed.or(Some(ShutdownError::Partition { module, partition, message }));
            }
            shared.close("the grid has shut down");
        }
        self.close_queries();
        // What stays unnoted is only missed later: the manifests have it too.
        if let Err(error) = self.save_root().await {
            tracing::warn!(%error, "the ends of the logs could not be noted");
        }
        self.workers.stop().await;
        failed.map_or(Ok(()), Err)
    }

    /// Stops at once, as a killed process does, and waits until the folder is free again. Nothing
    /// acknowledged is lost; the next start replays the tail of the log.
    pub async fn halt(self) {
        for module in &self.engine.modules {
            for shared in &module.partitions {
                shared.gate.close();
            }
        }
        self.close_queries();
        self.workers.stop().await;
        for module in &self.engine.modules {
            for shared in &module.partitions {
                shared.abandon("the grid was halted");
            }
        }
    }

    /// Waits until nothing is under way between partitions, but not for ever: a flow may go on for ever.
    async fn drain(&self) {
        let flows: Vec<_> = self.engine.modules.iter().filter(|module| module.sends()).collect();
        if flows.is_empty() {
            return;
        }
        let drain = self.drain;
        // The caller's runtime may have no clock.
        let over = self.workers.of(0).spawn(async move { tokio::time::sleep(drain).await });
        let at_rest = async {
            for module in flows {
                module.at_rest().await;
            }
        };
        tokio::select! {
            () = at_rest => {}
            _ = over => tracing::warn!(?drain, "records are under way between partitions: the next start goes on with them"),
        }
    }

    /// Ends the threads of queries, once what they do is done. From then on readers read by themselves.
    fn close_queries(&self) {
        self.engine.pool.iter().for_each(QueryPool::close);
    }

    async fn save_root(&self) -> Result<(), String> {
        let (root, storage) = (self.root.clone(), Arc::clone(&self.storage));
        let saved = self.workers.of(0).spawn_blocking(move || root.save(&*storage)).await;
        saved.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn topology(&self, name: &str) -> Option<(usize, usize)> {
        self.engine.modules.iter().enumerate().find_map(|(module, run)| {
            let number = run.plan.topologies.iter().position(|topology| topology.name == name)?;
            Some((module, number))
        })
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        self.close_queries();
        for module in &self.engine.modules {
            for shared in &module.partitions {
                shared.abandon("the grid was dropped");
            }
        }
    }
}

/// Waits for a change. On tokio it is no matter of a task's budget, as no future of a client is.
async fn next_change(changed: &mut watch::Receiver<u64>) {
    // The sender lives as long as the grid does.
    let _ = tokio::task::unconstrained(changed.changed()).await;
}

fn is_live(shared: &Shared, topology: usize) -> bool {
    shared.published.view().is_live(topology)
}
