//! A view that a part of a query reads, as long as the query may go on.

use std::any::Any;
use std::ops::Bound;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gridmill_model::engine::{Found, ReadStore, StoreRange, StoreScan};
use gridmill_model::{Damaged, Ref, State};

use crate::engine::{Engine, Held, ViewRoot};
use crate::error::AskErrorKind;

use super::budget::Budget;

/// After how many reads it is asked whether to go on; a power of two.
const READS_AT_ONCE: u64 = 1024;

/// Unwinds out of a part whose query may not go on.
pub(super) struct Interrupt(pub(super) AskErrorKind);

/// Whether what reads one partition for a query may go on.
pub(super) struct Guard {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) budget: Arc<Budget>,
    pub(super) held: Held,
    reads: AtomicU64,
}

impl Guard {
    pub(super) fn new(engine: Arc<dyn Engine>, budget: Arc<Budget>, held: Held) -> Self {
        Self { engine, budget, held, reads: AtomicU64::new(0) }
    }

    pub(super) fn check(&self) -> Result<(), AskErrorKind> {
        self.budget.check()?;
        Ok(self.engine.check_held(&self.held)?)
    }

    /// Counts so many reads, and asks whether to go on.
    pub(super) fn count(&self, reads: u64) -> Result<(), AskErrorKind> {
        self.budget.take_places(reads)?;
        self.check()
    }

    fn read(&self) {
        // Asked at the first read, too: a part in a loop of reads may be of a query that nobody waits for.
        if self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(READS_AT_ONCE)
            && let Err(kind) = self.count(READS_AT_ONCE)
        {
            interrupt(kind);
        }
    }
}

/// Leaves the user's code, whose reads look infallible. No panic of anybody's: hooks need not hear of it.
fn interrupt(kind: AskErrorKind) -> ! {
    resume_unwind(Box::new(Interrupt(kind)))
}

/// A published root that may be read as long as its guard says so.
pub(super) struct Guarded<V> {
    root: Arc<ViewRoot<V>>,
    guard: Arc<Guard>,
}

impl<V: State> Guarded<V> {
    /// `None` where the root is one of another type.
    pub(super) fn new(root: Arc<dyn Any + Send + Sync>, guard: Arc<Guard>) -> Option<Self> {
        Some(Self { root: root.downcast().ok()?, guard })
    }

    fn counted<'a, T: 'a>(
        &'a self,
        entries: impl DoubleEndedIterator<Item = T> + 'a,
    ) -> impl DoubleEndedIterator<Item = T> + 'a {
        let mut reads = 0_u64;
        entries.inspect(move |_| {
            reads += 1;
            if reads.is_multiple_of(READS_AT_ONCE)
                && let Err(kind) = self.guard.count(READS_AT_ONCE)
            {
                interrupt(kind);
            }
        })
    }
}

impl<V: State> ReadStore<V> for Guarded<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        self.guard.read();
        self.root.0.get(key)
    }

    fn look(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Damaged> {
        self.guard.read();
        self.root.0.look(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool, Damaged> {
        self.guard.read();
        self.root.0.contains(key)
    }

    fn len(&self) -> u64 {
        self.root.0.len()
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V> {
        self.guard.read();
        Box::new(self.counted(self.root.0.range(from, to)))
    }

    fn scan<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreScan<'a, V>
    where
        V: 'a,
    {
        self.guard.read();
        Box::new(self.counted(self.root.0.scan(from, to)))
    }
}
