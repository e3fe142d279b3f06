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

/// A buffer that had to grow beyond this is not kept.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// The partition of `entry` that `event` belongs to.
pub(crate) fn partition<E: Event>(
    depot: &Depot<E>,
    entry: &DepotEntry,
    event: &E,
) -> Result<u32, AppendErrorKind> {
    partition_or(depot, entry, event, random_below)
}

/// As [`partition`]; where any partition will do, `any` chooses one of so many.
pub(crate) fn partition_or<E: Event>(
    depot: &Depot<E>,
    entry: &DepotEntry,
    event: &E,
    any: impl FnOnce(u32) -> u32,
) -> Result<u32, AppendErrorKind> {
    let count = entry.partitions;
    let disallowed = || AppendErrorKind::Disallowed { depot: entry.name.clone() };
    let chosen = match depot.partitioning() {
        Partitioning::Disallow => return Err(disallowed()),
        _ if depot.is_global() => 0,
        Partitioning::HashBy(_) | Partitioning::Random if count == 1 => 0,
        Partitioning::HashBy(key) => key(event).partition(count),
        Partitioning::Random => any(count),
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
    let variant = encode_fields(entry, index, event, &mut encoded.bytes)
        .and_then(|variant| check_batch(entry, partition, encoded).map(|()| variant));
    match &variant {
        Ok(variant) => encoded.close(*variant),
        Err(_) => encoded.bytes.truncate(start),
    }
    variant.map(drop)
}

fn check_batch(
    entry: &DepotEntry,
    partition: u32,
    encoded: &EncodedEvents,
) -> Result<(), AppendErrorKind> {
    let got = encoded.bytes.len() + EVENT_OVERHEAD * (encoded.len() + 1);
    if got <= BATCH_BYTES_MAX {
        return Ok(());
    }
    let (depot, expected) = (entry.name.clone(), BATCH_BYTES_MAX);
    Err(AppendErrorKind::BatchTooLarge { depot, partition, expected, got })
}

/// Adds the encoded fields of `event` to `bytes` and returns its variant. An error may leave a part
/// of them there.
pub(crate) fn encode_fields<E: Event>(
    entry: &DepotEntry,
    index: usize,
    event: &E,
    bytes: &mut Vec<u8>,
) -> Result<u16, AppendErrorKind> {
    let failed = |message: String| {
        let depot = entry.name.clone();
        AppendErrorKind::Encode { depot, index, message }
    };
    let start = bytes.len();
    event.encode_fields(bytes).map_err(|error| failed(error.to_string()))?;
    let (expected, got) = (entry.event_bytes_max, bytes.len() - start);
    if got > expected {
        let depot = entry.name.clone();
        return Err(AppendErrorKind::TooLarge { depot, index, expected, got });
    }
    let variant = u16::try_from(event.variant());
    variant.map_err(|_| failed("it has more than 65,536 variants".into()))
}

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer for one event: the thread's, so that appends of single events allocate none.
pub(crate) fn buffer() -> Vec<u8> {
    BUFFER.take()
}

/// Keeps a buffer for the thread's next event.
pub(crate) fn keep_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() <= BUFFER_BYTES_MAX {
        buffer.clear();
        BUFFER.set(buffer);
    }
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
