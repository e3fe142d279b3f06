//! The writing half of a log: push, write, move on to the next segment, stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::clean::{self, CleanStop};
use super::format::{
    BATCH_HEADER, DATA_START, NO_OFFSET, RecordMeta, SegmentHeader, finish_batch, segment_name,
};
use super::index::{BatchSummary, SegmentIndex};
use super::pages::Way;
use super::prepare::{NewFile, Preparation};
use super::reader::LogReader;
use super::segment::{Segment, create_file};
use super::shared::{LogSyncer, UnsyncedBatch};
use super::{Log, SegmentInfo, Written};
use crate::{LogError, Position, StorageFile};

/// Sizes of segments in bytes between which they grow faster.
const SMALL: u64 = 64 << 10;
const LARGE: u64 = 1 << 20;

impl Log {
    /// Adds a record to the batch that the next [`write`](Self::write) writes, and returns the
    /// position that it will have. No I/O; no allocation once the batch's buffer has grown.
    ///
    /// # Errors
    /// [`LogError::RecordTooLarge`], [`LogError::OffsetsExhausted`], [`LogError::BatchFull`]; the batch is
    /// as it was before.
    #[inline]
    pub fn push(&mut self, meta: &RecordMeta, payload: &[u8]) -> Result<Position, LogError> {
        if payload.len() > self.options.record_bytes_max as usize {
            let max = self.options.record_bytes_max;
            return Err(LogError::RecordTooLarge { got: payload.len(), max });
        }
        if meta.depot_offset == NO_OFFSET {
            return Err(LogError::OffsetsExhausted { source_number: meta.source });
        }
        let bytes = self.batch.len() + meta.bytes_with(payload.len());
        if bytes > self.options.batch_bytes_max as usize && self.summary.count > 0 {
            return Err(LogError::BatchFull { max: self.options.batch_bytes_max });
        }
        let position = self.next_position();
        debug_assert_eq!(self.summary.count == 0, self.batch.len() == BATCH_HEADER, "both or none");
        meta.encode(payload, &mut self.batch);
        self.summary.add(meta.source, meta.depot_offset, meta.time);
        Ok(position)
    }

    /// Forgets the records that were pushed and not written. Their positions are given again.
    pub fn discard(&mut self) {
        self.batch.truncate(BATCH_HEADER);
        self.summary = BatchSummary::default();
    }

    /// Writes all pushed records as one batch, which recovery keeps or loses as a whole. They are
    /// neither durable nor visible yet: that is for the [`syncer`](Self::syncer).
    ///
    /// # Errors
    /// [`LogError::StorageFull`] and [`LogError::Io`]: the batch is dropped, nothing of it is in
    /// the log, and later writes work when the disk does. [`LogError::Unsettled`]: the batch is dropped,
    /// and it is in the log if the process ends before a later write succeeds.
    /// [`LogError::SyncFailed`] until
    /// [`recover_from_failed_sync`](Self::recover_from_failed_sync) has succeeded.
    pub fn write(&mut self) -> Result<Written, LogError> {
        self.write_by(Way::Cached)
    }

