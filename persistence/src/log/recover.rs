//! What a folder of segments says: how the log was stopped, where it ends, whether it is damaged.
//! Reads only; what follows from it is the business of [`open`](super::open).

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clean;
use super::format::{
    DATA_START, DecodeError, SegmentHeader, VERSION, segment_name, segment_number,
};
use super::index::SegmentIndex;
use super::orphans::Orphans;
use super::read_buffer::{first_unreadable, is_zero};
use super::segment::{DAMAGE_HINT, Segment};
use super::walk::{Walk, WalkStep, look_beyond};
use crate::planted::{Bug, is_planted};
use crate::{LogError, Position, Storage};

/// No log has a segment of a higher number, and there are numbers behind it.
const NUMBER_MAX: u64 = u64::MAX / 2;

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

struct Candidate {
    number: u64,
    path: PathBuf,
    len: u64,
    header: Result<SegmentHeader, DecodeError>,
}

impl Candidate {
    /// The log that it says it belongs to.
    fn owner(&self) -> Option<(u64, PathBuf)> {
        self.header.as_ref().ok().map(|header| (header.partition, self.path.clone()))
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
        None => find_end(&mut analysis, orphans)?,
    }
    Ok(analysis)
}

fn candidates(storage: &dyn Storage, dir: &Path) -> Result<Vec<Candidate>, LogError> {
    let names = match storage.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|error| LogError::io("list", storage.display(dir), error))?,
    };
    let mut numbers: Vec<_> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    if let Some(&highest) = numbers.last().filter(|&&highest| highest > NUMBER_MAX) {
        let file = storage.display(&dir.join(segment_name(highest)));
        return Err(header_damage(file, "a segment number below 2^63".into(), highest.to_string()));
    }
    let read = |number| candidate(storage, number, dir.join(segment_name(number)));
    numbers.into_iter().map(read).collect()
}

/// Reads the first page of a file; it has no descriptor afterwards.
fn candidate(storage: &dyn Storage, number: u64, path: PathBuf) -> Result<Candidate, LogError> {
    let shown = || storage.display(&path);
    let opened = storage.open_read(&path).and_then(|file| Ok((file.len()?, file)));
    let (len, file) = opened.map_err(|source| LogError::io("open", shown(), source))?;
    let mut page = vec![0; len.min(DATA_START) as usize];
    let unreadable = |range: Range<u64>| {
        let (file, shown) = (&file, &shown);
        move |source| LogError::unreadable(shown(), first_unreadable(&**file, range), source)
    };
    file.read_at(0, &mut page).map_err(unreadable(0..len.min(DATA_START)))?;
    let header = match SegmentHeader::decode(&page) {
        // Batches are written only after the header: where there is none, a broken header was torn by
        // the stop that kept the segment from being used.
        Err(DecodeError::Bad { .. })
            if is_zero(&*file, DATA_START..len).map_err(unreadable(DATA_START..len))? =>
        {
            Err(DecodeError::Blank)
        }
        header => header,
    };
    Ok(Candidate { number, path, len, header })
}

/// The segments that make up the log: from the newest with a header back along the numbers that
/// each header names. Where a power loss took the header of one, those behind it are `orphans`, and the log
/// ends before it.
fn chain(
    shared: &Arc<dyn Storage>,
    candidates: Vec<Candidate>,
    orphans: &mut Orphans,
) -> Result<Vec<Arc<Segment>>, LogError> {
    let storage = &**shared;
    let mut by_number: BTreeMap<_, _> =
        candidates.into_iter().map(|found| (found.number, found)).collect();
    let mut segments: Vec<Segment> = Vec::new();
    while let Some(found) = match segments.last() {
        None => newest(storage, &mut by_number)?,
        Some(after) if after.header.previous == 0 => None,
        Some(after) => Some(previous(storage, &mut by_number, after)?),
    } {
        let header = match found.header {
            Err(DecodeError::Blank) if !segments.is_empty() => {
                let lost = header_error(storage, &found.path, DecodeError::Blank);
                orphans.add(&std::mem::take(&mut segments), lost)?;
                continue;
            }
            header => header.map_err(|error| header_error(storage, &found.path, error))?,
        };
        check_number(storage, &found.path, found.number, &header)?;
        let end = segments.last().map_or(DATA_START, |after| after.header.previous_end);
        let segment = Segment::new(header, found.path, Arc::clone(shared), found.len, end);
        check_link(&segment, segments.last(), found.len)?;
        if !segments.is_empty() {
            segment.close(end);
        }
        segments.push(segment);
    }
    segments.reverse();
    debug_assert!(segments.is_sorted_by_key(|segment| segment.header.first), "links were checked");
    let mut bytes_before = 0;
    for segment in &mut segments {
        segment.bytes_before = bytes_before;
        bytes_before += segment.visible_end() - DATA_START;
    }
    Ok(segments.into_iter().map(Arc::new).collect())
}

