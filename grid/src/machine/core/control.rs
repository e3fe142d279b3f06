//! Records that are no events: what they do to a partition.

use crate::machine::batch::Item;
use crate::machine::control::{Retry, Verdict};

use super::Core;

impl Core {
    pub(super) fn apply_control(&mut self, item: &Item) {
        match item {
            Item::Verdict(verdict) => self.set_aside(verdict.clone()),
            Item::Discard(retry) | Item::Retry(retry, _) => self.forget(retry),
            Item::Events(_) | Item::Clock(..) => {}
        }
    }

    pub(super) fn set_aside(&mut self, verdict: Verdict) {
        if let Some(topology) = self.topology(&verdict.topology) {
            self.consumers[topology].quarantine.insert(verdict.position, verdict);
        }
    }

    pub(super) fn forget(&mut self, retry: &Retry) {
        if let Some(topology) = self.topology(&retry.topology) {
            self.consumers[topology].quarantine.remove(&retry.position);
        }
    }
}
