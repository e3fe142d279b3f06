//! Figures of a partition, for statistics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures that only grow, but for the last five.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) merges: AtomicU64,
    pub(crate) merged_bytes: AtomicU64,
    pub(crate) flushed_bytes: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) failed_jobs: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) values_loaded: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) sent_again: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) outbox_bytes: AtomicU64,
    pub(crate) timers: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) tail_bytes: AtomicU64,
    pub(crate) overlay_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Nothing is written for nothing: what readers share stays in their processors' caches.
    pub(crate) fn add_some(counter: &AtomicU64, amount: u64) {
        if amount > 0 {
            Self::add(counter, amount);
        }
    }

    pub(crate) fn set(counter: &AtomicU64, amount: usize) {
        counter.store(amount as u64, Ordering::Relaxed);
    }
}
