//! What a handler may ask about the record that it handles.

use gridmill_client::Encoded;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::builder::PARTITIONS_MAX;

/// The bits of an id below those of the partition count calls, those above tell topologies apart.
const COUNT_BITS: u32 = 32;
const PARTITION_BITS: u32 = 12;
const MARK_BITS: u32 = 64 - COUNT_BITS - PARTITION_BITS;

const _: () = assert!(PARTITIONS_MAX <= 1 << PARTITION_BITS, "a partition fits into an id");

/// What tells the ids of a topology from those that another gives for the same record. It comes from the name,
/// so that it stays when topologies are added, removed or reordered, and is never 0: ids once had 0 there.
pub(crate) fn id_mark(topology: &str) -> u32 {
    let marks = (1 << MARK_BITS) - 1;
    1 + (xxh3_64(topology.as_bytes()) % marks) as u32
}

/// The record that is being handled. Everything here is the same when the record is handled again.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) partition: u32,
    pub(crate) position: u64,
    pub(crate) offset: u64,
    pub(crate) time: i64,
    /// Of the topology: [`id_mark`].
    pub(crate) mark: u32,
    pub(crate) ids: u32,
    pub(crate) reply: &'a mut Option<Encoded>,
}

impl Context<'_> {
    /// When the record was logged, in microseconds since 1970 (UTC). It never goes back within a
    /// partition. Use it instead of the clock: a replay must come to the same state.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The partition that the handler runs on.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The record's offset in its depot's partition.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// An id that no other call gives within the module: from the record's place in the log, the partition,
    /// the topology's name and a count. It is the same in every replay, and ordered by time within a partition.
    pub fn unique_id(&mut self) -> u128 {
        self.ids += 1;
        let place = u128::from(self.position) << 64 | u128::from(self.partition) << COUNT_BITS;
        place | u128::from(self.mark) << (PARTITION_BITS + COUNT_BITS) | u128::from(self.ids)
    }

    /// Replies to the appender: it finds `value` in its receipt under the topology's name, and reads
    /// it as the type that it is here. The last reply to a record counts. Nothing is replied when the
    /// handler then returns `Err`.
    pub fn reply<T: Serialize + 'static>(&mut self, value: &T) {
        // Only a `Serialize` that fails of its own will cannot be encoded; it then has no reply.
        *self.reply = Encoded::new(value);
    }
}
