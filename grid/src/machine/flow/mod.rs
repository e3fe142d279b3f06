//! What a partition remembers of flows: records that topologies send from one partition to another, each of
//! which counts there once.
//!
//! A record that was sent is logged at its target with a [`stamp`], which names what it came from. Per
//! channel, the target keeps up to which cause it has everything, as a mark; so what comes twice is known.
//! What a target has made durable it [confirms](confirmed); until then the source keeps it in its [`outbox`].

pub(crate) mod confirmed;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod outbox_file;
pub(crate) mod parcel;
pub(crate) mod stamp;
