//! Where in a segment things are: per source its first offset and count, and sparse points that
//! lead from a position, a time or a depot offset to a batch. Derived data: a scan rebuilds it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::format::NO_OFFSET;
use crate::Position;

/// A point is noted about every so many bytes of a segment.
const SPACING: u64 = 64 * 1024;

/// What the index needs to know of one batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct BatchSummary {
    pub(crate) base: Position,
    pub(crate) count: u32,
    /// Where the batch begins in its segment, and its size.
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) first_time: i64,
    pub(crate) last_time: i64,
    /// Per source its offsets in this batch, few.
    pub(crate) sources: Vec<Span>,
}

impl BatchSummary {
    pub(crate) fn end(&self) -> Position {
        self.base.forward(u64::from(self.count))
    }

    /// Where it ends in its segment.
    pub(crate) fn file_end(&self) -> u64 {
        self.offset + self.len
    }

    /// Takes the next record of the batch in.
    #[inline]
    pub(crate) fn add(&mut self, source: u16, depot_offset: u64, time: i64) {
        debug_assert_ne!(
            depot_offset, NO_OFFSET,
            "refused when it was pushed, and when it was read"
        );
        if self.count == 0 {
            self.first_time = time;
        }
        self.count += 1;
        self.last_time = time;
        let known = self.sources.iter_mut().rev().find(|span| span.source == source);
        match known {
            Some(span) => span.next = depot_offset + 1,
            None => self.sources.push(Span::one(source, depot_offset)),
        }
    }
}

/// Offsets `first..next` of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) source: u16,
    pub(crate) first: u64,
    pub(crate) next: u64,
}

impl Span {
    fn one(source: u16, offset: u64) -> Self {
        Self { source, first: offset, next: offset + 1 }
    }
}

/// The batch at `offset` begins with record `number` of time `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Point {
    offset: u64,
    number: u64,
    time: i64,
}

/// One source in one segment. `first == next` when the segment has no record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SourceIndex {
    span: Span,
    /// (depot offset, where the batch that holds it begins)
    points: Vec<(u64, u64)>,
}

impl SourceIndex {
    /// Whether it has as many offsets as that, and points to batches that may hold them.
    fn fits(&self, bytes: &Range<u64>) -> bool {
        let Span { first, next, .. } = self.span;
        let inside = |(known, at): &(u64, u64)| (first..next).contains(known) && bytes.contains(at);
        first <= next
            && self.points.is_sorted_by(|one, next| one.0 <= next.0 && one.1 < next.1)
            && self.points.iter().all(inside)
    }
}

/// The index of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentIndex {
    sources: Vec<SourceIndex>,
    points: Vec<Point>,
    pub(crate) records: u64,
    pub(crate) last_time: i64,
    /// Whether it knows the sources of all earlier segments too.
    pub(crate) cumulative: bool,
}

impl SegmentIndex {
    /// The index of an empty log.
    pub(crate) fn first() -> Self {
        Self { cumulative: true, ..Self::default() }
    }

    /// The index of the empty segment after this one: it knows where each source goes on.
    pub(crate) fn successor(&self) -> Self {
        let empty = |known: &SourceIndex| SourceIndex {
            span: Span { first: known.span.next, ..known.span },
            points: Vec::new(),
        };
        let sources = self.sources.iter().map(empty).collect();
        let (last_time, cumulative) = (self.last_time, self.cumulative);
        Self { sources, points: Vec::new(), records: 0, last_time, cumulative }
    }

    pub(crate) fn add(&mut self, batch: &BatchSummary) {
        let ascends = self.points.last().is_none_or(|last| last.offset < batch.offset);
        debug_assert!(ascends, "the batch at byte {} was taken in before", batch.offset);
        let spaced = |last: u64| batch.offset >= last + SPACING;
        if self.points.last().is_none_or(|last| spaced(last.offset)) {
            let (offset, number) = (batch.offset, batch.base.number());
            self.points.push(Point { offset, number, time: batch.first_time });
        }
        for span in &batch.sources {
            let source = self.source_mut(span);
            if source.span.first == source.span.next {
                source.span.first = span.first;
            }
            source.span.next = span.next;
            if source.points.last().is_none_or(|&(_, last)| spaced(last)) {
                source.points.push((span.first, batch.offset));
            }
        }
        self.records += u64::from(batch.count);
        self.last_time = self.last_time.max(batch.last_time);
    }

    fn source_mut(&mut self, span: &Span) -> &mut SourceIndex {
        let found = self.sources.binary_search_by_key(&span.source, |known| known.span.source);
        let at = found.unwrap_or_else(|at| {
            let empty = Span { next: span.first, ..*span };
            self.sources.insert(at, SourceIndex { span: empty, points: Vec::new() });
            at
        });
        &mut self.sources[at]
    }

    fn source(&self, source: u16) -> Option<&SourceIndex> {
        let found = self.sources.binary_search_by_key(&source, |known| known.span.source);
        found.ok().map(|at| &self.sources[at])
    }

    /// The offsets of `source` in this segment, or where it would go on; `None` when unknown.
    pub(crate) fn span(&self, source: u16) -> Option<Span> {
        self.source(source).map(|known| known.span)
    }

    /// Every source up to the end of this segment.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        self.sources.iter().map(|known| known.span)
    }

    /// Where a batch begins at or before which record `number` is not; `None` without records.
    pub(crate) fn offset_of_number(&self, number: u64) -> Option<(u64, u64)> {
        let after = self.points.partition_point(|point| point.number <= number);
        let point = self.points.get(after.saturating_sub(1))?;
        Some((point.offset, point.number))
    }

    /// A record number at or before the first record at or after `time`.
    pub(crate) fn number_before_time(&self, time: i64) -> Option<u64> {
        let after = self.points.partition_point(|point| point.time < time);
        self.points.get(after.saturating_sub(1)).map(|point| point.number)
    }

    /// Where a batch begins before which `depot_offset` of `source` is not.
    pub(crate) fn offset_of_depot(&self, source: u16, depot_offset: u64) -> Option<u64> {
        let points = &self.source(source)?.points;
        let after = points.partition_point(|&(known, _)| known <= depot_offset);
        points.get(after.saturating_sub(1)).map(|&(_, offset)| offset)
    }

    /// The record number with which the batch at or before `offset` begins, and its offset.
    pub(crate) fn point_before(&self, offset: u64) -> Option<(u64, u64)> {
        let after = self.points.partition_point(|point| point.offset <= offset);
        self.points.get(after.checked_sub(1)?).map(|point| (point.offset, point.number))
    }

    /// Whether everything in an index that was read from a file lies where a segment has it which begins
    /// at `first` and whose batches lie in `bytes`. All else computes with its numbers unchecked.
    pub(crate) fn fits(&self, first: Position, bytes: &Range<u64>) -> bool {
        let numbers = first.number()..first.number().saturating_add(self.records);
        let ordered = self.sources.is_sorted_by(|one, next| one.span.source < next.span.source);
        let points = self.points.is_sorted_by(|one, next| {
            (one.offset, one.number) < (next.offset, next.number) && one.number < next.number
        });
        let inside =
            |point: &Point| bytes.contains(&point.offset) && numbers.contains(&point.number);
        first.has_room_for(self.records)
            && ordered
            && points
            && self.points.iter().all(inside)
            && self.sources.iter().all(|source| source.fits(bytes))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // Encoding into memory fails for no value of these types.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
