//! The marker of a clean stop: a small file beside the segments that says where the log ends.
//! It is removed, durably, before the log accepts anything again.

use std::path::Path;

use super::format::DATA_START;
use super::index::SegmentIndex;
use super::recover::{Analysis, HowStopped, end_at};
use crate::bytes::u64_at;
use crate::{LogError, Position, Storage, manifest};

pub(crate) const NAME: &str = "clean";
const HINT: &str = "remove the file to have the end of the log found by reading it";

/// Where a log was stopped.
#[derive(Debug)]
pub(crate) struct CleanStop {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) next: Position,
    pub(crate) index: SegmentIndex,
}

pub(crate) fn write(storage: &dyn Storage, dir: &Path, stop: &CleanStop) -> Result<(), LogError> {
    let mut payload = Vec::new();
    for field in [stop.number, stop.offset, stop.next.to_bits()] {
        payload.extend_from_slice(&field.to_le_bytes());
    }
    payload.extend_from_slice(&stop.index.encode());
    manifest::write_atomic(storage, dir, NAME, &payload)
}

pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Option<CleanStop>, LogError> {
    let Some(payload) = manifest::read_checked(storage, dir, NAME)? else { return Ok(None) };
    let Some(index) = payload.get(24..).and_then(SegmentIndex::decode) else {
        return Err(damaged(storage, dir, "an index of the last segment", "other bytes".into()));
    };
    Ok(Some(CleanStop {
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
