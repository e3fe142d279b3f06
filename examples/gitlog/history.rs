//! The data folder: a grid, and a note on which views were added to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gridmill::Progress;
use gridmill::prelude::*;
use gridmill_examples::Failed;
use tokio::sync::mpsc;

use crate::git;
use crate::module::{COMMITS, Commit, GitLog, GitLogWithHours, SEEN};
use crate::progress::Bar;
use crate::report;

/// How many commits and files travel in one append, and how many such batches git may be ahead.
const BATCH_COMMITS: usize = 256;
const BATCH_FILES: usize = 8192;
const BATCHES_AHEAD: usize = 8;

/// How often the bar of a view that is being filled moves.
const REDRAW: Duration = Duration::from_millis(50);

/// The commits of a data folder and what is computed from them.
pub(crate) struct History {
    grid: Grid,
    client: Client,
    with_hours: bool,
}

impl History {
    /// Opens a folder that has commits already.
    pub(crate) async fn open_existing(data: &Path) -> Result<Self, Failed> {
        check_exists(data)?;
        Self::open(data).await
    }

    /// Opens the folder with the views that it has; makes it where it does not exist.
    pub(crate) async fn open(data: &Path) -> Result<Self, Failed> {
        Self::start(data, hours_note(data).exists()).await
    }

    /// Opens the folder with the view of hours. Where it is new, this waits until the past is in.
    pub(crate) async fn open_with_hours(data: &Path) -> Result<Self, Failed> {
        check_exists(data)?;
        // Noted before the grid knows of it: a run that ends in between just adds it next time.
        std::fs::write(hours_note(data), "The view of hours was added to this folder.\n")?;
        let history = Self::start(data, true).await?;
        history.fill_hours().await;
        Ok(history)
    }

    async fn start(data: &Path, with_hours: bool) -> Result<Self, Failed> {
        let builder = Grid::builder(grid_folder(data)).partitions(1);
        let builder = if with_hours {
            builder.module::<GitLogWithHours>()
        } else {
            builder.module::<GitLog>()
        };
        let grid = builder.start().await?;
        let client = grid.client();
        Ok(Self { grid, client, with_hours })
    }

    /// Shows how far the view of hours has come, until it is there.
    async fn fill_hours(&self) {
        let mut bar = Bar::new("filling the view of hours");
        let mut redraw = tokio::time::interval(REDRAW);
        let mut caught_up = std::pin::pin!(self.grid.caught_up("hours"));
        loop {
            tokio::select! {
                () = &mut caught_up => break,
                _ = redraw.tick() => {
                    if let Some(Progress { done, total }) = self.grid.progress("hours") {
                        bar.show(done, total);
                    }
                }
            }
        }
        bar.finish();
    }

    /// Appends those of the repository's commits that the depot does not have; says how many.
    pub(crate) async fn append_new(
        &self,
        repository: &Path,
        ids: Vec<Str>,
    ) -> Result<usize, Failed> {
        let unseen = self.unseen(ids).await?;
        let total = unseen.ids.len();
        if total == 0 {
            return Ok(0);
        }
        let (batches, received) = mpsc::channel(BATCHES_AHEAD);
        let repository = repository.to_owned();
        let reader = tokio::task::spawn_blocking(move || read(&repository, unseen, batches));
        let appended = self.append_all(received, total).await;
        // A failed append closes the channel, which ends the reader; its own error comes first.
        appended?;
        reader.await??;
        Ok(total)
    }

    async fn unseen(&self, ids: Vec<Str>) -> Result<Unseen, Failed> {
        let mut unseen = Unseen::default();
        for id in ids {
            let seen = self.client.select_one(SEEN.key(&id)).await?.unwrap_or_default();
            if seen.parts > 0 && !seen.complete {
                unseen.parts.insert(id.clone(), seen.parts);
            }
            if !seen.complete {
                unseen.ids.push(id);
            }
        }
        Ok(unseen)
    }

    async fn append_all(
        &self,
        mut batches: mpsc::Receiver<Vec<Commit>>,
        total: usize,
    ) -> Result<(), Failed> {
        let mut bar = Bar::new("reading commits");
        let mut done = 0;
        while let Some(batch) = batches.recv().await {
            done += batch.iter().filter(|commit| commit.last).count() as u64;
            self.client.append_many(COMMITS, batch).await?;
            bar.show(done, total as u64);
        }
        bar.finish();
        Ok(())
    }

    /// Prints all views.
    pub(crate) async fn print(&self) -> Result<(), Failed> {
        report::print(&self.client, self.with_hours).await
    }

    /// A client of the grid.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Stops the grid.
    pub(crate) async fn close(self) -> Result<(), Failed> {
        Ok(self.grid.shutdown().await?)
    }
}

fn check_exists(data: &Path) -> Result<(), Failed> {
    if grid_folder(data).exists() {
        return Ok(());
    }
    Err(format!("there are no commits in {}; read a repository first", data.display()).into())
}

fn grid_folder(data: &Path) -> PathBuf {
    data.join("grid")
}

fn hours_note(data: &Path) -> PathBuf {
    data.join("hours-added")
}

/// Commits that the depot does not have, or not all of.
#[derive(Default)]
struct Unseen {
    ids: Vec<Str>,
    /// How many parts of which it has: a run ended in between.
    parts: HashMap<Str, u32>,
}

/// Reads commits into batches, on a thread of its own: git is waited for.
fn read(
    repository: &Path,
    unseen: Unseen,
    batches: mpsc::Sender<Vec<Commit>>,
) -> Result<(), Failed> {
    let mut batch = Batch { commits: Vec::new(), files: 0, batches };
    let Unseen { ids, parts } = unseen;
    git::read_commits(repository, ids, |commit| {
        let seen = parts.get(&commit.id).is_some_and(|parts| commit.part < *parts);
        if seen { Ok(()) } else { batch.push(commit) }
    })?;
    batch.send()
}

struct Batch {
    commits: Vec<Commit>,
    files: usize,
    batches: mpsc::Sender<Vec<Commit>>,
}

impl Batch {
    fn push(&mut self, commit: Commit) -> Result<(), Failed> {
        self.files += commit.files.len();
        self.commits.push(commit);
        let full = self.commits.len() >= BATCH_COMMITS || self.files >= BATCH_FILES;
        if full { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Failed> {
        if self.commits.is_empty() {
            return Ok(());
        }
        self.files = 0;
        Ok(self.batches.blocking_send(std::mem::take(&mut self.commits))?)
    }
}
