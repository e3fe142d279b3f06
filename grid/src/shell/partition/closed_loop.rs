//! A caller who appends one event after the other: it answers each answer with the next append.

use crate::shell::load::LastAnswer;

/// Whether it pays to wait for the next append.
#[derive(Debug)]
pub(crate) struct ClosedLoop {
    last: LastAnswer,
    /// Whether an append came soon after the answer to another.
    soon: bool,
    due: bool,
}

impl ClosedLoop {
    pub(crate) fn new(last: LastAnswer) -> Self {
        Self { last, soon: false, due: false }
    }

    /// An append has arrived.
    pub(crate) fn arrived(&mut self) {
        self.soon = self.last.is_soon_after();
    }

    /// It was a closed-loop one and is answered: if it came soon after the last, so may the next.
    pub(crate) fn answered(&mut self) {
        self.last.answered();
        self.due = std::mem::take(&mut self.soon);
    }

    /// Whether to wait now; once for each closed-loop append.
    pub(crate) fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }
}
