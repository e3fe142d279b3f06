//! Which segments of a folder are the log: from the last one with a header back along the numbers that
//! each header names. Reads only.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{
    DATA_START, DecodeError, SegmentHeader, VERSION, segment_name, segment_number,
};
use super::orphans::Orphans;
use super::read_buffer::{first_unreadable, is_zero};
use super::segment::{DAMAGE_HINT, Segment};
use crate::planted::{Bug, is_planted};
use crate::{LogError, Storage};

/// No log has a segment of a higher number, and there are numbers behind it.
const NUMBER_MAX: u64 = u64::MAX / 2;

/// A file that may be a segment of the log.
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    len: u64,
    header: Result<SegmentHeader, DecodeError>,
}

impl Candidate {
    /// The log that it says it belongs to.
    pub(super) fn owner(&self) -> Option<(u64, PathBuf)> {
        self.header.as_ref().ok().map(|header| (header.partition, self.path.clone()))
    }
}

/// All of them in `dir`, by number.
pub(super) fn candidates(storage: &dyn Storage, dir: &Path) -> Result<Vec<Candidate>, LogError> {
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
pub(super) fn chain(
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
        if let Some(after) = segments.last() {
            segment.close(end, after.number());
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
        let expected = format!("the segment before {}", segment_name(after.number()));
        missing(storage, after, after.header.previous, expected)
    })
}

/// The segment with that number is not in the folder that `beside` lies in.
pub(super) fn missing(
    storage: &dyn Storage,
    beside: &Segment,
    number: u64,
    expected: String,
) -> LogError {
    let file = storage.display(&beside.sibling(number));
    header_damage(file, expected, "no such file".into())
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
