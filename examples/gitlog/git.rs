//! The `git` program, run so that the same repository gives the same numbers to everybody.
//!
//! Only plumbing is asked, which has stable output; names and paths come as bytes, each ended by a
//! zero byte. No variable and no setting of the user, the machine or the repository has a say; but attributes
//! of the repository do (`.gitattributes`, `info/attributes`) where they make a file binary, which has no lines.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::module::Commit;
use crate::numstat;

/// What settings of a repository could change, set to what git has by default.
const SETTINGS: [&str; 7] = [
    "core.attributesFile=/dev/null",
    "core.bigFileThreshold=512m",
    "diff.orderFile=/dev/null",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "mailmap.file=/dev/null",
    "mailmap.blob=HEAD:.mailmap",
];

/// The commits of a repository.
pub(crate) struct History {
    /// The ids of all that lead to the current one, oldest first.
    pub(crate) ids: Vec<Str>,
    /// How many more lie at the edge of a shallow clone. What they changed is not known before their
    /// parents are there.
    pub(crate) cut_off: usize,
}

/// Lists the commits of `repository`.
pub(crate) fn history(repository: &Path) -> Result<History, Failed> {
    let ids = said(repository, &["rev-list", "--reverse", "HEAD", "--"])?;
    let ids = String::from_utf8_lossy(&ids).into_owned();
    let edge = edge(repository)?;
    let (cut_off, ids): (Vec<&str>, Vec<&str>) = ids.lines().partition(|id| edge.contains(*id));
    Ok(History { ids: ids.into_iter().map(Str::from).collect(), cut_off: cut_off.len() })
}

/// The commits of a shallow clone whose parents it does not have.
fn edge(repository: &Path) -> Result<HashSet<String>, Failed> {
    let arguments = ["rev-parse", "--path-format=absolute", "--git-path", "shallow"];
    let mut file = said(repository, &arguments)?;
    file.pop_if(|byte| *byte == b'\n');
    match std::fs::read_to_string(PathBuf::from(OsString::from_vec(file))) {
        Ok(ids) => Ok(ids.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(format!("cannot read the edge of a shallow clone: {error}").into()),
    }
}

/// Has `each` called with every commit of `ids`, in their order, those of very many files in parts.
///
/// One git does all of them: it is fed the ids and its output is read as it comes.
pub(crate) fn read_commits(
    repository: &Path,
    ids: Vec<Str>,
    each: impl FnMut(Commit) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut diffs = git(repository)?
        .args(["diff-tree", "--stdin", "-r", "--root", "--always", "--numstat", "-z"])
        .args(["--no-renames", "--no-relative", "--no-ext-diff", "--no-textconv"])
        .args(["--ignore-submodules=none", "--submodule=short", "--diff-algorithm=default"])
        .args(["--date=raw", numstat::FORMAT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(not_started)?;
    let feeder = diffs.stdin.take().map(|stdin| std::thread::spawn(move || feed(stdin, &ids)));
    let output = diffs.stdout.take().ok_or("git has no output")?;
    let result = numstat::parse(BufReader::new(output), each);
    if result.is_err() {
        // Whoever stopped us says why; a git that is still writing would only wait for a reader.
        drop(diffs.kill());
    }
    let status = diffs.wait()?;
    if let Some(feeder) = feeder {
        drop(feeder.join());
    }
    result?;
    if status.success() { Ok(()) } else { Err(format!("git diff-tree ended with {status}").into()) }
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

/// What git prints.
fn said(repository: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failed> {
    let Output { status, stdout, stderr } =
        git(repository)?.args(arguments).output().map_err(not_started)?;
    if status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&stderr);
    Err(format!("git cannot read {}: {}", repository.display(), stderr.trim()).into())
}

/// A git in `repository` that nobody's settings reach.
fn git(repository: &Path) -> Result<Command, Failed> {
    let trusted = trusted_folders()?;
    let mut git = without_variables();
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.env("GIT_ATTR_NOSYSTEM", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
    // Not a file: of one that is there, even an empty one, git says each time that grafts are deprecated.
    git.env("GIT_GRAFT_FILE", "/dev/null/none");
    git.arg("-C").arg(repository);
    for setting in SETTINGS.map(OsString::from).into_iter().chain(trusted) {
        git.arg("-c").arg(setting);
    }
    Ok(git)
}

/// A git that no variable leads to another repository, or to settings.
pub(crate) fn without_variables() -> Command {
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            git.env_remove(name);
        }
    }
    git.stdin(Stdio::null());
    git
}

/// The one setting of user and machine that stays: which folders of others git may read at all.
fn trusted_folders() -> Result<Vec<OsString>, Failed> {
    let mut folders = Vec::new();
    for scope in ["--system", "--global"] {
        let mut git = Command::new("git");
        let ask = git.args(["config", scope, "-z", "--get-all", "safe.directory"]);
        // Without such a setting, or such a file, git prints nothing.
        let printed = ask.output().map_err(not_started)?.stdout;
        let values = printed.split(|byte| *byte == 0).filter(|value| !value.is_empty());
        let setting = |value: &[u8]| OsString::from_vec([&b"safe.directory="[..], value].concat());
        folders.extend(values.map(setting));
    }
    Ok(folders)
}

fn not_started(error: std::io::Error) -> Failed {
    format!("cannot start `git`: {error}; install it and put it on the PATH").into()
}
