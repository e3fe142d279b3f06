//! What happens to an event on the caller's side, before anything is queued: its partition is
//! chosen, it is encoded, and its size is checked.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use gridmill_model::handle::Partitioning;
use gridmill_model::{Depot, Event};

use crate::engine::{DepotEntry, EncodedEvents};
use crate::error::AppendErrorKind;

/// How many bytes one call may have for one partition: 128 MiB, with [`EVENT_OVERHEAD`] for each
/// event. The events of a call for a partition are logged as one batch.
pub(crate) const BATCH_BYTES_MAX: usize = 128 << 20;

/// What an event takes in the log beside its encoded bytes: its header and padding, rounded up.
const EVENT_OVERHEAD: usize = 64;

/// The partition of `entry` that `event` belongs to.
pub(crate) fn partition<E: Event>(
    depot: &Depot<E>,
    entry: &DepotEntry,
    event: &E,
) -> Result<u32, AppendErrorKind> {
    let count = entry.partitions;
    let disallowed = || AppendErrorKind::Disallowed { depot: entry.name.clone() };
    let chosen = match depot.partitioning() {
        Partitioning::Disallow => return Err(disallowed()),
        _ if depot.is_global() => 0,
        Partitioning::HashBy(key) => key(event).partition(count),
        Partitioning::Random => random_below(count),
        Partitioning::Custom(choose) => choose(event, count),
        // A way that this client does not know is not for it to choose by.
        _ => return Err(disallowed()),
    };
    if chosen < count {
        return Ok(chosen);
    }
    Err(AppendErrorKind::BadPartition { depot: entry.name.clone(), expected: count, got: chosen })
}

/// Appends `event` to `encoded`; `index` is its number in the call. On an error `encoded` is as it
/// was before.
pub(crate) fn encode<E: Event>(
    entry: &DepotEntry,
    partition: u32,
    index: usize,
    event: &E,
    encoded: &mut EncodedEvents,
) -> Result<(), AppendErrorKind> {
    let start = encoded.bytes.len();
    let result = encode_unless_too_large(entry, partition, index, event, encoded);
    if result.is_err() {
        encoded.bytes.truncate(start);
    }
    result
}

fn encode_unless_too_large<E: Event>(
    entry: &DepotEntry,
    partition: u32,
    index: usize,
    event: &E,
    encoded: &mut EncodedEvents,
) -> Result<(), AppendErrorKind> {
    let failed = |message: String| {
        let depot = entry.name.clone();
        AppendErrorKind::Encode { depot, index, message }
    };
    let start = encoded.bytes.len();
    event.encode_fields(&mut encoded.bytes).map_err(|error| failed(error.to_string()))?;
    let end = encoded.bytes.len();
    let overhead = EVENT_OVERHEAD * (encoded.ends.len() + 1);
    check_sizes(entry, partition, index, end - start, end + overhead)?;
    let variant = u16::try_from(event.variant());
    let variant = variant.map_err(|_| failed("it has more than 65,536 variants".into()))?;
    // The limit of a batch is far below 4 GiB, so that the end fits.
    encoded.ends.push((variant, end as u32));
    Ok(())
}

fn check_sizes(
    entry: &DepotEntry,
    partition: u32,
    index: usize,
    event: usize,
    batch: usize,
) -> Result<(), AppendErrorKind> {
    let (expected, got) = (entry.event_bytes_max, event);
    if got > expected {
        let depot = entry.name.clone();
        return Err(AppendErrorKind::TooLarge { depot, index, expected, got });
    }
    if batch > BATCH_BYTES_MAX {
        let (depot, expected) = (entry.name.clone(), BATCH_BYTES_MAX);
        return Err(AppendErrorKind::BatchTooLarge { depot, partition, expected, got: batch });
    }
    Ok(())
}

/// A number below `count`, evenly spread. Threads start at different seeds, so that many callers
/// do not march in step.
fn random_below(count: u32) -> u32 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8) | 1);
    }
    let random = STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x >> 32
    });
    // The high bits of the product are below `count`.
    ((random * u64::from(count)) >> 32) as u32
}
