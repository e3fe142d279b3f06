//! After a failed sync: the operating system may take lost bytes for written, so the segment is
//! given up and everything that was not durable is written anew elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Log;
use super::format::{DATA_START, SegmentHeader, finish_batch};
use super::index::{BatchSummary, SegmentIndex};
use super::prepare::NewFile;
use super::recover::end_at;
use super::segment::Segment;
use super::shared::SyncState;
use crate::planted::{Bug, is_planted};
use crate::{LogError, StorageFile};

impl Log {
    /// Writes all that was not durable into a new segment, at the same positions, and syncs it, so
    /// that it is durable when this returns. Where it was not retained, it is written again in its place, as
    /// the system still has it. Does nothing when no sync has failed.
    ///
    /// # Errors
    /// [`LogError::StorageFull`] and [`LogError::Io`]: nothing has changed, call it again.
    /// [`LogError::Damaged`]: the system has lost what it could not write; the log has to be opened again.
    pub fn recover_from_failed_sync(&mut self) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let turn = shared.syncing.lock();
        let mut state = shared.state.lock();
        if state.check_usable().is_ok() {
            return Ok(());
        }
        if !self.is_retained(&state) {
            self.write_in_place(&mut state)?;
            drop((state, turn));
            return self.shared.sync().map(drop);
        }
        let (keep, kept) = self.last_durable_segment()?;
        let (rewritten, file) = self.rewrite(&mut state, &kept)?;
        let end = kept.durable.load(Ordering::Acquire);
        end_at(&kept, end);
        shared.replace_tail(&mut state, keep, &rewritten);
        kept.close(end, rewritten.number());
        self.offset = rewritten.visible_end();
        let sought = self.pages.seek(&*file, self.offset);
        self.broken = sought.is_err();
        (self.segment, self.file) = (rewritten, file);
        Ok(())
    }

    fn is_retained(&self, state: &SyncState) -> bool {
        let from = self.shared.durable();
        let whole = match state.pending.front() {
            Some(first) => first.summary.base == from,
            None => state.written == from,
        };
        whole && state.pending.iter().all(|batch| batch.bytes.is_some())
    }

    fn write_in_place(&self, state: &mut SyncState) -> Result<(), LogError> {
        let durable = self.shared.durable();
        for segment in &state.unsynced {
            segment.verify_written()?;
            segment.write_again(durable)?;
        }
        state.failed = None;
        Ok(())
    }

    /// The last segment with anything durable in it, and how many segments to keep. One that was begun
    /// after a failed write may be durable before what was written in the segment before it.
    fn last_durable_segment(&self) -> Result<(usize, Arc<Segment>), LogError> {
        let segments = self.shared.segments.read();
        let to = self.shared.durable();
        let durable = |segment: &Arc<Segment>| {
            segment.durable.load(Ordering::Acquire) > 0 && segment.header.first <= to
        };
        let last = segments.iter().rposition(durable);
        let kept = last.map(|at| (at + 1, Arc::clone(&segments[at])));
        kept.ok_or(LogError::NotRetained { from: self.shared.durable() })
    }

    fn rewrite(
        &mut self,
        state: &mut SyncState,
        kept: &Segment,
    ) -> Result<(Arc<Segment>, Arc<dyn StorageFile>), LogError> {
        let end = kept.durable.load(Ordering::Acquire);
        let len: u64 = state.pending.iter().map(|batch| batch.summary.len).sum();
        let NewFile { number, path, file, capacity } = if is_planted(Bug::TwoOrdersOfSegments) {
            self.unprepared_file(len)?
        } else {
            self.new_file(len)?
        };
        let durable = self.shared.durable();
        let header = SegmentHeader {
            partition: kept.header.partition,
            number,
            first: durable,
            previous: kept.number(),
            previous_end: end,
            previous_next: durable,
            durable_to: durable,
        };
        let index = durable_index(kept, end)?;
        let storage = Arc::clone(&self.shared.storage);
        let mut segment = Segment::new(header, path, storage, capacity, DATA_START)
            .holding(Arc::clone(&file))
            .with_index(Some(index.successor()));
        segment.bytes_before = kept.bytes_before + (end - DATA_START);
        fill(&segment, &*file, state).map_err(|source| {
            let _ = self.shared.storage.remove(&segment.path);
            segment.io("rewrite into", source)
        })?;
        kept.set_index(index);
        Ok((Arc::new(segment), file))
    }
}

/// The index of what is durable in a segment whose index may know more.
fn durable_index(kept: &Segment, end: u64) -> Result<SegmentIndex, LogError> {
    debug_assert!(end <= kept.written.load(Ordering::Acquire), "what is durable was written");
    if kept.visible_end() <= end {
        return kept.index(SegmentIndex::clone);
    }
    let visible = kept.visible.swap(end, Ordering::AcqRel);
    let rebuilt = kept.rebuild_index();
    kept.visible.store(visible, Ordering::Release);
    rebuilt
}

fn fill(segment: &Segment, file: &dyn StorageFile, state: &mut SyncState) -> std::io::Result<()> {
    file.write_at(0, &segment.header.encode())?;
    let (mut offset, mut next) = (DATA_START, segment.header.first);
    for batch in &mut state.pending {
        let Some(bytes) = &mut batch.bytes else { continue };
        assert_eq!(batch.summary.base, next, "a record keeps its position");
        next = batch.summary.end();
        let summary = BatchSummary { offset, ..batch.summary.clone() };
        let durable_to = segment.header.durable_to;
        finish_batch(bytes, summary.count, summary.base, durable_to, segment.salt);
        file.write_at(offset, bytes)?;
        segment.update_index(|index| index.add(&summary));
        offset += summary.len;
    }
    assert_eq!(next, state.written, "all that is not durable is written anew");
    file.sync()?;
    end_at(segment, offset);
    Ok(())
}
