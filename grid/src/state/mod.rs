//! The state of a partition: a small overlay of recent changes over immutable runs.
//!
//! ```text
//! cache     decoded entries, changed in place by the running batch      one writer
//! deltas    immutable sorted changes, one a batch, merged geometrically  shared with readers
//! runs      mapped files, newest first                                   shared with readers
//! ```
//!
//! A read takes the first layer that knows the key. A fold writes all deltas into one run.

mod cache;
mod cell;
mod delta;
mod digest;
mod fold;
mod layers;
mod lookup;
mod merge;
mod order;
mod overlay;
mod table;

pub(crate) use cell::{AnyView, Cell, Place, RootCell, Undone};
pub(crate) use fold::{FoldError, Folded, Frozen, merge_runs, pick_tier};
pub(crate) use table::damaged;
