//! The state of a partition: a small overlay of recent changes over immutable runs.
//!
//! ```text
//! cache     decoded entries, changed in place by the running batch    one writer
//! memtable  versions of entries since the last flush, block by block   shared with readers
//! runs      mapped files, newest first                                shared with readers
//! ```
//!
//! A read takes the first layer that knows the key. A flush writes the memtable into a run.

mod cache;
mod cell;
mod digest;
mod flush;
mod hash_index;
mod layers;
pub(crate) mod marks;
mod memtable;
mod merge;
mod overlay;
mod prefetch;
mod ranges;
mod room;
mod slab;
mod table;
mod tidy;

pub(crate) use cache::Fetch;
pub(crate) use cell::{
    AnyView, Cell, CellPlace, RootCell, Spent, Undone, Violation, check_initial,
};
pub(crate) use flush::{FlushError, Flushed, Frozen, Stamp, merge_runs};
pub(crate) use table::damaged;
pub(crate) use tidy::{Pile, Tier};
