//! Numbering what one record sends.

use gridmill_persistence::Position;

/// Gives each record that was sent its place among all that the same cause sent for the same topology to the
/// same partition: its stamp's index. What one record sends for one topology comes without others between.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By target: what was counted last, and how many.
    counts: Vec<(Option<(usize, Position)>, u32)>,
}

impl Places {
    /// The place of the next record that `topology` sends to `target` for `cause`.
    pub(crate) fn next(&mut self, topology: usize, cause: Position, target: u32) -> u32 {
        let target = target as usize;
        if self.counts.len() <= target {
            self.counts.resize(target + 1, (None, 0));
        }
        let of = Some((topology, cause));
        let count = &mut self.counts[target];
        if count.0 != of {
            *count = (of, 0);
        }
        count.1 += 1;
        count.1 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_counts_what_one_cause_sends_for_one_topology() {
        let mut places = Places::default();
        let mut next =
            |topology, cause, target| places.next(topology, Position::START.forward(cause), target);
        let first = [next(0, 0, 2), next(0, 0, 0), next(0, 0, 2), next(0, 0, 2), next(0, 0, 0)];
        assert_eq!(first, [0, 0, 1, 2, 1]);
        assert_eq!([next(1, 0, 2), next(1, 0, 2)], [0, 1], "another topology, the same record");
        assert_eq!([next(0, 1, 2), next(0, 1, 0)], [0, 0], "the next record");
    }
}
