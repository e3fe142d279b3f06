//! What was flushed and may still be read.

use std::sync::Arc;

use crate::machine::budget::Account;
use crate::shell::host::{Host, Work, once};
use crate::state::Spent;

use super::Msg;

/// Memtables that were flushed, until no reader holds them any more and they are dropped.
#[derive(Default)]
pub(crate) struct SpentMemtables {
    held: Vec<Spent>,
    /// Shared with threads that drop them.
    dropping: Arc<()>,
}

impl SpentMemtables {
    pub(crate) fn add(&mut self, spent: impl IntoIterator<Item = Spent>) {
        self.held.extend(spent);
    }

    /// Whether some are being dropped.
    pub(crate) fn is_dropping(&self) -> bool {
        Arc::strong_count(&self.dropping) > 1
    }

    /// Drops those that no reader holds any more; on another thread, because there may be millions of
    /// values.
    pub(crate) fn let_go(&mut self, changes: &Account, host: &Arc<dyn Host>) {
        let last: Vec<_> = self.held.extract_if(.., |spent| spent.is_last()).collect();
        if last.is_empty() {
            return;
        }
        let leaving = changes.leave(last.iter().map(|spent| spent.weight()).sum());
        let (dropping, then) = (Arc::clone(&self.dropping), Arc::clone(host));
        let drop_all = move || {
            drop((last, leaving));
            drop(dropping);
            // It may wait for that.
            then.tell(Msg::Wake);
        };
        host.run(Work::Background, once(drop_all));
    }
}
