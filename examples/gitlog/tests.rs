//! Real repositories, small and odd.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gridmill::prelude::*;
use tempfile::TempDir;

use crate::git;
use crate::history::History;
use crate::module::{BY_AUTHOR, BY_FILE, BY_HOUR, Commit};
use crate::report::readable;

/// A repository in a folder of its own.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().expect("a folder") };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self) -> Command {
        let mut git = git::without_variables();
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        git.arg("-C").arg(self.path());
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "a@b.org");
            git.env(format!("GIT_{who}_DATE"), "2024-01-01T09:00:00 +0100");
        }
        git
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.fed(arguments, b"")
    }

    /// Runs git with `input`, and gives back what it prints.
    fn fed(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut git = self.command();
        let git = git.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut git = git.spawn().expect("git");
        git.stdin.take().expect("a pipe").write_all(input).expect("git reads");
        let output = git.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
    }

    /// Makes a commit of `entries` as `git mktree -z` reads them, and of what is written by hand.
    fn commit_of(&self, entries: &[u8], author: &str) {
        let tree = self.fed(&["mktree", "-z"], entries);
        let mut raw = format!("tree {tree}\n");
        if let Some(parent) = self.head() {
            writeln!(raw, "parent {parent}").expect("text");
        }
        write!(raw, "author {author}\ncommitter Ann <a@b.org> 1 +0000\n\nby hand\n").expect("text");
        let commit = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"];
        let id = self.fed(&commit, raw.as_bytes());
        self.git(&["update-ref", "HEAD", &id]);
    }

    fn head(&self) -> Option<String> {
        let output = self.command().args(["rev-parse", "--quiet", "--verify", "HEAD"]).output();
        let output = output.expect("git").stdout;
        let id = String::from_utf8_lossy(&output).trim().to_owned();
        (!id.is_empty()).then_some(id)
    }

    fn blob(&self) -> String {
        self.fed(&["hash-object", "-w", "--stdin"], b"one line\n")
    }

    fn commits(&self) -> Vec<Commit> {
        let mut commits = Vec::new();
        let ids = git::history(self.path()).expect("ids").ids;
        let each = |commit| {
            commits.push(commit);
            Ok(())
        };
        git::read_commits(self.path(), ids, each).expect("commits");
        commits
    }
}

/// What a data folder says of a repository.
#[derive(Debug, PartialEq)]
struct Numbers {
    authors: BTreeMap<String, [u64; 3]>,
    files: BTreeMap<String, [u64; 3]>,
    hours: u64,
}

async fn numbers(history: &History) -> Numbers {
    let client = history.client().with_limit(usize::MAX);
    let row = |(name, churn): (Bytes, crate::module::Churn)| {
        (readable(&name), [churn.commits, churn.added, churn.removed])
    };
    let authors = client.select(BY_AUTHOR.all()).await.expect("authors");
    let files = client.select(BY_FILE.all()).await.expect("files");
    let hours = client.select(BY_HOUR.all()).await.expect("hours");
    Numbers {
        authors: authors.into_iter().map(row).collect(),
        files: files.into_iter().map(row).collect(),
        hours: hours.into_iter().map(|(_, commits)| commits).sum(),
    }
}

/// Reads a repository into a new data folder.
async fn read(repository: &Repository) -> Numbers {
    let data = tempfile::tempdir().expect("a folder");
    let history = update(data.path(), repository).await;
    let numbers = numbers(&history).await;
    history.close().await.expect("closed");
    numbers
}

async fn update(data: &Path, repository: &Repository) -> History {
    drop(History::open(data).await.expect("made").close().await);
    let history = History::open_with_hours(data).await.expect("opened");
    let ids = git::history(repository.path()).expect("ids").ids;
    history.append_new(repository.path(), ids).await.expect("appended");
    history
}

fn rows(rows: &[(&str, [u64; 3])]) -> BTreeMap<String, [u64; 3]> {
    rows.iter().map(|(name, numbers)| ((*name).to_owned(), *numbers)).collect()
}

