//! Records that are no events: what they do to a partition.

use std::sync::Arc;

use crate::machine::batch::Item;
use crate::machine::control::{Retry, Verdict};

use super::{Core, Stop};

impl Core {
    pub(super) fn apply_control(&mut self, item: &Item) -> Result<(), Stop> {
        match item {
            Item::Verdict(verdict) => {
                self.give_call_up(verdict)?;
                self.set_aside(verdict.clone());
            }
            Item::Discard(retry) | Item::Retry(retry, _) => self.forget(retry),
            Item::Events(_) | Item::Clock(..) => {}
        }
        Ok(())
    }

    /// Lets go of those of `verdicts` whose records are skipped: the log says so.
    pub(crate) fn forget_logged(&mut self, verdicts: &[Verdict]) {
        let plan = Arc::clone(&self.plan);
        let skipped = verdicts.iter().filter(|of| plan.skips(&of.topology, &of.depot));
        skipped.for_each(|verdict| self.forget(&Retry::of(verdict)));
    }

    /// Lets go of the records of a topology that are skipped: it read the past, and the log says of each that it is.
    pub(crate) fn forget_skipped(&mut self, topology: usize) {
        let Self { plan, consumers, .. } = self;
        let quarantine = &mut consumers[topology].quarantine;
        quarantine.retain(|_, verdict| !plan.skips(&verdict.topology, &verdict.depot));
    }

    pub(super) fn set_aside(&mut self, verdict: Verdict) {
        if let Some(topology) = self.topology(&verdict.topology) {
            self.consumers[topology].quarantine.insert(verdict.position, verdict);
        }
    }

    fn forget(&mut self, retry: &Retry) {
        if let Some(topology) = self.topology(&retry.topology) {
            self.consumers[topology].quarantine.remove(&retry.position);
        }
    }
}
