//! What an append is answered with.

use serde::de::DeserializeOwned;

use crate::error::Rejection;

/// A handler's reply to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The topology that replied.
    pub topology: String,
    /// The reply's bytes (postcard).
    pub bytes: Vec<u8>,
}

/// Where one event went, and what its handlers replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The partition that logged it.
    pub partition: u32,
    /// Its offset in the depot's partition; 0 with [`Ack::None`](crate::Ack::None).
    pub offset: u64,
    /// Its position in the partition's log; 0 with [`Ack::None`](crate::Ack::None).
    pub position: u64,
    /// What handlers replied, at most one a topology; empty unless the append waited for
    /// processing.
    pub replies: Vec<Reply>,
}

impl Receipt {
    /// The receipt of an event for which no answer was asked.
    pub(crate) fn unasked(partition: u32) -> Self {
        Self { partition, offset: 0, position: 0, replies: Vec::new() }
    }

    /// What `topology` replied, where `T` is what it replies with.
    pub fn reply<T: DeserializeOwned>(&self, topology: &str) -> Option<T> {
        let reply = self.replies.iter().find(|reply| reply.topology == topology)?;
        postcard::from_bytes(&reply.bytes).ok()
    }
}

/// Where the events of one [`append_many`](crate::Client::append_many) went.
///
/// Events are named by their index in the call, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManyReceipt {
    /// How many events were logged.
    pub count: u64,
    /// One part a partition that got events, in the order of partitions.
    pub parts: Vec<PartReceipt>,
    /// What handlers replied, in the order of the call; empty unless the append waited for
    /// processing.
    pub replies: Vec<(usize, Reply)>,
    /// Events that a handler refused, in the order of the call. They are in the depot, and count
    /// in `count`; what the refusing handler wrote for them is undone.
    pub rejections: Vec<(usize, Rejection)>,
}

/// Where the events of one call for one partition went: they lie one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReceipt {
    /// The partition that logged them.
    pub partition: u32,
    /// Offset of the first in the depot's partition; 0 with [`Ack::None`](crate::Ack::None).
    pub first_offset: u64,
    /// Position of the first in the log; 0 with [`Ack::None`](crate::Ack::None).
    pub first_position: u64,
    /// Which events of the call, in order: the first is at `first_offset`.
    pub indexes: Vec<u32>,
}

/// Where the events of one submission went: they lie one after the other in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchReceipt {
    /// The partition that logged them.
    pub partition: u32,
    /// How many events.
    pub count: u64,
    /// Offset of the first in the depot's partition.
    pub first_offset: u64,
    /// Position of the first in the partition's log.
    pub first_position: u64,
    /// Replies, with the index of the event in the submission.
    pub replies: Vec<(u32, Reply)>,
    /// Rejections, with the index of the event in the submission.
    pub rejections: Vec<(u32, Rejection)>,
}