    /// As [`write`](Self::write), past the page cache where the file system can: it takes as long as
    /// the disk does, and leaves the next sync little to do. Both together take a fifth less then, which
    /// is for who syncs at once and has nothing else to do meanwhile.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_direct(&mut self) -> Result<Written, LogError> {
        self.write_by(Way::Direct)
    }

    fn write_by(&mut self, way: Way) -> Result<Written, LogError> {
        if self.summary.count == 0 {
            let (first, last) = (self.next, self.next);
            return Ok(Written { first, last, records: 0, bytes: 0 });
        }
        let written = self.write_batch(way);
        if written.is_err() {
            self.discard();
        }
        written
    }

    fn write_batch(&mut self, way: Way) -> Result<Written, LogError> {
        self.shared.check_usable()?;
        self.remove_clean_marker()?;
        self.remove_leftovers();
        let len = self.batch.len() as u64;
        if self.must_move_on() || self.offset + len > self.segment.capacity {
            self.move_on(len)?;
        }
        let (count, salt) = (self.summary.count, self.segment.salt);
        finish_batch(&mut self.batch, count, self.next, self.shared.durable(), salt);
        let file = (&*self.file, self.segment.capacity);
        let written = self.pages.write(file, self.offset, &self.batch, way);
        if let Err(source) = written {
            self.broken = true;
            return Err(self.settle(source));
        }
        let (first, end) = (self.next, self.next.forward(u64::from(count)));
        assert!(first < end, "positions ascend: {end} after {first}");
        self.note_written(len);
        self.next = end;
        self.prepare_ahead();
        let last = first.forward(u64::from(count) - 1);
        Ok(Written { first, last, records: count, bytes: len })
    }

    fn note_written(&mut self, len: u64) {
        debug_assert!(!self.must_move_on(), "nothing goes into a segment that was given up");
        let mut summary = std::mem::take(&mut self.summary);
        (summary.base, summary.offset, summary.len) = (self.next, self.offset, len);
        let bytes = self.options.retain_unsynced.then(|| {
            let empty = self.shared.state.lock().spare_buffers.pop().unwrap_or_default();
            std::mem::replace(&mut self.batch, empty)
        });
        self.batch.clear();
        self.batch.resize(BATCH_HEADER, 0);
        self.shared.note_written(UnsyncedBatch {
            summary,
            segment: Arc::clone(&self.segment),
            bytes,
        });
        self.offset += len;
    }

    /// The marker of a clean stop says that nothing follows it: it goes before anything does.
    fn remove_clean_marker(&mut self) -> Result<(), LogError> {
        if !self.clean_marker {
            return Ok(());
        }
        let (storage, dir) = (&self.shared.storage, &self.shared.dir);
        let path = dir.join(clean::NAME);
        let removed = match storage.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => storage.sync_dir(dir),
        };
        removed.map_err(|source| LogError::io("remove", storage.display(&path), source))?;
        self.clean_marker = false;
        Ok(())
    }

    /// What recovery found and did not need goes once the log goes on: who only opens a log leaves the folder
    /// as it was.
    fn remove_leftovers(&mut self) {
        for path in self.leftovers.drain(..) {
            if let Err(error) = self.shared.storage.remove(&path) {
                tracing::warn!(file = %path.display(), %error, "a file that nothing uses stays");
            }
        }
    }

    /// A later segment is durable: what the footer before it named is needed no longer.
    fn remove_successor(&mut self) {
        self.leftovers.extend(self.successor.take());
        self.remove_leftovers();
    }

    /// Whether the next batch must not go into this segment, whatever room it has.
    fn must_move_on(&self) -> bool {
        self.broken || self.ended.is_some()
    }

    /// After a write that failed, and of which anything may have reached the file: ends the log before it,
    /// durably, by a new segment that says so. Returns what is to be told of the batch.
    fn settle(&mut self, source: std::io::Error) -> LogError {
        let file = self.segment.shown.clone();
        match self.move_on(0) {
            Ok(()) => LogError::io("write", file, source),
            Err(second) => {
                LogError::Unsettled { file, reason: format!("{source}, and then: {second}") }
            }
        }
    }

    /// Goes on in a new segment with room for `len` bytes.
    fn move_on(&mut self, len: u64) -> Result<(), LogError> {
        // Otherwise the first sync of a batch sees to it. But what the segment before it has behind its
        // end must never be taken for a part of the log, and an epoch must be known before its positions.
        let durable = self.must_move_on();
        if durable {
            self.shared.settle_segments()?;
        }
        let NewFile { number, path, file, capacity } = self.new_file(len)?;
        let header = self.next_header(number);
        let mut written = file.write_at(0, &header.encode());
        if durable {
            written = written.and_then(|()| file.sync());
        }
        if let Err(source) = written {
            // It may look like a part of the log, one without records; the next one takes its place.
            let _ = self.shared.storage.remove(&path);
            // Until then nothing goes behind the end that it states: a start might cut it off there.
            self.broken = true;
            return Err(LogError::io("write", self.shared.storage.display(&path), source));
        }
        self.enter(header, path, file, capacity, durable);
        self.remove_successor();
        Ok(())
    }

    /// A zero-filled file for the segment that is entered next, with room for `len` bytes: the prepared
    /// one where it is large enough. All segments get their files here, whatever they are entered for,
    /// so that their numbers have the order of the log: a file that was numbered earlier is used now, or
    /// never.
    pub(super) fn new_file(&mut self, len: u64) -> Result<NewFile, LogError> {
        let need = DATA_START + len;
        match self.preparation.take() {
            Some(prepared) if prepared.capacity >= need => return Ok(prepared),
            too_small => {
                let unused = too_small.map(|prepared| prepared.path);
                unused.iter().for_each(|path| drop(self.shared.storage.remove(path)));
            }
        }
        self.unprepared_file(len)
    }

    /// A file that is made now, numbered after all others.
    pub(super) fn unprepared_file(&mut self, len: u64) -> Result<NewFile, LogError> {
        let need = DATA_START + len;
        let (number, path) = self.next_number();
        // Who writes large batches is not to move on with each.
        let several =
            (DATA_START + 4 * len).next_power_of_two().min(self.options.segment_bytes_max);
        let capacity = self.next_capacity().max(several).max(need);
        let (file, capacity) = self.make_file(&path, capacity, need)?;
        Ok(NewFile { number, path, file, capacity })
    }

    /// Makes the file now, smaller if the disk has no room for its proper size.
    fn make_file(
        &self,
        path: &Path,
        capacity: u64,
        need: u64,
    ) -> Result<(Arc<dyn StorageFile>, u64), LogError> {
        let storage = &*self.shared.storage;
        let smallest = self.options.segment_bytes_min.max(need);
        let mut made = create_file(storage, path, capacity, None).map(|file| (file, capacity));
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        if made.as_ref().is_err_and(full) && smallest < capacity {
            made = create_file(storage, path, smallest, None).map(|file| (file, smallest));
        }
        made.map_err(|source| LogError::io("create", storage.display(path), source))
    }

    fn enter(
        &mut self,
        header: SegmentHeader,
        path: PathBuf,
        file: Arc<dyn StorageFile>,
        capacity: u64,
        durable: bool,
    ) {
        let storage = Arc::clone(&self.shared.storage);
        let mut segment = Segment::new(header, path, storage, capacity, DATA_START)
            .holding(Arc::clone(&file))
            .with_index(Some(SegmentIndex::default()));
        if !durable {
            segment.durable = 0.into();
        }
        segment.bytes_before = self.segment.bytes_before + (self.offset - DATA_START);
        let segment = Arc::new(segment);
        self.shared.append_segment(&segment, &self.segment, self.offset);
        self.file.written();
        (self.segment, self.file) = (segment, file);
        self.offset = DATA_START;
        self.pages.restart();
        (self.broken, self.ended) = (false, None);
    }

    fn next_header(&self, number: u64) -> SegmentHeader {
        SegmentHeader {
            partition: self.segment.header.partition,
            number,
            first: self.next,
            previous: self.segment.number(),
            previous_end: self.offset,
            previous_next: self.ended.unwrap_or(self.next),
            durable_to: self.shared.durable(),
        }
    }

    fn next_number(&mut self) -> (u64, PathBuf) {
        self.last_number += 1;
        (self.last_number, self.shared.dir.join(segment_name(self.last_number)))
    }

    /// Twice this segment's, four times while it is small: an idle log is to be small, and a busy one to
    /// be where it has always begun after a few segments.
    fn next_capacity(&self) -> u64 {
        let (least, most) = (self.options.segment_bytes_min, self.options.segment_bytes_max);
        let (capacity, used) = (self.segment.capacity, self.offset - DATA_START);
        let next = match capacity {
            // What a start begins with is as large as the last one was busy.
            _ if self.ended.is_some() => used.next_power_of_two().min(LARGE),
            // A disk that takes files and no batches is not to get larger and larger ones.
            _ if used == 0 => capacity,
            SMALL..LARGE => 4 * capacity,
            _ => 2 * capacity,
        };
        next.min(most).max(least).max(2 * DATA_START)
    }

    /// Has the next segment made when a quarter of this one is full: that one is twice as large where this
    /// is not the largest, and zeros are to be written faster than batches, not as fast. A small one, whose
    /// next may be four times as large, is to be half full first: most of these are never filled.
    fn prepare_ahead(&mut self) {
        let (used, room) = (self.offset - DATA_START, self.segment.capacity - DATA_START);
        let part = if self.segment.capacity < LARGE { room / 2 } else { room / 4 };
        if self.preparation.is_idle() && used > part {
            let (number, path) = self.next_number();
            let storage = Arc::clone(&self.shared.storage);
            let sealed = self.shared.last_sealed().filter(|sealed| sealed.is_settled());
            let capacity = self.next_capacity();
            self.preparation = Preparation::start(storage, number, path, capacity, sealed);
        }
    }

    /// The number that all segments of this log carry, and those of no other.
    pub fn partition(&self) -> u64 {
        self.segment.header.partition
    }

    /// The position that the next pushed record gets.
    pub fn next_position(&self) -> Position {
        self.next.forward(u64::from(self.summary.count))
    }

    /// The first position that a power loss may take. All before it is safe.
    pub fn durable(&self) -> Position {
        self.shared.durable()
    }

    /// What makes written batches durable, for any thread.
    pub fn syncer(&self) -> LogSyncer {
        LogSyncer { shared: Arc::clone(&self.shared) }
    }

    /// What reads the log, for any thread.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// About how many bytes of batches follow the batch that holds `position`; never too few.
    pub fn bytes_after(&self, position: Position) -> u64 {
        let total = self.segment.bytes_before + (self.offset - DATA_START);
        let reader = self.reader();
        let Some(segment) = reader.segment_of(position) else { return total };
        let number = position.number();
        let point = segment.known_index(|index| index.offset_of_number(number)).flatten();
        let offset = point.map_or(DATA_START, |(offset, _)| offset);
        total.saturating_sub(segment.bytes_before + (offset - DATA_START))
    }

    /// The segments of the log, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.reader().segments()
    }

    /// Makes everything durable and leaves the marker of a clean stop, so that the next start reads
    /// no records. Records that were pushed and not written are forgotten.
    ///
    /// # Errors
    /// [`LogError::SyncFailed`], [`LogError::StorageFull`], [`LogError::Io`]: the next start then
    /// takes the log for stopped uncleanly, which loses nothing that was durable.
    pub fn close_clean(mut self) -> Result<(), LogError> {
        self.discard();
        self.remove_leftovers();
        if let Some(unused) = self.preparation.take() {
            // It was only prepared: the next start removes what stays.
            let _ = self.shared.storage.remove(&unused.path);
        }
        if self.broken {
            self.move_on(0)?;
        }
        self.shared.sync()?;
        // An epoch that began and has no number of its own cannot be told from the one before.
        let untold = self.ended.is_some_and(|ended| ended.epoch() == self.next.epoch());
        if self.clean_marker || untold {
            return Ok(());
        }
        let (number, offset) =
            (self.segment.number(), self.segment.written.load(Ordering::Acquire));
        assert_eq!(offset, self.offset, "a log ends with its last batch");
        assert_eq!(self.shared.durable(), self.next, "what is stopped cleanly is durable");
        let index = self.segment.index(SegmentIndex::clone)?;
        let partition = Some(self.partition());
        let stop = CleanStop { partition, number, offset, next: self.next, index };
        clean::write(&*self.shared.storage, &self.shared.dir, &stop)
    }
}
