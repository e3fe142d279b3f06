//! What a partition remembers of flows: records that topologies send from one partition to another, each of
//! which counts there once.
//!
//! A record that was sent is logged at its target with a [`stamp`], which names what it came from. Per
//! channel, the target keeps up to which cause it has everything, as a mark ([`marks`]); so what comes twice is
//! known. What is durable there is [`confirmed`] to who sent it. What is not stays in its [`outbox`], of which a
//! flush keeps what came before it ([`outbox_file`]); the rest is sent again by a replay. [`generations`] tell
//! topologies of one name apart.

pub(crate) mod confirmed;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod generations;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod outbox_file;
pub(crate) mod parcel;
pub(crate) mod places;
pub(crate) mod stamp;