/// The newest segment that was ever begun. Blank ones behind it were only prepared.
///
/// It has the highest number, but for logs of builds that entered a file numbered before a failed sync
/// after the file that was numbered for its recovery: there, a lower number names the highest as the one
/// before it, which nothing else does.
fn newest(
    storage: &dyn Storage,
    by_number: &mut BTreeMap<u64, Candidate>,
) -> Result<Option<Candidate>, LogError> {
    while let Some((highest, found)) = by_number.pop_last() {
        match found.header {
            Ok(_) => return Ok(Some(last_after(by_number, highest, found))),
            Err(DecodeError::Blank) => {}
            Err(error) => return Err(header_error(storage, &found.path, error)),
        }
    }
    Ok(None)
}

/// `found`, or the segment of a lower number that follows it.
fn last_after(
    by_number: &mut BTreeMap<u64, Candidate>,
    highest: u64,
    found: Candidate,
) -> Candidate {
    if is_planted(Bug::TwoOrdersOfSegments) {
        return found;
    }
    let follows = |other: &Candidate| {
        other.header.as_ref().is_ok_and(|header| header.previous == highest && highest != 0)
    };
    let next = by_number.iter().find(|(_, other)| follows(other)).map(|(&number, _)| number);
    let Some(after) = next.and_then(|number| by_number.remove(&number)) else { return found };
    by_number.insert(highest, found);
    after
}

fn previous(
    storage: &dyn Storage,
    by_number: &mut BTreeMap<u64, Candidate>,
    after: &Segment,
) -> Result<Candidate, LogError> {
    by_number.remove(&after.header.previous).ok_or_else(|| {
        let dir = after.path.parent().unwrap_or(Path::new(""));
        LogError::Damaged {
            file: storage.display(&dir.join(segment_name(after.header.previous))),
            offset: 0,
            expected: format!("the segment before {}", segment_name(after.number())),
            got: "no such file".into(),
            hint: DAMAGE_HINT,
        }
    })
}

fn header_error(storage: &dyn Storage, path: &Path, error: DecodeError) -> LogError {
    let file = storage.display(path);
    match error {
        DecodeError::Version(got) => LogError::UnknownVersion { file, expected: VERSION, got },
        DecodeError::Blank => header_damage(file, "a segment header".into(), "zeros".into()),
        DecodeError::Bad { expected, got } => header_damage(file, expected, got),
    }
}

fn header_damage(file: PathBuf, expected: String, got: String) -> LogError {
    LogError::Damaged { file, offset: 0, expected, got, hint: DAMAGE_HINT }
}

fn check_number(
    storage: &dyn Storage,
    path: &Path,
    number: u64,
    header: &SegmentHeader,
) -> Result<(), LogError> {
    if header.number == number {
        return Ok(());
    }
    let (expected, got) = (format!("segment {number}"), format!("segment {}", header.number));
    Err(header_damage(storage.display(path), expected, got))
}

/// A segment must be long enough for what the next one says of it, and of the same partition.
fn check_link(segment: &Segment, after: Option<&Segment>, len: u64) -> Result<(), LogError> {
    let Some(after) = after else { return Ok(()) };
    let end = after.header.previous_end;
    if end > len || end < DATA_START {
        let expected = format!("batches up to byte {end}");
        return Err(segment.damaged(len, expected, format!("a file of {len} bytes")));
    }
    if segment.header.first > after.header.first {
        let expected = format!("positions before {}", after.header.first);
        return Err(segment.damaged(0, expected, segment.header.first.to_string()));
    }
    let (expected, got) = (after.header.partition, segment.header.partition);
    if expected != got {
        return Err(LogError::WrongPartition { file: segment.shown.clone(), expected, got });
    }
    Ok(())
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
fn find_end(analysis: &mut Analysis, orphans: Orphans) -> Result<(), LogError> {
    let segments = &analysis.segments;
    let proven = segments.iter().map(|segment| segment.header.durable_to).max();
    let proven = proven.unwrap_or_default();
    let first = segments.iter().rposition(|segment| segment.header.first <= proven).unwrap_or(0);
    let stop = walk_tail(segments, first)?;
    let lost = judge(segments, &stop, proven)? + orphans.bytes;
    orphans.refuse_beyond(stop.next)?;
    analysis.proven = proven.max(stop.durable_to);
    cut(analysis, &stop, lost);
    Ok(())
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
fn judge(segments: &[Arc<Segment>], stop: &WalkEnd, proven: Position) -> Result<u64, LogError> {
    let segment = &segments[stop.at];
    let footer = segment.footer_at(stop.offset)?.is_some();
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
