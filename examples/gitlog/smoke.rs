//! Runs everything on a small repository whose numbers are known.

use std::fmt::Debug;
use std::path::Path;

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::git;
use crate::history::History;
use crate::module::{BY_AUTHOR, BY_FILE, BY_HOUR, COMMITS, Churn};

/// Reads the repository twice with a commit in between, then adds a view and starts again.
pub(crate) async fn run() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (repository, data) = (folder.path().join("repository"), folder.path().join("data"));
    make_repository(&repository)?;
    expect("commits of the first run", read(&data, &repository).await?, 3)?;
    expect("commits that are new then", read(&data, &repository).await?, 0)?;
    commit(&repository, "Ann", "2024-01-07T23:30:00 -0800", "song.txt", "la\nla\nla\n")?;
    expect("commits of the third run", read(&data, &repository).await?, 1)?;
    std::fs::remove_dir_all(&repository)?;
    let history = History::open_with_hours(&data).await?;
    history.print().await?;
    check(history.client()).await?;
    history.close().await?;
    let history = History::open(&data).await?;
    check(history.client()).await?;
    history.close().await?;
    println!("\nevery number was as expected");
    Ok(())
}

async fn read(data: &Path, repository: &Path) -> Result<usize, Failed> {
    let history = History::open(data).await?;
    let new = history.append_new(repository, git::history(repository)?.ids).await?;
    history.close().await?;
    Ok(new)
}

async fn check(client: &Client) -> Result<(), Failed> {
    let churn = |commits, added, removed| Churn { commits, added, removed };
    let name = |text: &str| Bytes::from(text.as_bytes());
    let authors = [(name("Ann"), churn(3, 4, 1)), (name("Bob"), churn(1, 2, 0))];
    expect("churn by author", client.select(BY_AUTHOR.all()).await?, authors.to_vec())?;
    let files = [(name("song.txt"), churn(3, 4, 1)), (name("verse.txt"), churn(1, 2, 0))];
    expect("churn by file", client.select(BY_FILE.all()).await?, files.to_vec())?;
    // Two on Monday at nine, one on Tuesday at noon, one on Sunday before midnight: by the
    // authors' own clocks.
    let hours = [((0, 9), 2), ((1, 12), 1), ((6, 23), 1)];
    expect("commits by hour", client.select(BY_HOUR.all()).await?, hours.to_vec())?;
    let records = client.depot_info(COMMITS).await?.records();
    expect("records in the depot", records, 4)
}

fn expect<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Result<(), Failed> {
    if got == expected {
        println!("{what}: {got:?}");
        return Ok(());
    }
    Err(format!("{what}\n  expected {expected:?}\n  got      {got:?}").into())
}

fn make_repository(repository: &Path) -> Result<(), Failed> {
    std::fs::create_dir_all(repository)?;
    run_git(repository, &["init", "--quiet"], &[])?;
    commit(repository, "Ann", "2024-01-01T09:00:00 +0100", "song.txt", "la\n")?;
    commit(repository, "Bob", "2024-01-01T09:59:59 -0500", "verse.txt", "do\nre\n")?;
    commit(repository, "Ann", "2024-01-02T12:00:00 +0000", "song.txt", "da\nla\nla\n")
}

fn commit(repository: &Path, who: &str, date: &str, file: &str, text: &str) -> Result<(), Failed> {
    std::fs::write(repository.join(file), text)?;
    run_git(repository, &["add", "."], &[])?;
    let person = [
        ("GIT_AUTHOR_NAME", who),
        ("GIT_AUTHOR_EMAIL", "author@example.org"),
        ("GIT_AUTHOR_DATE", date),
        ("GIT_COMMITTER_NAME", who),
        ("GIT_COMMITTER_EMAIL", "author@example.org"),
        ("GIT_COMMITTER_DATE", date),
    ];
    run_git(repository, &["commit", "--quiet", "--message", file], &person)
}

fn run_git(
    repository: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(), Failed> {
    let mut git = git::without_variables();
    // Nobody's settings, so that the repository is the same everywhere.
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    git.arg("-C").arg(repository).args(arguments).envs(environment.iter().copied());
    let status = git.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("git {arguments:?} ended with {status}").into())
    }
}
