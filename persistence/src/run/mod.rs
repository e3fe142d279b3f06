//! Runs: immutable sorted tables of key bytes to value bytes, written once and read in place.
//!
//! A run is written by one pass over sorted input ([`RunWriter`]), appears whole or not at all, and
//! is then mapped and never changed. [`Run::open`] reads a fixed handful of bytes, whatever the
//! size; a point read costs one cache line of the hash index and the entry itself; a range is found
//! through fence keys. Every byte lies under a checksum that is verified when it is first touched.
//!
//! Not here: what keys and values mean, which runs make a snapshot (the manifest), when to merge.
//! The bytes are specified in `FORMAT.md`, section "Runs".

mod error;
mod index;
mod info;
mod layout;
mod merge;
mod meta;
mod pages;
mod range;
mod reader;
mod seek;
mod side;
mod sink;
mod spill;
mod uniform;
mod verify;
mod view;
mod writer;

pub use error::RunError;
pub use info::{RunInfo, RunOptions, Slot};
pub use merge::{MergedRange, merge};
pub use range::RunRange;
pub use reader::Run;
pub use writer::RunWriter;

/// The longest key that a run stores, in bytes: its length is written as a `u16`.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// The largest value that a run stores, in bytes. The layers above refuse values earlier; this
/// bound keeps an entry below the 64 MiB that the writer's packed index word can express.
pub const VALUE_BYTES_MAX: usize = 32 << 20;

/// The largest opaque note ([`RunOptions::user`]) that a run stores, in bytes: it is read at open.
pub const USER_BYTES_MAX: usize = 1 << 20;

/// The hash under which runs file a key: xxh3-64 of its bytes.
///
/// A caller that probes several runs computes it once and calls [`Run::get_hashed`].
///
/// ```
/// assert_eq!(gridmill_persistence::run::hash_key(b""), 0x2d06_8005_38d3_94c2);
/// ```
#[must_use]
#[inline]
pub fn hash_key(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// Whether `name` is that of a run still being written: a leftover of a crash, safe to remove while
/// no writer is at work.
///
/// ```
/// assert!(gridmill_persistence::run::is_unfinished("000007.run.tmp"));
/// assert!(!gridmill_persistence::run::is_unfinished("000007.run"));
/// ```
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    name.ends_with(layout::TEMP_SUFFIX)
}
