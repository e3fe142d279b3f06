//! Segments behind one that a power loss left without its header.
//!
//! Segments are written one after the other and synced together, so that of several that were not synced
//! yet any may be there afterwards. Nothing in them was durable; what says otherwise is damage.

use super::format::DATA_START;
use super::segment::Segment;
use super::walk::look_beyond;
use crate::{LogError, Position};

/// What segments that lead to nothing say.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// What was durable when the last of them was written.
    durable_to: Position,
    /// Bytes of batches in them.
    pub(super) bytes: u64,
    /// The header that is missing.
    lost: Option<LogError>,
}

impl Orphans {
    /// Takes in segments behind the one that `lost` is about.
    pub(super) fn add(&mut self, segments: &[Segment], lost: LogError) -> Result<(), LogError> {
        for segment in segments {
            let beyond = look_beyond(segment, DATA_START)?;
            let durable_to = segment.header.durable_to.max(beyond.durable_to);
            self.durable_to = self.durable_to.max(durable_to);
            self.bytes += beyond.written_to - DATA_START;
        }
        self.lost = Some(lost);
        Ok(())
    }

    /// Nothing at or behind `end`, where the log ends without them, may have been durable.
    pub(super) fn refuse_beyond(self, end: Position) -> Result<(), LogError> {
        match self.lost {
            Some(lost) if self.durable_to > end => Err(lost),
            _ => Ok(()),
        }
    }
}
