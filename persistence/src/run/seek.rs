//! Finding a key's place in the order: fences, then marks, then a short scan.
//!
//! Fences are copies of keys, 16 KiB of entries apart and packed together, so that a cold seek
//! reads few pages; the marks between two fences lead into those 16 KiB.

use super::error::RunError;
use super::layout::GROUP;
use super::view::View;

/// A place between entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// How many entries come before it.
    pub(super) ordinal: u64,
    /// Where in the file the entry after it begins.
    pub(super) at: u64,
}

impl Cursor {
    /// Before everything.
    pub(super) fn start() -> Self {
        Self { ordinal: 0, at: super::layout::FRAME as u64 }
    }

    /// After everything.
    pub(super) fn end(view: View<'_>) -> Self {
        Self { ordinal: view.run.meta.entries, at: view.run.meta.data_end }
    }

    /// Before the first entry for which `before` does not hold. `before` must hold for all entries
    /// up to some key and for none after it.
    pub(super) fn find(view: View<'_>, before: impl Fn(&[u8]) -> bool) -> Result<Self, RunError> {
        let fences = view.run.meta.fence_count;
        let fence = first_not(0, fences, |index| Ok(before(view.fence(index)?.key)))?;
        if fence == 0 {
            return Ok(Self::start());
        }
        let first = view.fence(fence - 1)?.group;
        let last = if fence == fences { view.run.meta.groups() } else { view.fence(fence)?.group };
        // The fence's own key is before the place, so that the place is in this group or later.
        let group = first_not(first.saturating_add(1), last, |group| {
            Ok(before(view.key(view.mark(group)?)?.0))
        })?;
        Self::scan(view, group - 1, before)
    }

    fn scan(view: View<'_>, group: u64, before: impl Fn(&[u8]) -> bool) -> Result<Self, RunError> {
        let end = view.mark(group + 1)?;
        let mut place = Self { ordinal: group * GROUP, at: view.mark(group)? };
        while place.at < end {
            let (key, next) = view.key(place.at)?;
            if !before(key) {
                break;
            }
            place = Self { ordinal: place.ordinal + 1, at: next };
        }
        Ok(place)
    }
}

/// The first of `from..to` that is not before, given that those before come first.
fn first_not(
    mut from: u64,
    mut to: u64,
    before: impl Fn(u64) -> Result<bool, RunError>,
) -> Result<u64, RunError> {
    while from < to {
        let middle = from + (to - from) / 2;
        if before(middle)? {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}
