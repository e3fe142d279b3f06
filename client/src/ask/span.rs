//! Where a part of a query runs.

use std::fmt;
use std::sync::Arc;

use gridmill_model::{PState, Root};

use crate::engine::PartEntry;
use crate::error::{AskError, AskErrorKind, ReadError};
use crate::handles::PStateRef;

use super::Ask;
use super::guard::{Guard, Guarded};

/// The partition that a part of a query runs on, as of the moment that the query reads it.
pub struct Span {
    ask: Ask,
    entry: Arc<PartEntry>,
    partition: u32,
}

impl Span {
    pub(super) fn new(ask: Ask, entry: Arc<PartEntry>, partition: u32) -> Self {
        Self { ask, entry, partition }
    }

    /// The partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The position after the last record of the partition's log that can be seen: an append whose receipt has a
    /// position before that is in it.
    ///
    /// # Errors
    /// As with a read; see [`ReadError`].
    pub fn at(&self) -> Result<u64, AskError> {
        match self.entry.states.first() {
            Some(&(pstate, _)) => Ok(self.guard(pstate, self.partition)?.held.end),
            None => Ok(0),
        }
    }

    /// Whether to go on. Reads of states find that out by themselves: it is for loops that compute without
    /// reading.
    ///
    /// # Errors
    /// [`TimedOut`](AskErrorKind::TimedOut) or [`Cancelled`](AskErrorKind::Cancelled): return it.
    pub fn check(&self) -> Result<(), AskError> {
        Ok(self.ask.budget().check()?)
    }

    /// The root of the part's PState of this number.
    #[doc(hidden)]
    pub fn root<R: Root>(&self, number: usize, pstate: PState<R>) -> Result<R, AskError> {
        let Some(&(id, global)) = self.entry.states.get(number) else {
            unreachable!("a part's states were matched with its handles at start");
        };
        let guard = self.guard(id, if global { 0 } else { self.partition })?;
        let root =
            self.ask.client().engine.held_root(&guard.held, id, self.ask.client().partial)?;
        let Some(view) = Guarded::<R::Value>::new(root, Arc::new(guard)) else {
            unreachable!("a part's states were matched with its handles at start");
        };
        let initial = pstate.initial_function();
        R::from_view(Arc::new(view), initial).map_err(|damaged| ReadError::from(damaged).into())
    }

    fn guard(&self, id: usize, partition: u32) -> Result<Guard, AskErrorKind> {
        let module = self.entry.module;
        // Only the number and the module say which view it is.
        let pstate = PStateRef { id, module, partitions: 0, module_partitions: 0, private: false };
        let client = self.ask.client();
        let held = self.ask.views().get(&*client.engine, pstate, partition)?;
        Ok(Guard::new(Arc::clone(&client.engine), Arc::clone(self.ask.budget()), held))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span").field("partition", &self.partition).finish_non_exhaustive()
    }
}
