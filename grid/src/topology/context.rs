//! What a handler may ask about the record that it handles.

use gridmill_client::Encoded;
use serde::Serialize;

/// The record that is being handled. Everything here is the same when the record is handled again.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) partition: u32,
    pub(crate) position: u64,
    pub(crate) offset: u64,
    pub(crate) time: i64,
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

    /// An id that no other call gives within the module: partition, log position and a count. It is
    /// the same in every replay, and ordered by time within a partition.
    pub fn unique_id(&mut self) -> u128 {
        self.ids += 1;
        u128::from(self.position) << 64 | u128::from(self.partition) << 32 | u128::from(self.ids)
    }

    /// Replies to the appender: it finds `value` in its receipt under the topology's name, and reads
    /// it as the type that it is here. The last reply to a record counts. Nothing is replied when the
    /// handler then returns `Err`.
    pub fn reply<T: Serialize + 'static>(&mut self, value: &T) {
        // Only a `Serialize` that fails of its own will cannot be encoded; it then has no reply.
        *self.reply = Encoded::new(value);
    }
}
