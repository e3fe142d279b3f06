//! Fetching the entries that a batch will look at while records before them are handled.

use gridmill_model::RouteKey;

use crate::state::Fetch;

use super::states::Cells;

/// Records that are looked at together.
pub(super) const STEP: usize = 16;

/// What to fetch, and how many steps before it is used: each needs the one before.
const STAGES: [(Fetch, usize); 3] = [(Fetch::Index, 3), (Fetch::Slot, 2), (Fetch::Value, 1)];

/// The hashes under which the records of a run will probably look for entries: PStates are mostly kept
/// under the key that their depot is partitioned by. A wrong guess costs little.
pub(super) struct Lookahead {
    hashes: Vec<u64>,
    /// How far each stage is.
    fetched: [usize; STAGES.len()],
}

impl Lookahead {
    /// For these records. Where there is but one, or no key, there is nothing to look ahead at.
    pub(super) fn new<E>(events: &[Option<E>], key: Option<fn(&E) -> RouteKey>) -> Self {
        let key = key.filter(|_| events.len() > 1);
        Self::of(events.iter().map_while(|event| Some(key?(event.as_ref()?).hash())))
    }

    /// For entries with these hashes, in this order.
    pub(super) fn of(hashes: impl Iterator<Item = u64>) -> Self {
        Self { hashes: hashes.collect(), fetched: [0; STAGES.len()] }
    }

    /// The record, or the key of one, with this index is next.
    #[inline]
    pub(super) fn at(&mut self, index: usize, cells: &mut Cells, states: &[usize]) {
        if index.is_multiple_of(STEP) && index < self.hashes.len() {
            self.step(index, cells, states);
        }
    }

    fn step(&mut self, index: usize, cells: &mut Cells, states: &[usize]) {
        for ((fetch, steps), fetched) in STAGES.iter().zip(&mut self.fetched) {
            let end = self.hashes.len().min(index + (steps + 1) * STEP);
            for &state in states {
                cells.0[state].0.fetch(&self.hashes[*fetched..end], *fetch);
            }
            *fetched = end;
        }
    }
}
