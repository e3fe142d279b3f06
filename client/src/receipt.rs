//! What an append is answered with.

use std::fmt;
use std::sync::Arc;

use gridmill_model::Topology;
use serde::de::DeserializeOwned;

use crate::encoded::Encoded;
use crate::error::{Rejection, ReplyError};

/// A handler's reply to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The topology that replied.
    pub topology: String,
    /// What it replied.
    pub value: Encoded,
}

impl Reply {
    /// What the topology replied, where `T` is the type that it replied with.
    ///
    /// # Errors
    /// [`ReplyError::WrongType`] where it is another.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T, ReplyError> {
        self.value.decode(&self.topology)
    }
}

/// The names of the topologies that read a depot.
type Topologies = Arc<[String]>;

/// What a topology said, if it is one of those that could.
fn said<'a, T: 'a>(
    found: Option<&'a T>,
    topology: &str,
    known: &[String],
) -> Result<Option<&'a T>, ReplyError> {
    if found.is_some() || known.iter().any(|name| name == topology) {
        return Ok(found);
    }
    Err(ReplyError::UnknownTopology { topology: topology.to_owned(), known: known.to_vec() })
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
    /// What the receipt is of, where an earlier [`append_once`](crate::Client::append_once) with the same id logged
    /// the event, and this one nothing.
    pub repeated: Option<Repeated>,
    pub(crate) topologies: Topologies,
}

/// What is known of an append that was done before, with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeated {
    /// All that the first one was answered with.
    Known,
    /// Where the event is, and that it was counted once: a partition restarted before the answer was in its log, and
    /// what handlers replied, or whether they refused it, is not known. What is still under way of it on other
    /// partitions will be done.
    BeforeRestart,
}

impl Receipt {
    /// What `topology` replied, where `T` is the type that it replied with; `None` where it did not
    /// reply, or was not waited for.
    ///
    /// # Errors
    /// [`ReplyError`] where it replied with another type, or where no topology of that name reads
    /// the depot.
    pub fn reply<T: DeserializeOwned + 'static>(
        &self,
        topology: &str,
    ) -> Result<Option<T>, ReplyError> {
        let reply = self.replies.iter().find(|reply| reply.topology == topology);
        said(reply, topology, &self.topologies)?.map(Reply::decode).transpose()
    }

    /// What a topology replied, as [`reply`](Self::reply) says it, by the constant that the topology is declared with.
    ///
    /// # Errors
    /// Those of [`reply`](Self::reply).
    pub fn reply_of<R, E>(&self, topology: Topology<R, E>) -> Result<Option<R>, ReplyError>
    where
        R: DeserializeOwned + 'static,
    {
        self.reply(topology.name())
    }
}

/// What became of an event that at least one handler refused. It is in the depot; what the refusing
/// handlers wrote for it is undone, what others wrote and replied holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where the event is, and what the other handlers replied.
    pub receipt: Receipt,
    /// Who refused it and why: handlers of the event in the order in which they were declared, at most one a
    /// topology; then handlers of stages that it led to. There is at least one.
    pub rejections: Vec<Rejection>,
}

impl Rejected {
    /// The rejection by `topology`, or `None` where that one did not refuse.
    ///
    /// # Errors
    /// [`ReplyError::UnknownTopology`] where no topology of that name reads the depot.
    pub fn by(&self, topology: &str) -> Result<Option<&Rejection>, ReplyError> {
        let rejection = self.rejections.iter().find(|rejection| rejection.topology == topology);
        said(rejection, topology, &self.receipt.topologies)
    }

    /// The error with which handlers of a topology refused, by the constant that the topology is declared with; `None`
    /// where they did not.
    ///
    /// # Errors
    /// [`ReplyError`] where the error is of another type, or no topology of that name reads the depot.
    pub fn error_of<R, E>(&self, topology: Topology<R, E>) -> Result<Option<E>, ReplyError>
    where
        E: DeserializeOwned + 'static,
    {
        self.by(topology.name())?.map_or(Ok(None), Rejection::decode)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, rejection) in self.rejections.iter().enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{rejection}")?;
        }
        Ok(())
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
    pub(crate) topologies: Topologies,
}

impl ManyReceipt {
    /// What `topology` replied to event number `index` of the call, as [`Receipt::reply`] does.
    ///
    /// # Errors
    /// Those of [`Receipt::reply`].
    pub fn reply<T: DeserializeOwned + 'static>(
        &self,
        index: usize,
        topology: &str,
    ) -> Result<Option<T>, ReplyError> {
        let first = self.replies.partition_point(|(of, _)| *of < index);
        let mut replies = self.replies[first..].iter().take_while(|(of, _)| *of == index);
        let reply = replies.find(|(_, reply)| reply.topology == topology).map(|(_, reply)| reply);
        said(reply, topology, &self.topologies)?.map(Reply::decode).transpose()
    }

    /// What a topology replied to event number `index` of the call, by the constant that the topology is declared with.
    ///
    /// # Errors
    /// Those of [`Receipt::reply`].
    pub fn reply_of<R, E>(
        &self,
        index: usize,
        topology: Topology<R, E>,
    ) -> Result<Option<R>, ReplyError>
    where
        R: DeserializeOwned + 'static,
    {
        self.reply(index, topology.name())
    }
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
    /// Whether an earlier submission with the same id logged them.
    pub repeated: Option<Repeated>,
}
