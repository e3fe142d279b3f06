//! The handle that an application holds on a Gridmill grid.
//!
//! A [`Client`] appends events to depots and reads PStates with typed paths. It routes by hash, so
//! that a call goes straight to the partition that owns the key; encodes events on the caller's
//! side, so that what is too large is refused before anything is queued; and waits, in the order of
//! arrival, where a partition has more to do than it can take in.
//!
//! - [`append`](Client::append) and [`append_with`](Client::append_with): one event, answered at
//!   the [`Ack`] level that is asked for.
//! - [`append_once`](Client::append_once): one event with an id, logged once however often it is tried.
//! - [`append_many`](Client::append_many): a batch, one message a partition.
//! - [`try_append`](Client::try_append): one event, or
//!   [`Overloaded`](AppendErrorKind::Overloaded) at once.
//! - [`select`](Client::select) and [`select_one`](Client::select_one): values at a path, from the
//!   partition of its first key.
//! - [`select_in`](Client::select_in), [`select_on`](Client::select_on) and
//!   [`select_all`](Client::select_all): the same, from another partition, or from all.
//! - [`view_of`](Client::view_of): several selects of one moment.
//! - [`reader`](Client::reader): one PState, found once for many selects.
//! - [`query`](Client::query): an answer that a module computes from many partitions.
//! - [`watch`](Client::watch), [`watch_in`](Client::watch_in), [`watch_on`](Client::watch_on) and
//!   [`watch_all`](Client::watch_all): a value, and how it goes on.
//! - [`depot_info`](Client::depot_info) and [`depot_read`](Client::depot_read): records as they
//!   were logged.
//! - [`append_json`](Client::append_json) and [`select_json`](Client::select_json): the same by
//!   name, for code without the types.
//!
//! A read never waits for a writer: it walks the partition's published view, on the caller's thread as
//! long as that takes no time worth mentioning, and then on one of the engine's. What an [`Ack::Processed`] append did is in the view before the append is answered.
//!
//! This crate is not an engine. It talks to one through the [`Engine`](engine::Engine) trait, which
//! the `gridmill` crate implements for a grid in the same process; whole programs are shown there.

mod append;
mod append_many;
mod ask;
mod by_partition;
mod client;
mod depot;
mod encoded;
pub mod engine;
mod error;
mod gate;
mod handles;
mod json;
mod prepare;
mod reader;
mod receipt;
mod select;
mod submit;
mod view;
mod views;
mod watch;
mod work;

pub use append::Pending;
pub use ask::{Ask, AskLimits, Asking, Gather, PartCall, Span};
pub use client::{Client, SELECT_LIMIT};
pub use depot::{DepotInfo, Recorded};
pub use encoded::Encoded;
pub use engine::{Ack, DepotRange};
pub use error::{
    AppendError, AppendErrorKind, AppendManyError, AskError, AskErrorKind, DepotError, ReadError,
    Rejection, ReplyError, WatchError,
};
pub use gate::{Admission, Gate, Refused};
#[doc(hidden)]
pub use json::json_event;
pub use reader::Reader;
pub use receipt::{BatchReceipt, ManyReceipt, PartReceipt, Receipt, Rejected, Repeated, Reply};
pub use view::KeyView;
pub use watch::{Change, Folded, FoldedChange, Watch, WatchAll};
