//! What writer, syncer and readers of one log share, and how batches become durable and visible.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::index::BatchSummary;
use super::segment::Segment;
use crate::planted::{Bug, is_planted};
use crate::{LogError, Position, Storage};

/// A written batch that is not durable yet.
#[derive(Debug)]
pub(crate) struct UnsyncedBatch {
    pub(crate) summary: BatchSummary,
    pub(crate) segment: Arc<Segment>,
    /// The batch itself, to write it anew after a failed sync.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// The first failure of a sync, for all who ask later.
#[derive(Debug, Clone)]
pub(crate) struct FailedSync {
    file: PathBuf,
    reason: String,
}

#[derive(Debug)]
pub(crate) struct SyncState {
    /// The position after the last written record.
    pub(crate) written: Position,
    pub(crate) pending: VecDeque<UnsyncedBatch>,
    /// How many of the pending ones readers see already.
    pub(crate) exposed: usize,
    /// Segments with bytes that no sync has covered, oldest first; the active one is the last.
    pub(crate) unsynced: Vec<Arc<Segment>>,
    pub(crate) failed: Option<FailedSync>,
    /// The segment whose index took the last batch in.
    pub(crate) indexed: Option<Arc<Segment>>,
    /// Buffers of batches that are durable, for the next ones.
    pub(crate) spare_buffers: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct SharedLog {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: PathBuf,
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    pub(crate) state: Mutex<SyncState>,
    /// One sync at a time; who waits here finds its work done by the one before.
    pub(crate) syncing: Mutex<()>,
    durable: AtomicU64,
    visible: AtomicU64,
}

const SPARE_BUFFERS: usize = 4;
const SPARE_BUFFER_BYTES: usize = 4 << 20;

impl SharedLog {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        segments: Vec<Arc<Segment>>,
        next: Position,
    ) -> Self {
        let last = segments.last().cloned();
        let state = SyncState {
            written: next,
            pending: VecDeque::new(),
            exposed: 0,
            unsynced: last.iter().cloned().collect(),
            failed: None,
            indexed: last,
            spare_buffers: Vec::new(),
        };
        Self {
            storage,
            dir,
            segments: RwLock::new(segments),
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            durable: AtomicU64::new(next.to_bits()),
            visible: AtomicU64::new(next.to_bits()),
        }
    }

