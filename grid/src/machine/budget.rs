//! What the partitions of a grid may let pile up, taken together, before they flush.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may pile up before a flush.
pub(crate) struct Budgets {
    /// Unflushed changes in memory, of all partitions.
    pub(crate) changes: Budget,
    /// Logs that a restart would replay, for each thread, as threads replay beside each other.
    pub(crate) tails: Vec<Budget>,
    /// What is under way between partitions.
    pub(crate) flows: Budget,
}

/// A budget of bytes that several holders share: one may have what others leave.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    held: Arc<AtomicUsize>,
    /// What nobody has any more and still takes memory.
    leaving: Arc<AtomicUsize>,
    max: usize,
    share: usize,
}

impl Budget {
    /// `max` bytes for so many holders.
    pub(crate) fn new(max: usize, holders: usize) -> Self {
        let (held, leaving) = Default::default();
        Self { held, leaving, max, share: max / holders.max(1) }
    }

    /// `max` bytes on each of so many threads, which share out the holders evenly.
    pub(crate) fn for_each(threads: usize, max: usize, holders: usize) -> Vec<Self> {
        (0..threads).map(|_| Self::new(max, holders.div_ceil(threads))).collect()
    }

    /// Opens an account, without anything in it.
    pub(crate) fn account(&self) -> Account {
        Account { budget: self.clone(), held: 0 }
    }
}

/// What one partition has of a budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Budget,
    held: usize,
}

impl Account {
    /// The partition has so many bytes now.
    pub(crate) fn set(&mut self, held: usize) {
        // Wraps where it has fewer than before, as the sum does.
        self.budget.held.fetch_add(held.wrapping_sub(self.held), Ordering::Relaxed);
        self.held = held;
    }

    /// Whether all together have nearly twice the budget, and a holder with `bytes` more than an even share.
    /// What is left to twice the budget is for the batches that were under way.
    pub(crate) fn is_nearly_double(&self, bytes: usize) -> bool {
        let Budget { held, max, share, .. } = &self.budget;
        bytes > *share && held.load(Ordering::Relaxed) > max.saturating_mul(2) - max / 4
    }

    /// Whether all together have more than the budget, and a holder with `bytes` more than an even share
    /// of it. Where all have too much, this is true for one of them at least.
    pub(crate) fn is_over(&self, bytes: usize) -> bool {
        let Budget { held, max, share, .. } = &self.budget;
        bytes > *share && held.load(Ordering::Relaxed) > *max
    }

    /// Whether the memory of all together takes more than twice the budget, and a holder has more than an
    /// even share.
    pub(crate) fn is_double(&self, bytes: usize) -> bool {
        let Budget { held, leaving, max, share } = &self.budget;
        let taken = held.load(Ordering::Relaxed).saturating_add(leaving.load(Ordering::Relaxed));
        bytes > *share && taken > max.saturating_mul(2)
    }

    /// So many bytes are counted no longer, and take memory until what is returned is dropped.
    pub(crate) fn leave(&self, bytes: usize) -> Leaving {
        let leaving = Arc::clone(&self.budget.leaving);
        leaving.fetch_add(bytes, Ordering::Relaxed);
        Leaving { leaving, bytes }
    }
}

/// Memory that is being freed.
#[derive(Debug)]
pub(crate) struct Leaving {
    leaving: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.leaving.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn one_holder_may_have_what_others_leave() {
        let budget = Budget::new(100, 4);
        let (mut one, mut other) = (budget.account(), budget.account());
        one.set(90);
        assert!(!one.is_over(90));
        other.set(20);
        assert!(one.is_over(90));
        assert!(!other.is_over(20), "it has less than its share");
        assert!(!one.is_double(90));
        one.set(70);
        assert!(!one.is_over(70), "what was written out is free again");
        one.set(90);
        drop(other);
        assert!(!one.is_over(90), "so is what a partition had that is gone");
    }

    #[test]
    fn what_is_being_freed_takes_memory() {
        let budget = Budget::new(100, 1);
        let mut one = budget.account();
        one.set(110);
        let leaving = one.leave(100);
        assert!(one.is_double(110) && one.is_over(110));
        one.set(90);
        assert!(!one.is_over(90), "it is not written out once more");
        one.set(110);
        drop(leaving);
        assert!(!one.is_double(110));
    }
}
