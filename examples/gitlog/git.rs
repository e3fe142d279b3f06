//! Reads commits out of a repository with the `git` program.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::module::{Commit, FileChange};

/// Starts the line that a commit begins with; lines of files begin with a digit or a dash.
const COMMIT_MARK: char = '\u{1}';

/// The ids of all commits that lead to the current one, oldest first.
pub(crate) fn commit_ids(repository: &Path) -> Result<Vec<Str>, Failed> {
    let output = git(repository).args(["rev-list", "--reverse", "HEAD", "--"]).output();
    let output = output.map_err(not_started)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git cannot read {}: {}", repository.display(), said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(Str::from).collect())
}

/// Has `each` called with every commit of `ids`, in their order.
///
/// One git does all of them: `git log --numstat` is fed the ids and its output is read as it comes.
pub(crate) fn read_commits(
    repository: &Path,
    ids: Vec<Str>,
    mut each: impl FnMut(Commit) -> Result<(), Failed>,
) -> Result<(), Failed> {
    // Without any id git would show the latest commit.
    if ids.is_empty() {
        return Ok(());
    }
    let mut log = start_log(repository)?;
    let feeder = log.stdin.take().map(|stdin| std::thread::spawn(move || feed(stdin, &ids)));
    let output = log.stdout.take().ok_or("git has no output")?;
    let result = parse(BufReader::new(output), &mut each);
    if result.is_err() {
        // Whoever stopped us says why; a git that is still writing would only wait for a reader.
        drop(log.kill());
    }
    let status = log.wait()?;
    if let Some(feeder) = feeder {
        drop(feeder.join());
    }
    result?;
    if status.success() { Ok(()) } else { Err(format!("git log ended with {status}").into()) }
}

fn git(repository: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(["-c", "core.quotePath=false", "-c", "log.showRoot=true"]);
    git
}

fn not_started(error: std::io::Error) -> Failed {
    format!("cannot start `git`: {error}; install it and put it on the PATH").into()
}

fn start_log(repository: &Path) -> Result<Child, Failed> {
    git(repository)
        .args(["log", "--stdin", "--no-walk=unsorted", "--numstat", "--no-renames"])
        .args(["--date=raw", "--format=%x01%H %ad %aN"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(not_started)
}

/// Writes the ids. An error means that git went away, which its exit status tells better.
fn feed(stdin: ChildStdin, ids: &[Str]) {
    let mut stdin = std::io::BufWriter::new(stdin);
    for id in ids {
        if writeln!(stdin, "{id}").is_err() {
            return;
        }
    }
}

fn parse(
    mut lines: impl BufRead,
    each: &mut impl FnMut(Commit) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut current: Option<Commit> = None;
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end_matches('\n');
        if let Some(head) = line.strip_prefix(COMMIT_MARK) {
            if let Some(complete) = current.replace(parse_head(head)?) {
                each(complete)?;
            }
        } else if let (Some(commit), Some(file)) = (&mut current, parse_file(line)) {
            commit.files.push_back(file);
        }
        bytes.clear();
    }
    current.map_or(Ok(()), each)
}

/// Parses `<id> <seconds> <offset> <author>`; the offset is like `+0130`.
fn parse_head(head: &str) -> Result<Commit, Failed> {
    let mut parts = head.splitn(4, ' ');
    let mut next = || parts.next().ok_or_else(|| format!("git log printed `{head}` for a commit"));
    let (id, seconds, offset, author) = (next()?, next()?, next()?, next()?);
    let seconds: i64 = seconds.parse()?;
    let offset: i64 = offset.parse()?;
    let minutes = offset / 100 * 60 + offset % 100;
    let local_time = seconds.saturating_add(minutes * 60);
    Ok(Commit { id: id.into(), author: author.into(), local_time, files: List::new() })
}

/// Parses `<added>\t<removed>\t<path>`; binary files have dashes for numbers.
fn parse_file(line: &str) -> Option<FileChange> {
    let mut parts = line.splitn(3, '\t');
    let (added, removed, path) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| text.parse().unwrap_or(0);
    Some(FileChange { path: path.into(), added: number(added), removed: number(removed) })
}
