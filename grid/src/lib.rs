//! Events in, views out: an embeddable data grid with a durable log.
//!
//! Every write is an event, appended to a [`Depot`](prelude::Depot). A topology turns events into
//! [`PState`](prelude::PState)s: durable, partitioned state of any shape. Clients append, and read with
//! paths; an append is answered when its effect is visible.
//!
//! # Code map
//!
//! | where | what |
//! |---|---|
//! | [`Module`], [`Setup`] | what a user declares |
//! | `topology` | handlers, the states that they borrow, what they return |
//! | `state` | a root as a memtable over immutable runs; published views |
//! | `partition` | the machine: records in, state and answers out; opening, folding, replaying |
//! | `shell` | threads, mailboxes, syncs, catch-up, supervision |
//! | [`Grid`] | all of it, running |
//! | [`folder`] | the files of a grid that does not run: checked, shown, printed |
//! | [`Local`] | a module in a unit test, without threads, files or a clock |
//!
//! What stays true: the mailbox is the log, so a partition's state is a function of its log and the
//! code. Only the topology that owns a PState writes it. A published view never changes. A record is
//! logged before it is applied, and durable before anything that it did is seen. Replay runs the same
//! `apply` as the live flow.

extern crate self as gridmill;

mod builder;
mod engine;
mod error;
pub mod folder;
mod grid;
mod identity;
mod local;
mod memory;
mod module;
mod partition;
mod quarantine;
mod shell;
mod state;
mod stats;
mod topology;

pub use builder::GridBuilder;
pub use error::{ShutdownError, StartError};
pub use grid::Grid;
pub use gridmill_client as client;
pub use gridmill_macros::record;
pub use gridmill_model as model;
pub use gridmill_persistence as persistence;
pub use local::Local;
pub use module::{Module, Setup};
pub use quarantine::{QuarantineError, Quarantined};
pub use shell::actor::Durability;
pub use shell::clock::Clock;
pub use shell::shared::Progress;
pub use stats::{JobProblem, ModuleStats, PartitionStats, Stats, TopologyStats};
pub use topology::{Context, Outcome, Source, StartFrom, StateSet, StateUnit, Stream};

/// What macros name; not for users.
#[doc(hidden)]
pub mod __private {
    pub use gridmill_model::private::*;

    pub use crate::topology::{AnyCell, Cells, Uses};
}

/// What a module and the code around it need in scope.
pub mod prelude {
    pub use gridmill_client::{Ack, Client};
    pub use gridmill_macros::record;
    pub use gridmill_model::path::Navigate;
    pub use gridmill_model::prelude::*;

    pub use crate::{Clock, Context, Durability, Grid, Module, Setup, StartFrom};
}
