//! Walking a range of a run from both ends.

use std::fmt;
use std::ops::Bound;

use super::error::RunError;
use super::info::Slot;
use super::layout::{GROUP, PAGE};
use super::pages::Ahead;
use super::seek::Cursor;
use super::view::{RunEntry, View};

/// The entries of a range of one run, in key order, from either end.
///
/// After an error the iterator ends: what lies beyond damage is reached with a new range.
#[must_use]
pub struct RunRange<'a> {
    view: View<'a>,
    front: Cursor,
    /// How many entries of the run come before the back end.
    back: u64,
    /// Entries have no link to their predecessor, so the back end remembers one group's positions.
    group: Option<u64>,
    group_starts: [u64; GROUP as usize],
    failed: Option<RunError>,
    ahead: Ahead,
    /// Whether values are left unread.
    unread: bool,
}

impl<'a> RunRange<'a> {
    pub(super) fn new(view: View<'a>, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        let (front, back, failed) = match ends(view, from, to) {
            Ok((front, back)) => (front, back, None),
            Err(error) => (Cursor::start(), 0, Some(error)),
        };
        let (group_starts, ahead) = ([0; GROUP as usize], Ahead::of(front.at));
        Self { view, front, back, group: None, group_starts, failed, ahead, unread: false }
    }

    /// The same entries, with values whose bytes are not read yet: see [`Run::look_hashed`](super::Run::look_hashed).
    pub fn unread(self) -> Self {
        Self { unread: true, ..self }
    }

    fn entry(&self, at: u64) -> Result<RunEntry<'a>, RunError> {
        if self.unread { self.view.entry_unread(at) } else { self.view.entry(at) }
    }

    /// How many entries are left, deletions included; exact unless the run is damaged.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.back.saturating_sub(self.front.ordinal)
    }

    fn step(&mut self) -> Result<(&'a [u8], Slot<'a>), RunError> {
        let at = self.front.at;
        let entry = self.entry(at)?;
        self.front = Cursor { ordinal: self.front.ordinal + 1, at: entry.next };
        // Keys that lie close together touch every page, whether or not values are read.
        if !self.unread || entry.next - at < PAGE {
            self.ahead.come_to(entry.next, &self.view.run.pages);
        }
        Ok((entry.key, entry.slot))
    }

    fn step_back(&mut self) -> Result<(&'a [u8], Slot<'a>), RunError> {
        debug_assert!(self.back > self.front.ordinal, "the ends of a walk have met");
        let (group, within) = ((self.back - 1) / GROUP, (self.back - 1) % GROUP);
        if self.group != Some(group) {
            self.load(group, within)?;
        }
        let entry = self.entry(self.group_starts[within as usize])?;
        self.back -= 1;
        Ok((entry.key, entry.slot))
    }

    /// Notes where the entries of `group` begin, up to the one numbered `last`.
    fn load(&mut self, group: u64, last: u64) -> Result<(), RunError> {
        let mut at = self.view.mark(group)?;
        for start in &mut self.group_starts[..last as usize] {
            *start = at;
            at = self.view.key(at)?.1;
        }
        self.group_starts[last as usize] = at;
        self.group = Some(group);
        Ok(())
    }

    /// Ends the iteration where a step failed.
    fn fused<T>(&mut self, step: Result<T, RunError>) -> Option<Result<T, RunError>> {
        if step.is_err() {
            self.back = 0;
        }
        Some(step)
    }
}

impl<'a> Iterator for RunRange<'a> {
    type Item = Result<(&'a [u8], Slot<'a>), RunError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining() == 0 {
            return self.failed.take().map(Err);
        }
        let step = self.step();
        self.fused(step)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.remaining() as usize + usize::from(self.failed.is_some())))
    }
}

impl DoubleEndedIterator for RunRange<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.remaining() == 0 {
            return self.failed.take().map(Err);
        }
        let step = self.step_back();
        self.fused(step)
    }
}

impl fmt::Debug for RunRange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRange").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

/// Where a range begins, and how many entries come before its end.
fn ends(view: View<'_>, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<(Cursor, u64), RunError> {
    let front = match from {
        Bound::Unbounded => Cursor::start(),
        Bound::Included(from) => Cursor::find(view, |key| key < from)?,
        Bound::Excluded(from) => Cursor::find(view, |key| key <= from)?,
    };
    let back = match to {
        Bound::Unbounded => Cursor::end(view),
        Bound::Included(to) => Cursor::find(view, |key| key <= to)?,
        Bound::Excluded(to) => Cursor::find(view, |key| key < to)?,
    };
    Ok((front, back.ordinal))
}
