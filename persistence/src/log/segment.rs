//! One segment as writer, syncer and readers share it, and the making of its file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::format::{
    BATCH_HEADER, DATA_START, SegmentHeader, decode_footer, encode_footer, segment_name,
};
use super::index::SegmentIndex;
use super::read_buffer::ReadBuffer;
use super::walk::{Walk, WalkStep};
use crate::bytes::u32_at;
use crate::{LogError, Position, Storage, StorageFile};

const OPEN: u64 = u64::MAX;
/// Bytes that are written again at a time.
const PIECE: u64 = 256 << 10;
pub(crate) const DAMAGE_HINT: &str =
    "restore the file from a backup or a replica; nothing was skipped or changed";

/// What a sealed segment says of itself.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) index: SegmentIndex,
    /// The number of the segment in which the log goes on; 0 where an earlier build wrote it.
    pub(crate) successor: u64,
}

/// A segment of the log. Offsets are in bytes from the start of its file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) salt: u32,
    /// For messages.
    pub(crate) shown: PathBuf,
    pub(crate) path: PathBuf,
    storage: Arc<dyn Storage>,
    /// Held while there is something to write or to sync. All others open the file when they read, so that
    /// a log has few descriptors however long it is.
    file: Mutex<Option<Arc<dyn StorageFile>>>,
    pub(crate) capacity: u64,
    /// Bytes of batches in all segments before this one.
    pub(crate) bytes_before: u64,
    /// Batches end here; up to the visible end readers may look; up to the durable end a power loss
    /// spares them (0: not even the header). Each only grows, but for a failed sync.
    pub(crate) written: AtomicU64,
    pub(crate) visible: AtomicU64,
    pub(crate) durable: AtomicU64,
    /// Where the log goes on in the next segment, or `OPEN`; and the number of that one.
    end: AtomicU64,
    successor: AtomicU64,
    index: RwLock<Option<SegmentIndex>>,
}

impl Segment {
    /// A segment whose batches end at `end`, all of them durable and visible.
    pub(crate) fn new(
        header: SegmentHeader,
        path: PathBuf,
        storage: Arc<dyn Storage>,
        capacity: u64,
        end: u64,
    ) -> Self {
        Self {
            salt: header.salt(),
            header,
            shown: storage.display(&path),
            path,
            storage,
            file: Mutex::new(None),
            capacity,
            bytes_before: 0,
            written: AtomicU64::new(end),
            visible: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            end: AtomicU64::new(OPEN),
            successor: AtomicU64::new(0),
            index: RwLock::new(None),
        }
    }

    pub(crate) fn with_index(self, index: Option<SegmentIndex>) -> Self {
        Self { index: RwLock::new(index), ..self }
    }

    /// Where segment `number` of its log lies, or would.
    pub(crate) fn sibling(&self, number: u64) -> PathBuf {
        self.path.with_file_name(segment_name(number))
    }

    /// Keeps the descriptor of its file until nothing more is to be written or synced.
    pub(crate) fn holding(self, file: Arc<dyn StorageFile>) -> Self {
        self.hold(file);
        self
    }

    pub(crate) fn hold(&self, file: Arc<dyn StorageFile>) {
        *self.file.lock() = Some(file);
    }

    pub(crate) fn let_go(&self) {
        *self.file.lock() = None;
    }

    /// Its file: the one that is held, or else opened for reading.
    pub(crate) fn file(&self) -> Result<Arc<dyn StorageFile>, LogError> {
        if let Some(file) = self.file.lock().as_ref() {
            return Ok(Arc::clone(file));
        }
        self.storage.open_read(&self.path).map_err(|source| self.io("open", source))
    }

    /// Its file for writing: the one that is held, or else opened anew.
    fn writable(&self) -> Result<Arc<dyn StorageFile>, LogError> {
        let held = self.file.lock().clone();
        let opened = held.map_or_else(|| self.storage.open(&self.path), Ok);
        opened.map_err(|source| self.io("open", source))
    }

