//! The state of a partition: a small overlay of recent changes over immutable runs.
//!
//! ```text
//! cache     decoded entries, changed in place by the running batch      one writer
//! deltas    immutable changes, one a batch, indexes merged geometrically   shared with readers
//! runs      mapped files, newest first                                   shared with readers
//! ```
//!
//! A read takes the first layer that knows the key. A fold writes all deltas into one run.

mod cache;
mod cell;
mod delta;
mod digest;
mod fold;
mod hash_index;
mod layers;
mod merge;
mod order;
mod overlay;
mod slab;
mod spots;
mod table;

pub(crate) use cache::WARM_MAX;
pub(crate) use cell::{AnyView, Cell, Place, RootCell, Undone};
pub(crate) use fold::{FoldError, Folded, Frozen, merge_runs, pick_tier};
pub(crate) use table::damaged;
