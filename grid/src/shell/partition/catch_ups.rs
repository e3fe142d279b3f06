//! Which topologies of a partition read the past, and how far they are from joining.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::machine::budget::{Account, Budget};
use crate::machine::core::Core;
use crate::machine::flush::rejoin;

/// The topologies of a partition that read the past.
pub(crate) struct CatchUps {
    running: HashSet<usize>,
    cancel: Arc<AtomicBool>,
    arrived: Option<CaughtUp>,
    /// Those whose snapshot could not be written when they were to join.
    put_off: Vec<CaughtUp>,
    /// For their unflushed changes.
    budget: Budget,
}

/// A topology whose state has everything that was durable a moment ago.
pub(crate) struct CaughtUp {
    pub(super) topology: usize,
    pub(super) core: Core,
    /// What its unflushed changes take.
    pub(super) changes: Account,
    /// Its snapshot is being written as that of a live topology, with those of its group.
    entering: bool,
}

impl CaughtUp {
    pub(super) fn new(topology: usize, core: Core, changes: Account) -> Self {
        Self { topology, core, changes, entering: false }
    }
}

impl CatchUps {
    pub(crate) fn new(budget: Budget) -> Self {
        let (running, cancel, put_off) = (HashSet::new(), Arc::default(), Vec::new());
        Self { running, cancel, arrived: None, put_off, budget }
    }

    /// An account for one that begins.
    pub(super) fn account(&self) -> Account {
        self.budget.account()
    }

    /// A thread reads for a topology.
    pub(super) fn begin(&mut self, topology: usize) {
        self.running.insert(topology);
    }

    /// No thread reads for it any more.
    pub(super) fn end(&mut self, topology: usize) {
        self.running.remove(&topology);
    }

    /// Whether none reads, and none waits at the door.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.arrived.is_none()
    }

    /// Lets one wait at the door, where no other does.
    pub(super) fn arrive(&mut self, caught_up: CaughtUp) {
        self.arrived = Some(caught_up);
    }

    /// Whether one waits at the door, so that no new batch may start.
    pub(crate) fn has_arrived(&self) -> bool {
        self.arrived.is_some()
    }

    /// Which one waits at the door, and is not on its way in.
    pub(super) fn at_door(&self) -> Option<usize> {
        let waits = self.arrived.as_ref().filter(|arrived| !arrived.entering);
        waits.map(|arrived| arrived.topology)
    }

    /// The one that waits at the door.
    pub(super) fn take_arrived(&mut self) -> Option<CaughtUp> {
        self.arrived.take_if(|arrived| !arrived.entering)
    }

    /// One is on its way in: it joins when its snapshot is written.
    pub(super) fn enter(&mut self, caught_up: CaughtUp) {
        self.arrived = Some(CaughtUp { entering: true, ..caught_up });
    }

    /// Whether one is on its way in, so that it is being decided for all later records who sees it.
    pub(crate) fn is_entering(&self) -> bool {
        self.arrived.as_ref().is_some_and(|arrived| arrived.entering)
    }

    /// The one that was on its way in.
    pub(super) fn take_entering(&mut self) -> Option<CaughtUp> {
        self.arrived.take_if(|arrived| arrived.entering)
    }

    /// The one on its way in does not join: it has to read on before it tries again.
    pub(crate) fn put_off_entering(&mut self) {
        if let Some(mut caught_up) = self.take_entering() {
            caught_up.entering = false;
            rejoin(&mut caught_up.core, &[caught_up.topology]);
            self.put_off(caught_up);
        }
    }

    /// It reads on later.
    pub(super) fn put_off(&mut self, caught_up: CaughtUp) {
        self.put_off.push(caught_up);
    }

    pub(super) fn take_put_off(&mut self) -> Vec<CaughtUp> {
        std::mem::take(&mut self.put_off)
    }

    /// Set when all of this life is to end: for their threads, and for those that merge.
    pub(crate) fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    pub(crate) fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}
