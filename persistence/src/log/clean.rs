//! The marker of a clean stop: a small file beside the segments that says where the log ends.
//! It is removed, durably, before the log accepts anything again.

use std::path::Path;

use super::format::DATA_START;
use super::index::SegmentIndex;
use super::recover::{Analysis, HowStopped, end_at};
use super::segment::Segment;
use super::walk::{Walk, WalkStep};
use crate::bytes::u64_at;
use crate::{LogError, Position, Storage, manifest};

pub(crate) const NAME: &str = "clean";
/// Version 1 did not say of which log it is.
const VERSION: u32 = 2;
const HINT: &str = "restore the folder of the log from a backup; nothing was changed";

/// Where a log was stopped.
#[derive(Debug)]
pub(crate) struct CleanStop {
    /// The number of the log; `None` where version 1 wrote the marker.
    pub(crate) partition: Option<u64>,
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) next: Position,
    pub(crate) index: SegmentIndex,
}

pub(crate) fn write(storage: &dyn Storage, dir: &Path, stop: &CleanStop) -> Result<(), LogError> {
    let mut payload = Vec::new();
    let partition = stop.partition.unwrap_or_default();
    for field in [stop.number, stop.offset, stop.next.to_bits(), partition] {
        payload.extend_from_slice(&field.to_le_bytes());
    }
    payload.extend_from_slice(&stop.index.encode());
    manifest::write_versioned(storage, dir, NAME, VERSION, &payload)
}

pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Option<CleanStop>, LogError> {
    let read = manifest::read_versioned(storage, dir, NAME, VERSION)?;
    let Some((version, payload)) = read else { return Ok(None) };
    let fields = if version == 1 { 24 } else { 32 };
    let Some(index) = payload.get(fields..).and_then(SegmentIndex::decode) else {
        return Err(damaged(storage, dir, "an index of the last segment", "other bytes".into()));
    };
    Ok(Some(CleanStop {
        partition: (version > 1).then(|| u64_at(&payload, 24)),
        number: u64_at(&payload, 0),
        offset: u64_at(&payload, 8),
        next: Position::from_bits(u64_at(&payload, 16)),
        index,
    }))
}

fn damaged(storage: &dyn Storage, dir: &Path, expected: &str, got: String) -> LogError {
    let file = storage.display(&dir.join(NAME));
    LogError::Damaged { file, offset: 24, expected: expected.into(), got, hint: HINT }
}

impl CleanStop {
    /// Takes the end of the log from the marker, without reading the records.
    pub(crate) fn apply(
        self,
        storage: &dyn Storage,
        dir: &Path,
        analysis: &mut Analysis,
    ) -> Result<(), LogError> {
        if let (Some(got), Some(last)) = (self.partition, analysis.segments.last())
            && got != last.header.partition
        {
            let (file, expected) = (storage.display(&dir.join(NAME)), last.header.partition);
            return Err(LogError::WrongPartition { file, expected, got });
        }
        let last = analysis.segments.last().filter(|last| {
            last.number() == self.number
                && (DATA_START..=last.capacity).contains(&self.offset)
                && self.next >= last.header.first
                && self.next.number() == last.header.first.forward(self.index.records).number()
                && self.index.fits(last.header.first, &(DATA_START..self.offset))
        });
        let Some(last) = last else {
            let got = format!("an end in segment {} at byte {}", self.number, self.offset);
            return Err(damaged(storage, dir, "an end in the last segment", got));
        };
        end_at(last, self.offset);
        last.set_index(self.index);
        analysis.how = HowStopped::Clean;
        analysis.next = self.next;
        Ok(())
    }
}

/// The last batches end where the log does, so that a marker which says so and the segment are of one
/// time. Reads what follows the last point of the index. Where nothing was logged after an unclean stop,
/// `next` is in a later epoch than the segment.
pub(crate) fn check_end(last: &Segment, next: Position) -> Result<(), LogError> {
    let end = last.visible_end();
    let first = (DATA_START, last.header.first.number());
    let (offset, number) = last.index(|index| index.point_before(end))?.unwrap_or(first);
    let from = Position::new(last.header.first.epoch(), number);
    let mut walk = Walk::new(last, end).beginning_at(offset, from);
    loop {
        match walk.step()? {
            WalkStep::Batch(_) => {}
            WalkStep::End => break,
            // Damage, or a batch that the end of another time cuts through.
            WalkStep::Bad { offset, expected, got } => {
                let expected = format!("{expected} (the log ends at byte {end}, record {next})");
                return Err(last.damaged(offset, expected, got));
            }
        }
    }
    if (walk.offset, walk.next.number()) == (end, next.number()) {
        return Ok(());
    }
    let expected = format!("batches up to byte {end} and record {next}");
    Err(last.damaged(walk.offset, expected, format!("an end at record {}", walk.next)))
}
