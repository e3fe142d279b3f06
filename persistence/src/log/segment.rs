//! One segment as writer, syncer and readers share it, and the making of its file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::format::{BATCH_HEADER, DATA_START, SegmentHeader, decode_footer, encode_footer};
use super::index::SegmentIndex;
use super::walk::{Step, Walk};
use crate::bytes::u32_at;
use crate::{LogError, Mapped, Position, Storage, StorageFile};

const OPEN: u64 = u64::MAX;
pub(crate) const DAMAGE_HINT: &str =
    "restore the file from a backup or a replica; nothing was skipped or changed";

/// A segment of the log. Offsets are in bytes from the start of its file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) salt: u32,
    /// For messages.
    pub(crate) shown: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) capacity: u64,
    /// Bytes of batches in all segments before this one.
    pub(crate) bytes_before: u64,
    /// Batches end here; up to the visible end readers may look; up to the durable end a power loss
    /// spares them (0: not even the header). Each only grows, but for a failed sync.
    pub(crate) written: AtomicU64,
    pub(crate) visible: AtomicU64,
    pub(crate) durable: AtomicU64,
    /// Where the log goes on in the next segment, or `OPEN`.
    end: AtomicU64,
    index: RwLock<Option<SegmentIndex>>,
}

impl Segment {
    /// A segment whose batches end at `end`, all of them durable and visible.
    pub(crate) fn new(
        header: SegmentHeader,
        path: PathBuf,
        storage: &dyn Storage,
        file: Arc<dyn StorageFile>,
        capacity: u64,
        end: u64,
    ) -> Self {
        Self {
            salt: header.salt(),
            header,
            shown: storage.display(&path),
            path,
            file,
            capacity,
            bytes_before: 0,
            written: AtomicU64::new(end),
            visible: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            end: AtomicU64::new(OPEN),
            index: RwLock::new(None),
        }
    }

    pub(crate) fn with_index(self, index: Option<SegmentIndex>) -> Self {
        Self { index: RwLock::new(index), ..self }
    }

    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Closes the segment: the log goes on in the next one, which readers must already see.
    pub(crate) fn close(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Where the segment was closed, if it was.
    pub(crate) fn closed_at(&self) -> Option<u64> {
        Some(self.end.load(Ordering::Acquire)).filter(|&end| end != OPEN)
    }

    pub(crate) fn visible_end(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    pub(crate) fn map(&self, start: u64, end: u64) -> Result<Mapped, LogError> {
        self.file.map(start..end).map_err(|source| self.io("read", source))
    }

    pub(crate) fn io(&self, action: &'static str, source: io::Error) -> LogError {
        LogError::io(action, self.shown.clone(), source)
    }

    pub(crate) fn damaged(&self, offset: u64, expected: String, got: String) -> LogError {
        LogError::Damaged { file: self.shown.clone(), offset, expected, got, hint: DAMAGE_HINT }
    }

    /// Asks the index; makes it first where this process has not done so yet, from the footer or,
    /// where there is none, from the records.
    pub(crate) fn index<T>(&self, ask: impl FnOnce(&SegmentIndex) -> T) -> Result<T, LogError> {
        if let Some(index) = self.index.read().as_ref() {
            return Ok(ask(index));
        }
        let made = match self.footer()? {
            Some(index) => index,
            None => self.rebuild_index()?,
        };
        Ok(ask(self.index.write().get_or_insert(made)))
    }

    /// Asks the index if it is at hand.
    pub(crate) fn known_index<T>(&self, ask: impl FnOnce(&SegmentIndex) -> T) -> Option<T> {
        self.index.read().as_ref().map(ask)
    }

    /// Changes the index of a segment that the writer or the syncer owns.
    pub(crate) fn update_index(&self, change: impl FnOnce(&mut SegmentIndex)) {
        change(self.index.write().get_or_insert_default());
    }

    pub(crate) fn set_index(&self, index: SegmentIndex) {
        *self.index.write() = Some(index);
    }

    /// The index that stands behind the last batch, if it is whole.
    pub(crate) fn footer(&self) -> Result<Option<SegmentIndex>, LogError> {
        let (Some(end), len) = (self.closed_at(), self.len()?) else { return Ok(None) };
        if end + BATCH_HEADER as u64 > len {
            return Ok(None);
        }
        let block = self.map(end, end + BATCH_HEADER as u64)?;
        let block_end = end + u64::from(u32_at(&block, 8));
        if block_end > len {
            return Ok(None);
        }
        let block = self.map(end, block_end)?;
        Ok(decode_footer(&block, self.salt).and_then(SegmentIndex::decode))
    }

    fn len(&self) -> Result<u64, LogError> {
        self.file.len().map_err(|source| self.io("measure", source))
    }

    /// Reads the visible records. Sources that are only in earlier segments are not known then.
    pub(crate) fn rebuild_index(&self) -> Result<SegmentIndex, LogError> {
        let mut index = SegmentIndex::default();
        self.walk(|batch| index.add(batch))?;
        Ok(index)
    }

    /// Verifies every visible batch and says at which position they end.
    pub(crate) fn walk(
        &self,
        mut each: impl FnMut(&super::index::BatchSummary),
    ) -> Result<Position, LogError> {
        let end = self.visible_end();
        let bytes = self.map(0, end)?;
        let mut walk = Walk::new(&bytes, DATA_START, self.header.first, self.salt);
        loop {
            match walk.step() {
                Step::Batch(summary) => each(&summary),
                Step::End if walk.offset as u64 >= end => return Ok(walk.next),
                Step::End => {
                    let expected = format!("batches up to byte {end}");
                    return Err(self.damaged(walk.offset as u64, expected, "zeros".into()));
                }
                Step::Bad { offset, expected, got } => {
                    return Err(self.damaged(offset, expected, got));
                }
            }
        }
    }

    /// Writes the index behind the last batch of a closed segment. It is derived data, so a failure
    /// costs time later and nothing else.
    pub(crate) fn write_footer(&self) {
        let Some(end) = self.closed_at() else { return };
        let Some(index) = self.known_index(SegmentIndex::encode) else { return };
        let footer = encode_footer(&index, self.salt);
        if let Err(error) = self.file.write_at(end, &footer) {
            tracing::warn!(file = %self.shown.display(), %error, "no footer: scans will be slower");
        }
    }
}

/// Makes the zero-filled file of a segment, with its header when that is known already, durable
/// under its name. Leaves nothing behind when it fails.
pub(crate) fn create_file(
    storage: &dyn Storage,
    path: &Path,
    capacity: u64,
    header: Option<&SegmentHeader>,
) -> io::Result<Arc<dyn StorageFile>> {
    let made = fill_file(storage, path, capacity, header);
    if made.is_err() {
        // The first failure is the one to report; a leftover is removed by the next start.
        let _ = storage.remove(path);
    }
    made
}

fn fill_file(
    storage: &dyn Storage,
    path: &Path,
    capacity: u64,
    header: Option<&SegmentHeader>,
) -> io::Result<Arc<dyn StorageFile>> {
    let file = match storage.create_zeros(path, capacity) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            storage.remove(path)?;
            storage.create_zeros(path, capacity)?
        }
        created => created?,
    };
    if let Some(header) = header {
        file.write_at(0, &header.encode())?;
    }
    file.sync()?;
    storage.sync_dir(path.parent().unwrap_or(Path::new("")))?;
    Ok(file)
}
