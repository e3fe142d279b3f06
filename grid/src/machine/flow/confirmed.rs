//! How far targets have made durable what was sent to them; read by the partitions that sent it.

use dashmap::DashMap;

use super::marks::Watermark;

/// For all partitions of a module, what has been confirmed. It outlives their restarts.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    /// By target, topology and source.
    marks: DashMap<(u32, usize, u32), Watermark>,
}

impl Confirmed {
    /// The target has made durable what is before `mark`. Marks do not go back.
    pub(crate) fn confirm(&self, target: u32, topology: usize, source: u32, mark: Watermark) {
        let mut known = self.marks.entry((target, topology, source)).or_default();
        *known = (*known).max(mark);
    }

    /// How far the target has made durable what the source sent.
    pub(crate) fn get(&self, target: u32, topology: usize, source: u32) -> Watermark {
        self.marks.get(&(target, topology, source)).map(|mark| *mark).unwrap_or_default()
    }
}
