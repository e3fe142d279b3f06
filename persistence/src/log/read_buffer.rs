//! A part of a segment in memory, read with positioned reads: a sector that the disk cannot read is then
//! an error with its place, where a map of the file would end the process.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::segment::Segment;
use crate::{LogError, Mapped, StorageFile};

/// How much is read at once at first, and by and by: who goes on reading will need more.
const LEAST: u64 = 16 << 10;
const MOST: u64 = 256 << 10;

/// Memory that is kept for the next read.
const KEPT: usize = 2 << 20;

/// Blocks in which a place that cannot be read is looked for.
const BLOCK: u64 = 512;

#[derive(Debug)]
pub(crate) struct ReadBuffer {
    /// The segment's file, from the first read on: what is sealed has no descriptor of its own.
    file: Option<Arc<dyn StorageFile>>,
    bytes: Arc<Vec<u8>>,
    start: u64,
    ahead: u64,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { file: None, bytes: Arc::default(), start: 0, ahead: LEAST }
    }
}

impl ReadBuffer {
    /// Forgets a segment; the next one is read as eagerly.
    pub(crate) fn leave(&mut self) {
        self.file = None;
        self.clear();
    }

    fn clear(&mut self) {
        (self.bytes, self.start) = (Arc::default(), 0);
    }

    /// Reads `range` of `segment`, unless it is here, and more of what lies before `end`. `range` must lie
    /// before `end`, and what lies before `end` must not change.
    #[inline]
    pub(crate) fn cover(
        &mut self,
        segment: &Segment,
        range: &Range<u64>,
        end: u64,
    ) -> Result<(), LogError> {
        debug_assert!(range.start <= range.end && range.end <= end, "{range:?} lies before {end}");
        let held = self.start..self.start + self.bytes.len() as u64;
        if held.start <= range.start && range.end <= held.end {
            return Ok(());
        }
        self.read(segment, range, end)
    }

    #[cold]
    fn read(&mut self, segment: &Segment, range: &Range<u64>, end: u64) -> Result<(), LogError> {
        let wanted = (range.end - range.start).max(self.ahead).min(end - range.start);
        self.ahead = (self.ahead * 2).min(MOST);
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(segment.file()?)),
        };
        let buffer = buffer(&mut self.bytes, wanted as usize);
        match file.read_at(range.start, buffer) {
            Ok(()) => {
                self.start = range.start;
                Ok(())
            }
            Err(source) => {
                self.clear();
                let offset = first_unreadable(&*file, range.start..range.start + wanted);
                Err(LogError::unreadable(segment.shown.clone(), offset, source))
            }
        }
    }

    /// A part of what is here.
    #[inline]
    pub(crate) fn at(&self, range: Range<u64>) -> &[u8] {
        &self.bytes[(range.start - self.start) as usize..(range.end - self.start) as usize]
    }

    /// A part of what is here, as a view that outlives the buffer.
    pub(crate) fn view(&self, range: Range<u64>) -> Mapped {
        let range = (range.start - self.start) as usize..(range.end - self.start) as usize;
        Mapped::new(Arc::clone(&self.bytes) as Arc<_>, range)
    }
}

/// Room for `len` bytes: the old one, where nobody has a view of it.
fn buffer(bytes: &mut Arc<Vec<u8>>, len: usize) -> &mut [u8] {
    let reusable = bytes.capacity() <= KEPT.max(len) && Arc::get_mut(bytes).is_some();
    if !reusable {
        *bytes = Arc::default();
    }
    let buffer = Arc::make_mut(bytes);
    buffer.resize(len, 0);
    buffer
}

/// Where the first byte of `range` is that cannot be read.
pub(crate) fn first_unreadable(file: &dyn StorageFile, range: Range<u64>) -> u64 {
    let mut block = [0; BLOCK as usize];
    let mut at = range.start;
    while at < range.end {
        let len = (BLOCK - at % BLOCK).min(range.end - at);
        if file.read_at(at, &mut block[..len as usize]).is_err() {
            return at;
        }
        at += len;
    }
    range.start
}

/// Whether all of `range` is zero.
pub(crate) fn is_zero(file: &dyn StorageFile, range: Range<u64>) -> io::Result<bool> {
    let mut piece = vec![0; MOST.min(range.end.saturating_sub(range.start)) as usize];
    let mut at = range.start;
    while at < range.end {
        let len = MOST.min(range.end - at);
        let piece = &mut piece[..len as usize];
        file.read_at(at, piece)?;
        if piece.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += len;
    }
    Ok(true)
}
