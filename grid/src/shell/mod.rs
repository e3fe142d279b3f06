//! Around the machine: threads, mailboxes, syncs, supervision. Everything here may wait or fail;
//! nothing here decides what a record does.
//!
//! [`partition`] is what a live partition does, without a thread; [`threads`] lets it run on actors and threads.
//! [`host`] is the seam between the two.

pub(crate) mod clock;
pub(crate) mod held;
pub(crate) mod host;
pub(crate) mod load;
pub(crate) mod partition;
pub(crate) mod restarts;
pub(crate) mod slot;
pub(crate) mod start;
pub(crate) mod threads;
