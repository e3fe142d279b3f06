//! The module: one depot of commits, and views of who and what changed.

use gridmill::prelude::*;

/// A commit. One of very many files comes in parts, which differ in their files.
///
/// Names and paths are bytes: git does not ask for UTF-8.
#[record]
pub(crate) struct Commit {
    pub(crate) id: Str,
    /// Which part this is, from 0.
    pub(crate) part: u32,
    pub(crate) last: bool,
    pub(crate) author: Bytes,
    /// When it was written by the author's clock: seconds since 1970 plus the offset from UTC.
    pub(crate) local_time: Option<i64>,
    pub(crate) files: List<FileChange>,
}

#[record]
pub(crate) struct FileChange {
    pub(crate) path: Bytes,
    pub(crate) added: u64,
    pub(crate) removed: u64,
}

#[record]
#[derive(Default)]
pub(crate) struct Churn {
    pub(crate) commits: u64,
    pub(crate) added: u64,
    pub(crate) removed: u64,
}

/// How much of a commit is in the depot.
#[record]
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) parts: u32,
    pub(crate) complete: bool,
}

impl Churn {
    fn count(&mut self, commits: u64, added: u64, removed: u64) {
        self.commits += commits;
        self.added += added;
        self.removed += removed;
    }
}

// One commit counts for its author and for many files. Views of different keys need one partition,
// so everything here is global.
pub(crate) const COMMITS: Depot<Commit> = Depot::random("gitlog/commits").global();
pub(crate) const SEEN: PState<Map<Str, Seen>> = PState::new("gitlog/seen").global();
pub(crate) const BY_AUTHOR: PState<Map<Bytes, Churn>> = PState::new("gitlog/by-author").global();
pub(crate) const BY_FILE: PState<Map<Bytes, Churn>> = PState::new("gitlog/by-file").global();
/// Commits by weekday (Monday is 0) and hour.
pub(crate) const BY_HOUR: PState<Map<(u8, u8), u64>> = PState::new("gitlog/by-hour").global();

/// The views that every folder has.
pub(crate) struct GitLog;

impl Module for GitLog {
    const NAME: &'static str = "gitlog";

    fn define(module: &mut Setup) {
        module.depot(COMMITS);
        module.stream("churn", (SEEN, BY_AUTHOR, BY_FILE)).source(COMMITS).each(count_churn);
    }
}

/// The same module with a view more. Where a folder does not have it yet, it is filled from the
/// depot's past.
pub(crate) struct GitLogWithHours;

impl Module for GitLogWithHours {
    const NAME: &'static str = GitLog::NAME;

    fn define(module: &mut Setup) {
        GitLog::define(module);
        module.stream("hours", BY_HOUR).source(COMMITS).each(count_hour);
    }
}

type Views<'a> = (&'a mut Map<Str, Seen>, &'a mut Map<Bytes, Churn>, &'a mut Map<Bytes, Churn>);

fn count_churn(commit: Commit, (seen, by_author, by_file): Views<'_>) {
    seen.insert(commit.id, Seen { parts: commit.part + 1, complete: commit.last });
    let (mut added, mut removed) = (0, 0);
    for file in commit.files {
        added += file.added;
        removed += file.removed;
        by_file.entry(file.path).or_default().count(1, file.added, file.removed);
    }
    let commits = u64::from(commit.last);
    by_author.entry(commit.author).or_default().count(commits, added, removed);
}

fn count_hour(commit: Commit, by_hour: &mut Map<(u8, u8), u64>) {
    if let (true, Some(local_time)) = (commit.last, commit.local_time) {
        *by_hour.entry(weekday_and_hour(local_time)).or_default() += 1;
    }
}

/// The weekday (Monday is 0) and the hour of a local time in seconds since 1970.
fn weekday_and_hour(local_time: i64) -> (u8, u8) {
    let hours = local_time.div_euclid(3600);
    // 1970 began on a Thursday.
    let weekday = (hours.div_euclid(24) + 3).rem_euclid(7);
    (weekday as u8, hours.rem_euclid(24) as u8)
}
