//! Who changed what in a git repository, kept up to date from run to run.
//!
//! ```text
//! cargo run --release --example gitlog -- /path/to/any/repository
//! cargo run --release --example gitlog -- --add-view hours
//! ```
//!
//! Each run appends the commits that the depot does not have yet. A view that is added later is
//! filled from the depot: git is not asked again.

mod git;
mod history;
mod module;
mod numstat;
mod progress;
mod report;
mod smoke;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gridmill_examples::{Failed, Usage, counted};
use history::History;

const USAGE: &str = "\
Who changed what in a git repository, kept up to date from run to run.

Usage: cargo run --release --example gitlog -- [options] [REPOSITORY]
  REPOSITORY         a folder with a git repository; its new commits are read and appended
  --data DIR         the folder that holds the data (default: gitlog-data)
  --add-view hours   add a view of commits by weekday and hour, filled from the commits that are
                     in the data folder already; git is not read
  --smoke            run once on a small repository of its own, check the numbers, and leave
  --help             show this";

#[derive(Default)]
struct Options {
    repository: Option<PathBuf>,
    data: Option<PathBuf>,
    add_hours: bool,
    smoke: bool,
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, options(), |options| async move {
        let data = options.data.unwrap_or_else(|| "gitlog-data".into());
        match options.repository {
            _ if options.smoke => smoke::run().await,
            _ if options.add_hours => add_hours(&data).await,
            Some(repository) => update(&data, &repository).await,
            None => show(&data).await,
        }
    })
}

fn options() -> Result<Options, Usage> {
    use lexopt::prelude::*;
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("data") => options.data = Some(arguments.value()?.into()),
            Long("add-view") => options.add_hours = view(&arguments.value()?.string()?)?,
            Long("smoke") => options.smoke = true,
            Long("help") | Short('h') => return Err(Usage::Help),
            Value(path) if options.repository.is_none() => options.repository = Some(path.into()),
            _ => return Err(argument.unexpected().into()),
        }
    }
    checked(options)
}

fn view(name: &str) -> Result<bool, Usage> {
    if name == "hours" {
        return Ok(true);
    }
    Err(Usage::Wrong(format!("there is no view `{name}` to add; there is `hours`")))
}

/// Refuses what would do nothing that anybody wants.
fn checked(options: Options) -> Result<Options, Usage> {
    if options.smoke || options.add_hours || options.repository.is_some() || options.data.is_some()
    {
        return Ok(options);
    }
    Err(Usage::Wrong("name a repository, or the --data folder to show".into()))
}

/// Appends what is new in the repository, and prints the views.
async fn update(data: &Path, repository: &Path) -> Result<(), Failed> {
    // Asked first, so that a wrong path leaves no data folder behind.
    let commits = git::history(repository)?;
    let history = History::open(data).await?;
    let new = history.append_new(repository, commits.ids).await?;
    let new = counted(new as u64, "new commit");
    let edge = match commits.cut_off {
        0 => String::new(),
        cut_off => format!(
            "; {} at the edge of the shallow clone will be read when the parents are there",
            counted(cut_off as u64, "commit")
        ),
    };
    gridmill_examples::print(&format!("{new} from {}{edge}\n\n", repository.display()))?;
    history.print().await?;
    history.close().await
}

/// Adds the view of hours and waits until it is filled.
async fn add_hours(data: &Path) -> Result<(), Failed> {
    let history = History::open_with_hours(data).await?;
    gridmill_examples::print("the view of hours is filled; git was not read\n\n")?;
    history.print().await?;
    history.close().await
}

/// Prints what the folder has.
async fn show(data: &Path) -> Result<(), Failed> {
    let history = History::open_existing(data).await?;
    history.print().await?;
    history.close().await
}
