//! Watches of a module in memory: whoever changes something shows it to those who watch, before the call returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridmill_client::engine::{Newest, WatchGuard, WatchOrder};
use gridmill_client::{ReadError, WatchError};
use gridmill_persistence::Position;
use parking_lot::Mutex;

use crate::state::AnyView;
use crate::state::marks::ScopeId;
use crate::watch::{Hub, Key, Spot, evaluate_all};

use super::engine::LocalEngine;

/// As many as a grid takes unless it is told otherwise.
const WATCHES_MAX: usize = 1 << 20;

/// What is watched.
pub(super) struct Watching {
    /// By partition.
    hubs: Vec<Arc<Hub>>,
    /// Something may have changed since somebody looked.
    changed: AtomicBool,
    /// One thread looks at a time, so that values do not go back.
    looking: Mutex<()>,
}

impl Watching {
    pub(super) fn new(partitions: u32) -> Self {
        let hubs = (0..partitions).map(|_| Arc::new(Hub::new(WATCHES_MAX))).collect();
        Self { hubs, changed: AtomicBool::new(false), looking: Mutex::new(()) }
    }
}

/// Ends a watch when it is dropped. The machine is told when somebody looks the next time.
struct Guard {
    hub: Arc<Hub>,
    key: Key,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.hub.leave(self.key);
    }
}

/// The state of a partition, as it is now.
struct Now {
    roots: Vec<AnyView>,
    end: Position,
}

impl Spot for Now {
    fn look(&self, pstate: usize, _: usize, see: &mut dyn FnMut(Newest<'_>)) {
        see(Newest { root: &*self.roots[pstate], at: self.end.to_bits() });
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl LocalEngine {
    pub(super) fn watch_here(&self, order: WatchOrder) -> Result<WatchGuard, WatchError> {
        let (pstate, partition) = (order.pstate, order.partition);
        // A machine that failed, or a partition that does not exist.
        self.read_state(pstate, partition, |_, _| ())?;
        let hub = Arc::clone(&self.watching.hubs[partition as usize]);
        let key = hub.watch(order, partition, (pstate, self.plan.pstates[pstate].topology))?;
        self.show_watchers();
        Ok(Box::new(Guard { hub, key }))
    }

    /// Shows those who watch what has changed.
    pub(super) fn show_watchers(&self) {
        let Watching { hubs, changed, looking } = &self.watching;
        changed.store(true, Ordering::SeqCst);
        while changed.load(Ordering::SeqCst) {
            // Whoever looks now will look once more.
            let Some(_looking) = looking.try_lock() else { return };
            while changed.swap(false, Ordering::SeqCst) {
                (0..hubs.len()).for_each(|partition| self.show_watchers_of(partition));
            }
        }
    }

    fn show_watchers_of(&self, partition: usize) {
        let hub = &self.watching.hubs[partition];
        let mut machines = self.machines.lock();
        let machine = &mut machines[partition];
        if let Some(reason) = machine.stopped.clone() {
            drop(machines);
            let partition = partition as u32;
            return hub.end(&ReadError::Stopped { partition, reason }.into());
        }
        let mut entered: Vec<ScopeId> = Vec::new();
        for mark in hub.take_orders() {
            machine.core.mark(&mark);
            entered.extend(mark.enters.then_some(mark.scope));
        }
        let hits = machine.core.take_hits();
        if entered.is_empty() && hits.is_empty() && !hub.is_due() {
            return;
        }
        let now = Now { roots: machine.core.views(), end: machine.end };
        drop(machines);
        hub.begun(&entered);
        hub.touched(&hits);
        evaluate_all(hub, &now);
    }
}
