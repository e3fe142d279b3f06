//! PStates that the engine keeps something of its own in, for a topology.

use crate::topology::{StateSet, Uses, open_calls, timers};

use super::names::interned;
use super::setup::Setup;

impl Setup {
    /// Declares the timers of a topology, where it has none yet: it has a stage, which they go to.
    pub(super) fn timers(&mut self, topology: usize) {
        self.hidden(topology, timers_name, timers);
    }

    /// Declares the open calls of a topology, where it has none yet.
    pub(super) fn open_calls(&mut self, topology: usize) {
        self.hidden(topology, calls_name, open_calls);
    }

    fn hidden<S: StateSet>(
        &mut self,
        topology: usize,
        name_of: fn(&str) -> &'static str,
        state: fn(&'static str) -> S,
    ) {
        let name = name_of(self.topologies[topology].name);
        if self.pstates.iter().any(|known| known.name == name) {
            return;
        }
        let mut declared = Uses::of(topology);
        state(name).declare(&mut declared);
        self.pstates.extend(declared.owned.into_iter().map(|mut def| {
            def.hidden = true;
            def
        }));
    }
}

/// The name of the PState that keeps what a topology has scheduled.
pub(super) fn timers_name(topology: &str) -> &'static str {
    interned(format!("{topology}#timers"))
}

/// The name of the PState that keeps the open calls of a topology.
pub(super) fn calls_name(topology: &str) -> &'static str {
    interned(format!("{topology}#calls"))
}
