//! What readers of a partition see.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use gridmill_persistence::{LogReader, Position, Run};
use tokio::sync::watch;

use crate::machine::control::Verdict;
use crate::state::AnyView;

/// Everything that a reader of a partition sees, as of one position.
#[derive(Debug, Default)]
pub(crate) struct PartitionView {
    /// Roots by PState.
    pub(crate) roots: Vec<AnyView>,
    /// By topology: whether its roots are those of the live flow.
    pub(crate) live: Vec<bool>,
    /// The position after the last record that it shows.
    pub(crate) end: Position,
    /// What stands in quarantine.
    pub(crate) quarantine: Arc<Vec<Verdict>>,
}

impl PartitionView {
    /// Whether a topology takes part in the live flow.
    pub(crate) fn is_live(&self, topology: usize) -> bool {
        self.live.get(topology).copied().unwrap_or(false)
    }
}

/// The view, the log and the runs that readers see.
#[derive(Debug)]
pub(crate) struct Published {
    view: ArcSwap<PartitionView>,
    reader: ArcSwapOption<LogReader>,
    /// The runs of the live flow, for the figures.
    runs: ArcSwap<Vec<Run>>,
    /// Counts every change that somebody may wait for.
    changed: watch::Sender<u64>,
}

impl Default for Published {
    fn default() -> Self {
        let (view, reader) = (ArcSwap::default(), ArcSwapOption::empty());
        Self { view, reader, runs: ArcSwap::default(), changed: watch::Sender::new(0) }
    }
}

impl Published {
    /// Shows a view in place of the one before.
    pub(crate) fn show(&self, view: Arc<PartitionView>) {
        self.view.store(view);
    }

    /// The latest view.
    #[inline]
    pub(crate) fn view(&self) -> Guard<Arc<PartitionView>> {
        self.view.load()
    }

    /// The latest view, to be kept for more than one read.
    pub(crate) fn view_full(&self) -> Arc<PartitionView> {
        self.view.load_full()
    }

    /// Shows all PStates of `view` but the first: a fault that can be planted.
    pub(crate) fn show_half(&self, view: &PartitionView) {
        let shown = self.view.load();
        let mut roots = view.roots.clone();
        if let (Some(first), Some(old)) = (roots.first_mut(), shown.roots.first()) {
            *first = Arc::clone(old);
        }
        let (live, quarantine) = (view.live.clone(), Arc::clone(&view.quarantine));
        let end = view.end;
        self.show(Arc::new(PartitionView { roots, live, end, quarantine }));
    }

    /// The log, once it is open.
    pub(crate) fn reader(&self) -> Option<Arc<LogReader>> {
        self.reader.load_full()
    }

    pub(crate) fn show_log(&self, reader: LogReader) {
        self.reader.store(Some(Arc::new(reader)));
    }

    /// The position after the last record that readers may see.
    pub(crate) fn log_end(&self) -> Position {
        self.reader.load().as_ref().map_or(Position::START, |reader| reader.end())
    }

    pub(crate) fn runs(&self) -> Guard<Arc<Vec<Run>>> {
        self.runs.load()
    }

    pub(crate) fn show_runs(&self, runs: Vec<Run>) {
        self.runs.store(Arc::new(runs));
    }

    /// Wakes those who wait for a change.
    pub(crate) fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