    /// Makes what was written to it durable.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.file()?.sync().map_err(|source| self.io("sync", source))
    }

    /// Writes what lies behind `proven` once more, as it is and in its place, and makes it durable. After a
    /// sync that failed, the system may take for written what it has in memory alone: the next sync says
    /// that all is well, and a power loss takes it (Rebello et al., "Can Applications Recover from fsync
    /// Failures?", 2020).
    pub(crate) fn write_again(&self, proven: Position) -> Result<(), LogError> {
        let (file, end) = (self.writable()?, self.written.load(Ordering::Acquire));
        let known = self.known_index(|index| index.offset_of_number(proven.number())).flatten();
        let from = match known {
            _ if self.header.first >= proven => 0,
            Some((offset, _)) => offset - offset % DATA_START,
            None => DATA_START,
        };
        let mut buffer = ReadBuffer::default();
        for at in (from..end).step_by(PIECE as usize) {
            let piece = at..end.min(at + PIECE);
            buffer.cover(self, &piece, end)?;
            file.write_at(at, buffer.at(piece)).map_err(|source| self.io("write", source))?;
        }
        file.sync().map_err(|source| self.io("sync", source))
    }

    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Batches now end at `end`, after one that was written at `offset`.
    pub(crate) fn note_written(&self, offset: u64, end: u64) {
        let before = self.written.load(Ordering::Relaxed);
        assert_eq!(before, offset, "batches follow each other without gaps");
        assert!(end <= self.capacity, "a batch ends at byte {end} of {}", self.capacity);
        self.written.store(end, Ordering::Release);
    }

    /// Closes the segment: the log goes on in segment `successor`, which readers must already see.
    pub(crate) fn close(&self, end: u64, successor: u64) {
        let inside = (DATA_START..=self.capacity).contains(&end);
        assert!(inside, "a segment of {} bytes is closed at byte {end}", self.capacity);
        self.successor.store(successor, Ordering::Relaxed);
        self.end.store(end, Ordering::Release);
    }

    /// The segment is no part of the log any more.
    pub(crate) fn give_up(&self) {
        self.end.store(0, Ordering::Release);
    }

    /// Whether nothing more will be written to it, and all its batches are durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.closed_at() == Some(self.durable.load(Ordering::Acquire))
    }

    /// Where the segment was closed, if it was.
    pub(crate) fn closed_at(&self) -> Option<u64> {
        Some(self.end.load(Ordering::Acquire)).filter(|&end| end != OPEN)
    }

    pub(crate) fn visible_end(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
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
            Some(footer) => footer.index,
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

    /// What stands behind the last batch, if it is whole.
    pub(crate) fn footer(&self) -> Result<Option<Footer>, LogError> {
        let Some(end) = self.closed_at() else { return Ok(None) };
        self.footer_at(end)
    }

    /// The footer at `end`, if there is one and it is of batches that end there.
    pub(crate) fn footer_at(&self, end: u64) -> Result<Option<Footer>, LogError> {
        let (mut buffer, head) = (ReadBuffer::default(), end + BATCH_HEADER as u64);
        if head > self.capacity {
            return Ok(None);
        }
        buffer.cover(self, &(end..head), self.capacity)?;
        let footer_end = end + u64::from(u32_at(buffer.at(end..head), 8));
        if footer_end < head || footer_end > self.capacity {
            return Ok(None);
        }
        buffer.cover(self, &(end..footer_end), self.capacity)?;
        let Some((index, successor)) = decode_footer(buffer.at(end..footer_end), self.salt) else {
            return Ok(None);
        };
        let index = SegmentIndex::decode(index);
        let index = index.filter(|index| index.fits(self.header.first, &(DATA_START..end)));
        Ok(index.map(|index| Footer { index, successor }))
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
        each: impl FnMut(&super::index::BatchSummary),
    ) -> Result<Position, LogError> {
        self.walk_to(self.visible_end(), each)
    }

    /// Verifies all that was written, seen or not.
    pub(crate) fn verify_written(&self) -> Result<(), LogError> {
        self.walk_to(self.written.load(Ordering::Acquire), |_| {}).map(drop)
    }

    fn walk_to(
        &self,
        end: u64,
        mut each: impl FnMut(&super::index::BatchSummary),
    ) -> Result<Position, LogError> {
        let mut walk = Walk::new(self, end);
        loop {
            match walk.step()? {
                WalkStep::Batch(summary) => each(&summary),
                WalkStep::End if walk.offset >= end => return Ok(walk.next),
                WalkStep::End => {
                    let expected = format!("batches up to byte {end}");
                    return Err(self.damaged(walk.offset, expected, "zeros".into()));
                }
                WalkStep::Bad { offset, expected, got } => {
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
        let successor = self.successor.load(Ordering::Relaxed);
        let footer = encode_footer(&index, successor, self.salt);
        // A sync that came between the next segment and its first batch has let go of the file.
        let written = self.writable().and_then(|file| {
            file.write_at(end, &footer).map_err(|source| self.io("write", source))
        });
        if let Err(error) = written {
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