/// Two commits in a folder below, one of which renames a file; with settings that would change what
/// `git log` prints of them.
fn plain_repository() -> Repository {
    let repository = Repository::new();
    repository.file("below/song.txt", "la\nla\n");
    repository.file("verse.txt", "do\n");
    repository.commit();
    repository.git(&["mv", "below/song.txt", "below/hymn.txt"]);
    repository.commit();
    for (name, value) in [
        ("diff.relative", "true"),
        ("diff.renames", "copies"),
        ("diff.external", "false"),
        ("diff.orderFile", "/nowhere"),
        ("diff.ignoreSubmodules", "all"),
        ("log.showSignature", "true"),
        ("log.date", "iso"),
        ("log.mailmap", "false"),
        ("log.showRoot", "false"),
        ("i18n.logOutputEncoding", "UTF-16"),
        ("core.quotePath", "true"),
        ("core.bigFileThreshold", "1"),
        ("mailmap.file", "../mailmap"),
        ("color.ui", "always"),
        ("core.attributesFile", "../attributes"),
    ] {
        repository.git(&["config", name, value]);
    }
    repository
}

#[tokio::test]
async fn settings_do_not_change_the_numbers() {
    let repository = plain_repository();
    let expected = Numbers {
        authors: rows(&[("Ann", [2, 5, 2])]),
        files: rows(&[
            ("below/hymn.txt", [1, 2, 0]),
            ("below/song.txt", [2, 2, 2]),
            ("verse.txt", [1, 1, 0]),
        ]),
        hours: 2,
    };
    assert_eq!(read(&repository).await, expected);
    // A folder of the repository stands for all of it.
    let ids = git::history(&repository.path().join("below")).expect("ids").ids;
    assert_eq!(ids.len(), 2);
}

/// Runs the test above in a process that has variables and a home set against it.
#[test]
fn variables_and_a_home_do_not_change_the_numbers() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = "[diff]\nrelative = true\nrenames = copies\nexternal = false\n\
                    [log]\nshowSignature = true\n[mailmap]\nfile = names\n\
                    [core]\nattributesFile = attributes\nbigFileThreshold = 1\n";
    let file = |name: &str| home.path().join(name);
    std::fs::write(file(".gitconfig"), settings).expect("written");
    std::fs::write(file("attributes"), "* binary\n").expect("written");
    let mut test = Command::new(std::env::current_exe().expect("this program"));
    test.args(["--exact", "tests::settings_do_not_change_the_numbers"]);
    test.env("HOME", home.path()).env("XDG_CONFIG_HOME", home.path());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"] {
        test.env(name, "/nowhere");
    }
    test.env("GIT_NAMESPACE", "else").env("GIT_DIFF_OPTS", "--unified=0");
    test.env("GIT_EXTERNAL_DIFF", "false").env("GIT_LITERAL_PATHSPECS", "1");
    test.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "diff.relative");
    test.env("GIT_CONFIG_VALUE_0", "true").env("GIT_CONFIG_PARAMETERS", "'diff.renames'='copies'");
    let output = test.output().expect("a run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn names_that_are_no_text_are_kept_apart() {
    let repository = Repository::new();
    let blob = repository.blob();
    let mut tree = Vec::new();
    for path in [&b"\"quoted\""[..], b"caf\xe9", b"caf\xe8", b"back\\slash", b"two\nlines"] {
        tree.extend(format!("100644 blob {blob}\t").as_bytes());
        tree.extend(path);
        tree.push(0);
    }
    repository.commit_of(&tree, "\"Ann\" O'Hara <a@b.org> 1 +0000");
    let numbers = read(&repository).await;
    let paths: Vec<&str> = numbers.files.keys().map(String::as_str).collect();
    assert_eq!(paths, ["\"quoted\"", "back\\slash", "caf\\xe8", "caf\\xe9", "two\\nlines"]);
    assert_eq!(numbers.authors, rows(&[("\"Ann\" O'Hara", [1, 5, 0])]));
}

