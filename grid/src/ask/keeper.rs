//! A bound on what is kept for readers of the past.
//!
//! A view that is held keeps what was overwritten since: versions of entries, and memtables that were flushed. No
//! budget of the writers counts that, and a reader must not hold up writers. So where it is too much, the views that
//! are held longest are let go of, and who still reads them is told.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::GridEngine;
use crate::shell::partition::published::PartitionView;

use super::held::HeldView;

/// How often it is looked, while a view is held.
const INTERVAL: Duration = Duration::from_millis(50);

/// A view is held at least as long, whatever it costs: most reads are over by then.
const HELD_MIN: Duration = Duration::from_millis(100);

/// What is kept on one partition for readers of the past.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pinned {
    /// How many views are held.
    pub(crate) views: u64,
    /// How long the oldest has been.
    pub(crate) oldest: Option<Duration>,
    /// Bytes of memory, about, of what only views of the past show.
    pub(crate) bytes: usize,
}

/// Looks after the views that readers hold, as long as there is a grid.
pub(crate) async fn keep(engine: Weak<GridEngine>) {
    loop {
        let Some(held) = engine.upgrade().map(|engine| Arc::clone(&engine.held)) else { return };
        held.any().await;
        drop(held);
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(engine) = engine.upgrade() else { return };
            if engine.held.is_empty() {
                break;
            }
            engine.let_go_of_the_oldest();
        }
    }
}

impl GridEngine {
    /// Lets go of the views that are held longest, where too much is kept for them.
    pub(crate) fn let_go_of_the_oldest(&self) {
        let held = self.held.all();
        let pinned = self.pinned(&held);
        let total: usize = pinned.values().map(|pinned| pinned.bytes).sum();
        if total <= self.pinned_bytes_max {
            return;
        }
        // What those cost that are held about as long cannot be told apart.
        let oldest = held.iter().map(|held| held.age()).max().unwrap_or_default();
        let old = held.iter().filter(|held| held.age() >= HELD_MIN && held.age() >= oldest / 2);
        for held in old.filter(|held| !held.is_newest()) {
            held.let_go(total);
        }
    }

    /// What is kept for readers of the past, by module and partition.
    pub(crate) fn pinned(&self, held: &[Arc<HeldView>]) -> HashMap<(usize, u32), Pinned> {
        let mut all: HashMap<(usize, u32), Pinned> = HashMap::new();
        for held in held {
            let Ok(view) = held.view() else { continue };
            let now = held.shared.published.view_full();
            let pinned = all.entry((held.module, held.shared.partition)).or_default();
            pinned.views += 1;
            pinned.oldest = pinned.oldest.max(Some(held.age()));
            // Of several views, those of one memtable keep it once.
            pinned.bytes = pinned.bytes.max(self.kept(held.module, &view, &now));
        }
        all
    }

    /// What a view keeps that `now` does not show.
    fn kept(&self, module: usize, view: &PartitionView, now: &PartitionView) -> usize {
        let pstates = self.modules[module].plan.pstates.iter().zip(&view.roots).zip(&now.roots);
        let kept = pstates.map(|((pstate, root), now)| {
            let (then, now) = (pstate.codec.changes(&**root), pstate.codec.changes(&**now));
            let known = |id| now.iter().find(|changes| changes.id == id);
            let kept = then.iter().map(|changes| match known(changes.id) {
                Some(now) => now.past,
                None => changes.bytes,
            });
            kept.sum::<usize>()
        });
        kept.sum()
    }
}

impl HeldView {
    /// Whether it keeps nothing that others would not see.
    fn is_newest(&self) -> bool {
        let now = self.shared.published.view();
        self.view().is_ok_and(|view| Arc::ptr_eq(&view, &now))
    }
}
