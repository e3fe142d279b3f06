//! What a folder of segments says: how the log was stopped, where it ends, whether it is damaged.
//! Reads only; what follows from it is the business of [`open`](super::open).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::{Candidate, candidates, chain, missing};
use super::clean;
use super::format::{DATA_START, segment_name};
use super::index::SegmentIndex;
use super::orphans::Orphans;
use super::segment::Segment;
use super::walk::{Walk, WalkStep, look_beyond};
use crate::{LogError, Position, Storage};

/// How the log had been stopped when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HowStopped {
    /// There was no log.
    New,
    /// By [`Log::close_clean`](super::Log::close_clean).
    Clean,
    /// By a kill or a crash, but no byte of a record was lost.
    Unclean,
    /// In the middle of a write that was never acknowledged as durable: it was cut away.
    TornTail {
        /// The segment that was cut.
        file: PathBuf,
        /// Where it was cut, in bytes.
        offset: u64,
        /// How many bytes lay behind the cut.
        bytes_lost: u64,
    },
}

/// The segments of a log, oldest first, and what recovery found out about them.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) how: HowStopped,
    /// The position after the last record. Where the log goes on in a new epoch, as a clean stop of a
    /// start that logged nothing says, it is the first one of that.
    pub(crate) next: Position,
    /// What is before it is on the disk; what was read behind it may be in the system's memory alone.
    pub(crate) proven: Position,
    /// Files that are no part of the log: prepared ahead, or cut away.
    pub(crate) garbage: Vec<PathBuf>,
    pub(crate) highest_number: u64,
}

impl Analysis {
    /// Where each source goes on.
    pub(crate) fn next_offsets(&self) -> Result<BTreeMap<u16, u64>, LogError> {
        let mut offsets = BTreeMap::new();
        for segment in self.segments.iter().rev() {
            let spans: Vec<_> = segment.index(|index| index.spans().collect())?;
            for span in &spans {
                offsets.entry(span.source).or_insert(span.next);
            }
            // A footer knows all sources of the segments before it; a rebuilt index does not.
            if segment.index(|index| index.cumulative)? {
                break;
            }
        }
        Ok(offsets)
    }

    /// The time of the last record, or 0.
    pub(crate) fn last_time(&self) -> Result<i64, LogError> {
        for segment in self.segments.iter().rev() {
            let (records, time) = segment.index(|index| (index.records, index.last_time))?;
            if records > 0 || time != 0 {
                return Ok(time);
            }
        }
        Ok(0)
    }
}

/// A segment of another log is no leftover of this one, even where this one does not lead to it.
fn refuse_foreign(
    storage: &dyn Storage,
    owners: &[(u64, PathBuf)],
    last: Option<&Arc<Segment>>,
) -> Result<(), LogError> {
    let Some(last) = last else { return Ok(()) };
    let expected = last.header.partition;
    match owners.iter().find(|(got, _)| *got != expected) {
        Some((got, path)) => {
            Err(LogError::WrongPartition { file: storage.display(path), expected, got: *got })
        }
        None => Ok(()),
    }
}

pub(crate) fn analyse(storage: &Arc<dyn Storage>, dir: &Path) -> Result<Analysis, LogError> {
    let candidates = candidates(&**storage, dir)?;
    let highest_number = candidates.last().map_or(0, |last| last.number);
    let mut garbage: Vec<_> = candidates.iter().map(|found| found.path.clone()).collect();
    let owners: Vec<_> = candidates.iter().filter_map(Candidate::owner).collect();
    let mut orphans = Orphans::default();
    let segments = chain(storage, candidates, &mut orphans)?;
    refuse_foreign(&**storage, &owners, segments.last())?;
    garbage.retain(|path| segments.iter().all(|segment| segment.path != *path));
    let (how, next, proven) = (HowStopped::New, Position::START, Position::START);
    let mut analysis = Analysis { segments, how, next, proven, garbage, highest_number };
    match clean::read(&**storage, dir)? {
        _ if analysis.segments.is_empty() => orphans.refuse_beyond(Position::START)?,
        Some(stop) => {
            orphans.refuse_beyond(Position::START)?;
            stop.apply(&**storage, dir, &mut analysis)?;
        }
        None => find_end(&**storage, &mut analysis, orphans)?,
    }
    Ok(analysis)
}

/// Where a walk over the tail came to its end, and why.
struct WalkEnd {
    at: usize,
    offset: u64,
    next: Position,
    /// What was durable, as the batches before the stop say.
    durable_to: Position,
    expected: String,
    got: String,
}

