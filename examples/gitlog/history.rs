//! The data folder: a grid, and a note on which views were added to it.

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

/// How many commits travel in one append, and how many such batches git may be ahead.
const BATCH: usize = 256;
const BATCHES_AHEAD: usize = 8;

/// The largest commit: about 300,000 changed files.
const COMMIT_BYTES_MAX: usize = 16 << 20;

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
        let builder = Grid::builder(grid_folder(data));
        let builder = builder.partitions(1).event_bytes_max(COMMIT_BYTES_MAX);
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
        let new = self.unseen(ids).await?;
        let total = new.len();
        let (batches, received) = mpsc::channel(BATCHES_AHEAD);
        let repository = repository.to_owned();
        let reader = tokio::task::spawn_blocking(move || read(&repository, new, &batches));
        let appended = self.append_all(received, total).await;
        // A failed append closes the channel, which ends the reader; its own error comes first.
        appended?;
        reader.await??;
        Ok(total)
    }

    async fn unseen(&self, ids: Vec<Str>) -> Result<Vec<Str>, Failed> {
        let mut unseen = Vec::new();
        for id in ids {
            if self.client.select_one(SEEN.key(&id)).await?.is_none() {
                unseen.push(id);
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
            done += batch.len() as u64;
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

/// Reads commits into batches, on a thread of its own: git is waited for.
fn read(
    repository: &Path,
    ids: Vec<Str>,
    batches: &mpsc::Sender<Vec<Commit>>,
) -> Result<(), Failed> {
    let mut batch = Vec::with_capacity(BATCH);
    git::read_commits(repository, ids, |commit| {
        batch.push(commit);
        if batch.len() == BATCH {
            batches.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))?;
        }
        Ok(())
    })?;
    if !batch.is_empty() {
        batches.blocking_send(batch)?;
    }
    Ok(())
}
