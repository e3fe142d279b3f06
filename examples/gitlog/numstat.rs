//! What `git diff-tree --numstat -z` prints, as commits.

use std::io::BufRead;

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::module::{Commit, FileChange};

/// How each commit is to be headed. Entries of files begin with a digit or a dash.
pub(crate) const FORMAT: &str = "--format=%x01%H %ad%x01%aN";

/// Starts what a commit begins with, and its author.
const MARK: u8 = 1;

/// The most that one part of a commit holds.
const PART_FILES_MAX: usize = 4096;
const PART_BYTES_MAX: usize = 256 << 10;

/// The longest name of a file or an author; what is longer is cut. No file system has such paths,
/// but whoever writes a repository by hand can.
const NAME_BYTES_MAX: usize = 4096;

/// Reads everything, and has `each` called with every commit, or part of one, in order.
pub(crate) fn parse(
    mut output: impl BufRead,
    each: impl FnMut(Commit) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut reader = Reader { each, current: None, bytes: 0 };
    let mut entry = Vec::new();
    while output.read_until(0, &mut entry)? > 0 {
        entry.pop_if(|byte| *byte == 0);
        reader.entry(&entry)?;
        entry.clear();
    }
    reader.finish()
}

struct Reader<F> {
    each: F,
    current: Option<Commit>,
    /// How many bytes the paths in it have.
    bytes: usize,
}

impl<F: FnMut(Commit) -> Result<(), Failed>> Reader<F> {
    fn entry(&mut self, entry: &[u8]) -> Result<(), Failed> {
        // The first file of a commit stands on a line of its own.
        let entry = entry.strip_prefix(b"\n").unwrap_or(entry);
        match entry.split_first() {
            None => Ok(()),
            Some((&MARK, head)) => {
                self.finish()?;
                self.current = Some(parse_head(head).ok_or_else(|| not_understood(entry))?);
                Ok(())
            }
            Some(_) => self.file(parse_file(entry).ok_or_else(|| not_understood(entry))?),
        }
    }

    fn file(&mut self, file: FileChange) -> Result<(), Failed> {
        let commit = self.current.as_mut().ok_or("git printed a file before a commit")?;
        let full = commit.files.len() == PART_FILES_MAX;
        if full || self.bytes + file.path.len() > PART_BYTES_MAX {
            let next = Commit { part: commit.part + 1, files: List::new(), ..commit.clone() };
            let part = std::mem::replace(commit, next);
            self.bytes = 0;
            (self.each)(part)?;
        }
        self.bytes += file.path.len();
        if let Some(commit) = &mut self.current {
            commit.files.push_back(file);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failed> {
        self.bytes = 0;
        let Some(commit) = self.current.take() else { return Ok(()) };
        (self.each)(Commit { last: true, ..commit })
    }
}

fn not_understood(entry: &[u8]) -> Failed {
    format!("git printed `{}`, which is not understood", entry.escape_ascii()).into()
}

/// Parses `<id> <seconds> <offset>\x01<author>`; without a readable date there is none.
fn parse_head(head: &[u8]) -> Option<Commit> {
    let mark = head.iter().position(|byte| *byte == MARK)?;
    let (id, date) = str::from_utf8(&head[..mark]).ok()?.split_once(' ')?;
    let (local_time, author) = (local_time(date), name(&head[mark + 1..]));
    Some(Commit { id: id.into(), part: 0, last: false, author, local_time, files: List::new() })
}

/// Parses `<seconds> <offset>`; the offset is like `+0130`.
fn local_time(date: &str) -> Option<i64> {
    let (seconds, offset) = date.split_once(' ')?;
    let (seconds, offset): (i64, i64) = (seconds.parse().ok()?, offset.parse().ok()?);
    let minutes = offset / 100 * 60 + offset % 100;
    seconds.checked_add(minutes.checked_mul(60)?)
}

/// Parses `<added>\t<removed>\t<path>`; binary files have dashes for numbers.
fn parse_file(entry: &[u8]) -> Option<FileChange> {
    let mut parts = entry.splitn(3, |byte| *byte == b'\t');
    let (added, removed, path) = (parts.next()?, parts.next()?, parts.next()?);
    Some(FileChange { path: name(path), added: number(added)?, removed: number(removed)? })
}

fn number(text: &[u8]) -> Option<u64> {
    if text == b"-" { Some(0) } else { str::from_utf8(text).ok()?.parse().ok() }
}

fn name(bytes: &[u8]) -> Bytes {
    Bytes::from(&bytes[..bytes.len().min(NAME_BYTES_MAX)])
}