#[tokio::test]
async fn a_commit_without_a_readable_date_counts_for_its_author() {
    let repository = Repository::new();
    let blob = format!("100644 blob {}\tfile\0", repository.blob());
    repository.commit_of(blob.as_bytes(), "Ann <a@b.org>");
    repository.commit_of(b"", "Ann <a@b.org> yesterday +0000");
    repository.commit_of(blob.as_bytes(), "nobody");
    repository.commit_of(b"", "Ann <a@b.org> 1700000000 +0000");
    let numbers = read(&repository).await;
    assert_eq!(numbers.authors["Ann"], [3, 1, 2]);
    assert_eq!(numbers.authors.values().map(|row| row[0]).sum::<u64>(), 4);
    assert_eq!(numbers.hours, 1);
}

#[tokio::test]
async fn the_edge_of_a_shallow_clone_is_read_when_its_parents_are_there() {
    let origin = Repository::new();
    for text in ["1\n", "1\n2\n", "1\n2\n3\n"] {
        origin.file("file", text);
        origin.commit();
    }
    let clone = Repository { folder: tempfile::tempdir().expect("a folder") };
    let url = format!("file://{}", origin.path().display());
    clone.git(&["clone", "--quiet", "--depth=2", &url, "."]);
    let data = tempfile::tempdir().expect("a folder");
    assert_eq!(git::history(clone.path()).expect("ids").cut_off, 1);
    let history = update(data.path(), &clone).await;
    assert_eq!(numbers(&history).await.files, rows(&[("file", [1, 1, 0])]));
    history.close().await.expect("closed");
    clone.git(&["fetch", "--quiet", "--unshallow"]);
    assert_eq!(git::history(clone.path()).expect("ids").cut_off, 0);
    let history = update(data.path(), &clone).await;
    assert_eq!(numbers(&history).await.files, rows(&[("file", [3, 3, 0])]));
    history.close().await.expect("closed");
}

/// A repository whose second of three commits has `files` files.
fn large(files: usize) -> Repository {
    let repository = Repository::new();
    repository.file("first", "1\n");
    repository.commit();
    let blob = repository.blob();
    let mut tree = String::new();
    for number in 0..files {
        write!(tree, "100644 blob {blob}\tfile-{number:06}\0").expect("text");
    }
    repository.commit_of(tree.as_bytes(), "Ann <a@b.org> 1700000000 +0000");
    repository.commit_of(b"", "Ann <a@b.org> 1700000000 +0000");
    repository
}

#[tokio::test]
async fn a_commit_of_many_files_is_read_in_parts() {
    let repository = large(10_000);
    let commits = repository.commits();
    assert_eq!(commits.iter().filter(|commit| commit.last).count(), 3);
    assert!(commits.iter().all(|commit| commit.files.len() <= 4096));
    let numbers = read(&repository).await;
    assert_eq!(numbers.authors, rows(&[("Ann", [3, 10_001, 10_001])]));
    assert_eq!((numbers.files.len(), numbers.hours), (10_001, 3));
}

#[tokio::test]
async fn a_commit_that_was_read_in_part_is_completed() {
    let (repository, data) = (large(10_000), tempfile::tempdir().expect("a folder"));
    let history = History::open(data.path()).await.expect("made");
    // A run that ended after the first part of the second commit.
    for commit in repository.commits().into_iter().take(2) {
        history.client().append(crate::module::COMMITS, commit).await.expect("appended");
    }
    history.close().await.expect("closed");
    let history = update(data.path(), &repository).await;
    let numbers = numbers(&history).await;
    history.close().await.expect("closed");
    assert_eq!(numbers, read(&repository).await);
}

#[test]
fn what_is_no_repository_is_refused() {
    let folder: PathBuf = "/nowhere/at/all".into();
    let error = git::history(&folder).err().expect("refused").to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
}
