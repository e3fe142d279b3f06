//! Events in, views out: an embeddable data grid with a durable log.
//!
//! Every write is an event, appended to a [`Depot`](prelude::Depot). A topology turns events into
//! [`PState`](prelude::PState)s: durable, partitioned state of any shape. Clients append, and read with
//! paths; an append is answered when its effect is visible.
//!
//! ```
//! use gridmill::Local;
//! use gridmill::prelude::*;
//!
//! // Declare: what happens, where it goes, what is kept.
//! #[record]
//! pub enum Money {
//!     Put { account: u64, cents: u64 },
//!     Take { account: u64, cents: u64 },
//! }
//!
//! impl Money {
//!     fn account(&self) -> u64 {
//!         match self {
//!             Self::Put { account, .. } | Self::Take { account, .. } => *account,
//!         }
//!     }
//! }
//!
//! pub const MONEY: Depot<Money> = Depot::hash_by("bank/money", |money| money.account().into());
//! pub const ACCOUNTS: PState<Map<u64, u64>> = PState::new("bank/accounts");
//!
//! pub struct Bank;
//!
//! impl Module for Bank {
//!     const NAME: &'static str = "bank";
//!
//!     fn define(module: &mut Setup) {
//!         module.depot(MONEY);
//!         module.stream("accounts", ACCOUNTS).source(MONEY).each_with(on_money);
//!     }
//! }
//!
//! /// What it returns as `Err` is told to the appender, and undoes what it wrote.
//! fn on_money(
//!     money: Money,
//!     accounts: &mut Map<u64, u64>,
//!     context: &mut Context<'_>,
//! ) -> Result<(), Str> {
//!     let has = accounts.get(&money.account()).map_or(0, |cents| *cents);
//!     let cents = match money {
//!         Money::Put { cents, .. } => has + cents,
//!         Money::Take { cents, .. } => has.checked_sub(cents).ok_or("not enough money")?,
//!     };
//!     accounts.insert(money.account(), cents);
//!     context.reply(&cents);
//!     Ok(())
//! }
//!
//! // Test: without threads, files or `await`.
//! let bank = Local::<Bank>::new(4)?;
//! let receipt = bank.append(MONEY, Money::Put { account: 7, cents: 100 })?;
//! assert_eq!(receipt.reply::<u64>("accounts")?, Some(100));
//! assert!(bank.append(MONEY, Money::Take { account: 7, cents: 500 }).is_err());
//! assert_eq!(bank.select_one(ACCOUNTS.key(7))?, Some(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way in
//!
//! | to | see |
//! |---|---|
//! | declare | [`record`], [`Depot`](prelude::Depot), [`PState`](prelude::PState), [`Module`], [`Setup`], [`Stream`] |
//! | go on elsewhere | [`Stage`](prelude::Stage) with [`Stream::stage`] and [`Context::send`]; [`Fan`](prelude::Fan); [`Context::append`] |
//! | ask others | [`Source::each_async`], [`Calls`] |
//! | fail | [`OnFailure`] with [`Source::on_failure`] |
//! | act on time | [`Context::schedule`], [`Depot::tick`](prelude::Depot::tick), [`Clock`] |
//! | run | [`Grid::builder`], [`GridBuilder`] with its limits, [`Grid::in_memory`] |
//! | append | [`Client::append`](client::Client::append) and its kin; [`Ack`](client::Ack) says what is waited for |
//! | read | [`Client::select`](client::Client::select), and [paths](model::path) |
//! | ask many partitions | [`Setup::query`] with its parts, [`Client::query`](client::Client::query), [aggregators](model::aggregate) |
//! | test | [`Local`] in a unit test, [`Grid::in_memory`] for all of it |
//! | operate | [`Grid::stats`], [`Grid::verify`], [`Grid::quarantine`], [`folder`] for a grid that does not run |
//!
//! How the engine works inside stands in `grid/ARCHITECTURE.md`.

extern crate self as gridmill;

mod ask;
mod builder;
mod engine;
mod error;
pub mod folder;
mod grid;
mod identity;
mod local;
mod machine;
mod memory;
mod module;
mod panics;
mod quarantine;
mod shell;
#[cfg(feature = "simulate")]
#[doc(hidden)]
pub mod sim;
mod state;
mod stats;
mod sync;
mod topology;
mod watch;

pub use builder::GridBuilder;
pub use error::{ShutdownError, StartError};
pub use grid::Grid;
pub use gridmill_client as client;
pub use gridmill_macros::record;
pub use gridmill_model as model;
pub use gridmill_persistence as persistence;
pub use local::Local;
pub use module::{Calls, FanSource, Module, OnFailure, Setup, Source, StartFrom, Stream};
pub use quarantine::{QuarantineError, Quarantined};
pub use shell::clock::Clock;
pub use shell::partition::Durability;
pub use shell::partition::past::Progress;
pub use stats::{JobProblem, ModuleStats, PartitionStats, QueryStats, Stats, TopologyStats};
pub use topology::{Call, Context, Outcome, ReadSet, StateSet, StateUnit};

/// What macros name; not for users.
#[doc(hidden)]
pub mod __private {
    pub use gridmill_model::private::*;

    pub use crate::topology::{AnyCell, Cells, Uses};
}

/// What a module and the code around it need in scope.
pub mod prelude {
    pub use gridmill_client::{Ack, Ask, AskError, Client, Span};
    pub use gridmill_macros::record;
    pub use gridmill_model::path::Navigate;
    pub use gridmill_model::prelude::*;

    pub use crate::{Clock, Context, Durability, Grid, Module, Setup, StartFrom};
}
