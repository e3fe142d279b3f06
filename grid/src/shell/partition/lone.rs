//! A caller who appends one event after the other: it answers each answer with the next append.

use crate::shell::load::LastLone;

/// Whether it pays to wait for the next append.
#[derive(Debug, Default)]
pub(crate) struct Lone {
    /// Whether an append came soon after the answer to another.
    soon: bool,
    due: bool,
}

impl Lone {
    /// An append has arrived.
    pub(crate) fn arrived(&mut self, lone: &LastLone) {
        self.soon = lone.is_soon_after();
    }

    /// It was a lone one and is answered: if it came soon after the last, so may the next.
    pub(crate) fn answered(&mut self, lone: &LastLone) {
        lone.answered();
        self.due = std::mem::take(&mut self.soon);
    }

    /// Whether to wait now; once for each lone append.
    pub(crate) fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }
}