/// Walks from the last segment that is not proven durable by a later header to the end.
fn find_end(
    storage: &dyn Storage,
    analysis: &mut Analysis,
    orphans: Orphans,
) -> Result<(), LogError> {
    let segments = &analysis.segments;
    let proven = segments.iter().map(|segment| segment.header.durable_to).max();
    let proven = proven.unwrap_or_default();
    let first = segments.iter().rposition(|segment| segment.header.first <= proven).unwrap_or(0);
    let stop = walk_tail(segments, first)?;
    let footer = segments[stop.at].footer_at(stop.offset)?;
    let lost = judge(segments, &stop, footer.is_some(), proven)? + orphans.bytes;
    orphans.refuse_beyond(stop.next)?;
    if let Some(footer) = footer {
        check_successor(storage, analysis, &stop, footer.successor)?;
    }
    analysis.proven = proven.max(stop.durable_to);
    cut(analysis, &stop, lost);
    Ok(())
}

/// Where the log ends with a footer, it had gone on behind it: the file of the segment that the footer names
/// was durable before the footer was written, and stays in the folder until the log goes on elsewhere.
fn check_successor(
    storage: &dyn Storage,
    analysis: &Analysis,
    stop: &WalkEnd,
    successor: u64,
) -> Result<(), LogError> {
    let last = &analysis.segments[stop.at];
    let is_last = stop.at + 1 == analysis.segments.len();
    if successor == 0 || !is_last || analysis.garbage.contains(&last.sibling(successor)) {
        return Ok(());
    }
    let expected =
        format!("the segment in which the log goes on after {}", segment_name(last.number()));
    Err(missing(storage, last, successor, expected))
}

fn walk_tail(segments: &[Arc<Segment>], first: usize) -> Result<WalkEnd, LogError> {
    let mut at = first;
    loop {
        let segment = &segments[at];
        let len = segment.closed_at().unwrap_or(segment.capacity);
        let stop = walk_segment(segments, at, len)?;
        let complete = segment.closed_at() == Some(stop.offset);
        let Some(after) = segments.get(at + 1).filter(|_| complete) else { return Ok(stop) };
        if after.header.previous_next != stop.next {
            let (expected, got) = (after.header.previous_next.to_string(), stop.next.to_string());
            return Err(segment.damaged(stop.offset, format!("an end at {expected}"), got));
        }
        at += 1;
    }
}

fn walk_segment(segments: &[Arc<Segment>], at: usize, len: u64) -> Result<WalkEnd, LogError> {
    let segment = &segments[at];
    let mut walk = Walk::new(segment, len);
    let before = at.checked_sub(1).map(|before| segments[before].index(SegmentIndex::successor));
    let mut index = before.transpose()?.unwrap_or_else(SegmentIndex::first);
    let (expected, got) = loop {
        match walk.step()? {
            WalkStep::Batch(summary) => index.add(&summary),
            WalkStep::End => break ("a batch".into(), "zeros".into()),
            WalkStep::Bad { expected, got, .. } => break (expected, got),
        }
    };
    segment.set_index(index);
    let Walk { offset, next, durable_to, .. } = walk;
    Ok(WalkEnd { at, offset, next, durable_to, expected, got })
}

/// How many bytes lie behind the stop; an error if any of them proves that what should stand at the
/// stop had been durable.
fn judge(
    segments: &[Arc<Segment>],
    stop: &WalkEnd,
    footer: bool,
    proven: Position,
) -> Result<u64, LogError> {
    let segment = &segments[stop.at];
    let beyond = look_beyond(segment, stop.offset)?;
    let mut lost = if footer { 0 } else { beyond.written_to - stop.offset };
    let mut durable_to = proven.max(beyond.durable_to);
    for later in &segments[stop.at + 1..] {
        let beyond = look_beyond(later, DATA_START)?;
        durable_to = durable_to.max(beyond.durable_to);
        lost += beyond.written_to - DATA_START;
    }
    if durable_to <= stop.next {
        return Ok(lost);
    }
    let expected = format!("{} (record {}; durable up to {durable_to})", stop.expected, stop.next);
    Err(segment.damaged(stop.offset, expected, stop.got.clone()))
}

fn cut(analysis: &mut Analysis, stop: &WalkEnd, lost: u64) {
    let dropped = analysis.segments.split_off(stop.at + 1);
    analysis.garbage.extend(dropped.iter().map(|segment| segment.path.clone()));
    let segment = &analysis.segments[stop.at];
    debug_assert!(segment.header.first <= stop.next, "a walk over records goes on");
    end_at(segment, stop.offset);
    analysis.next = stop.next;
    analysis.how = match lost {
        0 => HowStopped::Unclean,
        bytes_lost => {
            HowStopped::TornTail { file: segment.shown.clone(), offset: stop.offset, bytes_lost }
        }
    };
}

/// Lets the last segment's batches end at `offset`, where no walk had set it yet.
pub(crate) fn end_at(segment: &Segment, offset: u64) {
    use std::sync::atomic::Ordering::Release;
    assert!((DATA_START..=segment.capacity).contains(&offset), "an end at byte {offset}");
    segment.written.store(offset, Release);
    segment.durable.store(offset, Release);
    segment.visible.store(offset, Release);
}
