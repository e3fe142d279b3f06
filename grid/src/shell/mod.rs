//! Around the machine: threads, mailboxes, syncs, supervision. Everything here may wait or fail;
//! nothing here decides what a record does.

pub(crate) mod actor;
mod background;
pub(crate) mod catch_up;
pub(crate) mod clock;
pub(crate) mod failing;
pub(crate) mod flight;
pub(crate) mod held;
pub(crate) mod host;
mod jobs;
mod linger;
mod merges;
mod orders;
pub(crate) mod part;
pub(crate) mod restarts;
pub(crate) mod shared;
pub(crate) mod slot;
pub(crate) mod start;
pub(crate) mod supervisor;
mod sync;
pub(crate) mod take;
mod threads;
pub(crate) mod worker;
