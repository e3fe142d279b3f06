//! The hidden PState that keeps what a topology has scheduled.

use crate::topology::{StateSet, Uses, timers};

use super::names::interned;
use super::setup::Setup;

impl Setup {
    /// Declares the timers of a topology, where it has none yet: it has a stage, which they go to.
    pub(super) fn timers(&mut self, topology: usize) {
        let name = timers_name(self.topologies[topology].name);
        if self.pstates.iter().any(|known| known.name == name) {
            return;
        }
        let mut declared = Uses::of(topology);
        timers(name).declare(&mut declared);
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
