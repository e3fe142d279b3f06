//! Reading all of a run: that every byte is as written, and that the sections agree.

use super::error::RunError;
use super::hash_key;
use super::index::Print;
use super::info::Slot;
use super::layout::{FRAME, GROUP};
use super::reader::locate;
use super::view::{RunEntry, View};

/// Verifies checksums first, then what the sections say of each other.
pub(super) fn verify(view: View<'_>) -> Result<(), RunError> {
    view.verify_pages()?;
    verify_entries(view)?;
    verify_fences(view)?;
    verify_index(view)
}

/// Order, counts, padding, marks, the least and the greatest key, and that the index finds each.
fn verify_entries(view: View<'_>) -> Result<(), RunError> {
    let meta = &view.run.meta;
    let (mut at, mut ordinal, mut tombstones) = (FRAME as u64, 0, 0);
    let mut previous: Option<&[u8]> = None;
    while at < meta.data_end {
        let entry = view.entry(at)?;
        rule(view, at, previous.is_none_or(|key| key < entry.key), "keys are not in order")?;
        if ordinal % GROUP == 0 {
            rule(view, at, view.mark(ordinal / GROUP)? == at, "a mark is elsewhere")?;
        }
        verify_padding(view, at, &entry)?;
        let found = locate(view, entry.key, Print::of(hash_key(entry.key)))?;
        let here = found.is_some_and(|(location, _)| location == at);
        rule(view, at, here, "the index does not lead to an entry")?;
        if previous.is_none() {
            rule(view, at, meta.min_key == entry.key, "the least key is another")?;
        }
        previous = Some(entry.key);
        tombstones += u64::from(entry.slot == Slot::Deleted);
        ordinal += 1;
        at = entry.next;
    }
    rule(view, at, meta.max_key == previous.unwrap_or_default(), "the greatest key is another")?;
    rule(view, at, ordinal == meta.entries, "the count of entries is another")?;
    rule(view, at, tombstones == meta.tombstones, "the count of deletions is another")
}

fn verify_padding(view: View<'_>, at: u64, entry: &RunEntry<'_>) -> Result<(), RunError> {
    let value_len = entry.slot.value().map_or(0, <[u8]>::len) as u64;
    let (key_end, value) = view.ends(at)?;
    let (value_at, end) = value.unwrap_or((key_end, key_end));
    let zero = view.is_zero(key_end, value_at)? && view.is_zero(end, entry.next)?;
    rule(view, at, zero && end - value_at == value_len, "padding is not zero")
}

fn verify_fences(view: View<'_>) -> Result<(), RunError> {
    let meta = &view.run.meta;
    let has_fences = (meta.fence_count == 0) == (meta.entries == 0);
    rule(view, meta.fences_at, has_fences, "entries have no fence")?;
    let mut next_group = 0;
    for number in 0..meta.fence_count {
        let fence = view.fence(number)?;
        let ordered = if number == 0 { fence.group == 0 } else { fence.group >= next_group };
        let known = ordered && fence.group < meta.groups();
        let at = meta.fences_at + 8 * number;
        let key = if known { Some(view.key(view.mark(fence.group)?)?.0) } else { None };
        rule(view, at, key == Some(fence.key), "a fence has another key than its group")?;
        next_group = fence.group + 1;
    }
    Ok(())
}

/// Every entry was found through the index; that there is nothing else in it is left to show.
fn verify_index(view: View<'_>) -> Result<(), RunError> {
    let meta = &view.run.meta;
    let mut occupied = 0;
    for number in 0..meta.buckets() {
        occupied += view.run.shape.occupied(view.bucket(number)?);
    }
    rule(view, meta.index_at, occupied == meta.entries, "the index has other entries")
}

fn rule(view: View<'_>, at: u64, holds: bool, what: &'static str) -> Result<(), RunError> {
    if holds { Ok(()) } else { Err(view.malformed(at, what)) }
}