    pub(crate) fn durable(&self) -> Position {
        Position::from_bits(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn visible(&self) -> Position {
        Position::from_bits(self.visible.load(Ordering::Acquire))
    }

    pub(crate) fn check_usable(&self) -> Result<(), LogError> {
        self.state.lock().check_usable()
    }

    /// Notes a batch whose bytes are in the file.
    pub(crate) fn note_written(&self, batch: UnsyncedBatch) {
        let mut state = self.state.lock();
        assert_eq!(batch.summary.base, state.written, "a batch begins where the last one ended");
        batch.segment.note_written(batch.summary.offset, batch.summary.file_end());
        state.written = batch.summary.end();
        state.pending.push_back(batch);
        self.assert_ordered(&state);
    }

    /// What is durable was shown, and what was shown is written.
    fn assert_ordered(&self, state: &SyncState) {
        let (durable, visible) = (self.durable(), self.visible());
        assert!(durable <= visible, "{durable} is durable and only {visible} shown");
        assert!(visible <= state.written, "{visible} is shown and only {} written", state.written);
        debug_assert!(state.exposed <= state.pending.len(), "none is shown twice");
    }

    /// Makes all that was written before the call durable and visible.
    pub(crate) fn sync(&self) -> Result<Position, LogError> {
        let wanted = self.state.lock().written;
        let _turn = self.syncing.lock();
        let (target, dirty) = {
            let state = self.state.lock();
            state.check_usable()?;
            if self.durable() >= wanted {
                return Ok(self.durable());
            }
            let end = |segment: &Arc<Segment>| segment.written.load(Ordering::Acquire);
            let dirty: Vec<_> =
                state.unsynced.iter().map(|segment| (Arc::clone(segment), end(segment))).collect();
            (state.written, dirty)
        };
        for (segment, _) in &dirty {
            segment.sync().map_err(|error| self.fail(segment, &error))?;
        }
        self.note_durable(target, &dirty);
        Ok(target)
    }

    /// Has the headers of all segments on the disk, before one is that names the last of them: a power loss
    /// would leave it without those before it. Makes nothing visible.
    pub(crate) fn settle_segments(&self) -> Result<(), LogError> {
        let unsynced = self.state.lock().unsynced.clone();
        let mut open = unsynced.iter().filter(|open| open.durable.load(Ordering::Acquire) == 0);
        open.try_for_each(|segment| segment.sync().map_err(|error| self.fail(segment, &error)))
    }

    /// The segment before the one that is written to.
    pub(crate) fn last_sealed(&self) -> Option<Arc<Segment>> {
        self.segments.read().iter().rev().nth(1).cloned()
    }

    fn fail(&self, segment: &Segment, error: &LogError) -> LogError {
        let failed = FailedSync { file: segment.shown.clone(), reason: reason(error) };
        self.state.lock().failed = Some(failed.clone());
        failed.into()
    }

    fn note_durable(&self, target: Position, synced: &[(Arc<Segment>, u64)]) {
        let mut state = self.state.lock();
        debug_assert!(state.covers(target, synced), "a sync claims what it did not cover");
        for (segment, end) in synced {
            segment.durable.store(*end, Ordering::Release);
        }
        let newest = synced.last().map_or(0, |(newest, _)| newest.number());
        let sealed = state.unsynced.extract_if(.., |segment| segment.number() < newest);
        let sealed: Vec<_> = sealed.collect();
        self.durable.store(target.to_bits(), Ordering::Release);
        let finished = self.show(&mut state, target);
        state.forget_durable(target);
        self.assert_ordered(&state);
        drop(state);
        finished.iter().for_each(|segment| segment.write_footer());
        sealed.iter().for_each(|segment| segment.let_go());
    }

    /// Lets readers see all that was written, durable or not.
    pub(crate) fn expose(&self) -> Position {
        let mut state = self.state.lock();
        let target = state.written;
        let finished = self.show(&mut state, target);
        state.forget_unretained();
        self.assert_ordered(&state);
        drop(state);
        finished.iter().for_each(|segment| segment.write_footer());
        target
    }

    /// Takes pending batches up to `target` into the indexes and moves the visible end behind them.
    /// Returns the segments to which nothing more will be added.
    fn show(&self, state: &mut SyncState, target: Position) -> Vec<Arc<Segment>> {
        let mut finished = Vec::new();
        while let Some(batch) = state.pending.get(state.exposed) {
            if batch.summary.end() > target {
                break;
            }
            let (segment, end) = (Arc::clone(&batch.segment), batch.summary.file_end());
            if let Some(before) = state.indexed.take_if(|before| !Arc::ptr_eq(before, &segment)) {
                start_index(&segment, &before);
                finished.push(before);
            }
            segment.update_index(|index| index.add(&batch.summary));
            debug_assert_eq!(segment.visible_end(), batch.summary.offset, "shown in order");
            segment.visible.store(end, Ordering::Release);
            state.indexed = Some(segment);
            state.exposed += 1;
        }
        if target > self.visible() {
            self.visible.store(target.to_bits(), Ordering::Release);
        }
        finished
    }

    /// Makes a segment the one that is written to, after `before` was closed at `end`.
    pub(crate) fn append_segment(&self, segment: &Arc<Segment>, before: &Segment, end: u64) {
        assert_eq!(
            before.written.load(Ordering::Relaxed),
            end,
            "a segment ends with its last batch"
        );
        push_segment(&mut self.segments.write(), segment);
        self.state.lock().unsynced.push(Arc::clone(segment));
        // Only now: who sees the end goes on to look for the next segment.
        before.close(end, segment.number());
    }

    /// Puts `rewritten` in the place of everything behind `kept`, all of it durable in there.
    pub(crate) fn replace_tail(
        &self,
        state: &mut SyncState,
        keep: usize,
        rewritten: &Arc<Segment>,
    ) {
        let dropped = {
            let mut segments = self.segments.write();
            let dropped = segments.split_off(keep);
            push_segment(&mut segments, rewritten);
            dropped
        };
        dropped.iter().for_each(|segment| segment.give_up());
        // What was dropped keeps its file, which has no name any more, for the scans that are in it.
        let kept = |segment: &&Arc<Segment>| segment.closed_at() != Some(0);
        state.unsynced.iter().filter(kept).for_each(|segment| segment.let_go());
        state.unsynced = vec![Arc::clone(rewritten)];
        state.failed = None;
        state.indexed = Some(Arc::clone(rewritten));
        let pending = state.pending.drain(..).filter_map(|batch| batch.bytes);
        state.spare_buffers.extend(pending.take(SPARE_BUFFERS));
        state.exposed = 0;
        self.durable.store(state.written.to_bits(), Ordering::Release);
        self.visible.store(state.written.to_bits(), Ordering::Release);
        self.assert_ordered(state);
        for segment in dropped {
            // It is no part of the log any more: the next start removes what stays.
            let _ = self.storage.remove(&segment.path);
        }
    }
}

/// Adds the newest segment. There is one order: of the list, of the numbers, and of the positions; a start
/// takes the numbers for the order.
fn push_segment(segments: &mut Vec<Arc<Segment>>, segment: &Arc<Segment>) {
    if let Some(last) = segments.last().filter(|_| !is_planted(Bug::TwoOrdersOfSegments)) {
        let (before, header) = (&last.header, &segment.header);
        assert!(before.number < header.number, "segment {} after {}", header.number, before.number);
        assert!(before.first <= header.first, "{} after {}", header.first, before.first);
        assert_eq!(header.previous, before.number, "a segment follows the last one");
    }
    segments.push(Arc::clone(segment));
}

/// What the system said.
fn reason(error: &LogError) -> String {
    match error {
        LogError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Lets an index begin where that of the segment before it ends.
fn start_index(segment: &Segment, before: &Segment) {
    if let Ok(index) = before.index(super::index::SegmentIndex::successor) {
        segment.set_index(index);
    }
}

impl SyncState {
    pub(crate) fn check_usable(&self) -> Result<(), LogError> {
        self.failed.clone().map_or(Ok(()), |failed| Err(failed.into()))
    }

    /// Whether all batches before `target` lie in what was synced, of each segment up to an end.
    fn covers(&self, target: Position, synced: &[(Arc<Segment>, u64)]) -> bool {
        let covered = |batch: &UnsyncedBatch| {
            let within = |(segment, end): &(Arc<Segment>, u64)| {
                Arc::ptr_eq(segment, &batch.segment) && batch.summary.file_end() <= *end
            };
            synced.iter().any(within)
        };
        let mut before = self.pending.iter().take_while(|batch| batch.summary.end() <= target);
        target <= self.written && before.all(covered)
    }

    fn forget_durable(&mut self, durable: Position) {
        while self.pending.front().is_some_and(|batch| batch.summary.end() <= durable) {
            let buffer = self.pending.pop_front().and_then(|batch| batch.bytes);
            self.exposed = self.exposed.saturating_sub(1);
            if let Some(buffer) = buffer {
                self.keep_buffer(buffer);
            }
        }
    }

    fn forget_unretained(&mut self) {
        while self.exposed > 0 && self.pending.front().is_some_and(|batch| batch.bytes.is_none()) {
            self.pending.pop_front();
            self.exposed -= 1;
        }
    }

    pub(crate) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        if self.spare_buffers.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BUFFER_BYTES {
            self.spare_buffers.push(buffer);
        }
    }
}

impl From<FailedSync> for LogError {
    fn from(failed: FailedSync) -> Self {
        Self::SyncFailed { file: failed.file, reason: failed.reason }
    }
}

/// Makes written batches durable, from any thread. Cheap to clone; it does not keep the log from
/// being closed.
#[derive(Debug, Clone)]
pub struct LogSyncer {
    pub(crate) shared: Arc<SharedLog>,
}

impl LogSyncer {
    /// Makes durable, and visible to readers, all that was written before the call, and returns the
    /// position after it. Calls that come while a sync runs wait and share the next one.
    ///
    /// # Errors
    /// [`LogError::SyncFailed`], also on all later calls, until
    /// [`Log::recover_from_failed_sync`](super::Log::recover_from_failed_sync) has succeeded.
    pub fn sync(&self) -> Result<Position, LogError> {
        self.shared.sync()
    }

    /// Lets readers see all that was written without making it durable (durability by interval, or
    /// left to the operating system), and returns the position after it.
    pub fn expose(&self) -> Position {
        self.shared.expose()
    }

    /// The first position that a power loss may take. All before it is safe.
    pub fn durable(&self) -> Position {
        self.shared.durable()
    }
}
