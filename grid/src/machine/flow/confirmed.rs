//! What partitions of a module have, durably, of what others sent them: all know it of all.

use std::sync::atomic::{AtomicU64, Ordering};

use gridmill_persistence::Position;

use crate::module::Plan;

use super::marks::Watermark;

/// For each partition that is sent to, each topology that sends, and each partition that it sends from: how far
/// the one is, durably, with what the other sent. It goes forward, and outlives actors.
#[derive(Debug)]
pub(crate) struct Confirmed {
    partitions: usize,
    /// By topology of the plan: its place among those that send.
    senders: Vec<Option<usize>>,
    /// How many send.
    count: usize,
    /// Watermarks by target, sender and source.
    marks: Box<[AtomicU64]>,
}

impl Confirmed {
    /// Nothing has come anywhere yet.
    pub(crate) fn new(plan: &Plan, partitions: u32) -> Self {
        let (mut senders, mut count) = (Vec::new(), 0);
        for topology in &plan.topologies {
            senders.push(topology.sends().then_some(count));
            count += usize::from(topology.sends());
        }
        let partitions = partitions as usize;
        let none = || AtomicU64::new(Watermark::NONE.to_bits());
        let marks = std::iter::repeat_with(none).take(partitions * count * partitions).collect();
        Self { partitions, senders, count, marks }
    }

    /// What `source` sent for `topology` to `target` is durable there up to `mark`.
    pub(crate) fn confirm(&self, target: u32, topology: usize, source: u32, mark: Watermark) {
        if let Some(known) = self.mark(target, topology, source) {
            known.fetch_max(mark.to_bits(), Ordering::AcqRel);
        }
    }

    /// How far `target` is, durably, with what `source` sent for `topology`.
    pub(crate) fn get(&self, target: u32, topology: usize, source: u32) -> Watermark {
        let known = self.mark(target, topology, source);
        known.map_or(Watermark::NONE, |known| Watermark::from_bits(known.load(Ordering::Acquire)))
    }

    /// Whether `target` has, durably, everything that a record of `source` sent for `topology`.
    pub(crate) fn has(&self, target: u32, topology: usize, source: u32, cause: Position) -> bool {
        self.get(target, topology, source).has(cause)
    }

    fn mark(&self, target: u32, topology: usize, source: u32) -> Option<&AtomicU64> {
        let sender = (*self.senders.get(topology)?)?;
        let (target, source) = (target as usize, source as usize);
        let is_known = target < self.partitions && source < self.partitions;
        let row = (target * self.count + sender) * self.partitions;
        is_known.then(|| &self.marks[row + source])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::flow::fixtures::{FIRST, PLAIN, SECOND, plan};

    #[test]
    fn each_target_topology_and_source_has_its_own_mark_which_goes_forward() {
        let confirmed = Confirmed::new(&plan(), 3);
        let at = |number| Watermark::after(Position::new(0, number));
        confirmed.confirm(2, SECOND, 1, at(70));
        confirmed.confirm(2, SECOND, 1, at(60));
        assert!(confirmed.has(2, SECOND, 1, Position::new(0, 70)));
        assert!(!confirmed.has(2, SECOND, 1, Position::new(0, 71)));
        for (target, topology, source) in
            [(2, FIRST, 1), (1, SECOND, 1), (2, SECOND, 2), (0, FIRST, 0)]
        {
            assert_eq!(confirmed.get(target, topology, source), Watermark::NONE);
        }
    }

    #[test]
    fn what_sends_nothing_and_who_is_not_there_is_never_confirmed() {
        let confirmed = Confirmed::new(&plan(), 3);
        let mark = Watermark::after(Position::new(0, 5));
        for (target, topology, source) in [(0, PLAIN, 0), (3, FIRST, 0), (0, FIRST, 3), (0, 9, 0)] {
            confirmed.confirm(target, topology, source, mark);
            assert_eq!(confirmed.get(target, topology, source), Watermark::NONE);
        }
    }
}
