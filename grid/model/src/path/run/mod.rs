//! Paths at work: selects and transforms of a value in memory, and selects in a partition's store.

pub(in crate::path) mod select;
pub(in crate::path) mod store;
pub(in crate::path) mod transform;
