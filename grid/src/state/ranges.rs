//! Ranges of keys that are watched: which of them have a key.

use std::sync::Arc;

use gridmill_model::KeyBytes;
use gridmill_model::path::{Edge, KeyRange};

use super::marks::ScopeId;

/// Ranges, sorted by where they start.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    ranges: Vec<RangeMark>,
    /// The furthest end of each range and those before it; `None` where one is open. Behind a range of which that is before
    /// a key, none has the key.
    furthest: Vec<Option<KeyBytes>>,
    /// `furthest` is of other ranges than there are now.
    stale: bool,
}

#[derive(Debug)]
struct RangeMark {
    range: Arc<KeyRange>,
    scope: ScopeId,
    /// The round in which it was touched last.
    hit: u64,
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn enter(&mut self, scope: ScopeId, range: &Arc<KeyRange>) {
        self.ranges.push(RangeMark { range: Arc::clone(range), scope, hit: 0 });
        self.stale = true;
    }

    pub(crate) fn leave(&mut self, scope: ScopeId) {
        self.ranges.retain(|mark| mark.scope != scope);
        self.stale = true;
    }

    /// A key was touched.
    pub(crate) fn touch(&mut self, key: &[u8], round: u64, hits: &mut Vec<ScopeId>) {
        if std::mem::take(&mut self.stale) {
            self.sort();
        }
        let after = self.ranges.partition_point(|mark| start(&mark.range) <= key);
        for at in (0..after).rev() {
            if self.furthest[at].as_ref().is_some_and(|end| end.as_slice() < key) {
                break;
            }
            let mark = &mut self.ranges[at];
            if mark.hit != round && contains(&mark.range, key) {
                mark.hit = round;
                hits.push(mark.scope);
            }
        }
    }

    /// All keys were touched.
    pub(crate) fn touch_all(&mut self, round: u64, hits: &mut Vec<ScopeId>) {
        for mark in self.ranges.iter_mut().filter(|mark| mark.hit != round) {
            mark.hit = round;
            hits.push(mark.scope);
        }
    }

    /// Once for all that came and went since a key was touched.
    fn sort(&mut self) {
        self.ranges.sort_by(|one, other| start(&one.range).cmp(start(&other.range)));
        let mut furthest = Some(KeyBytes::new());
        self.furthest.clear();
        for mark in &self.ranges {
            furthest = match (furthest, &mark.range.to) {
                (None, _) | (_, Edge::Open) => None,
                (Some(so_far), Edge::Including(end) | Edge::Excluding(end)) => {
                    Some(so_far.max(end.clone()))
                }
            };
            self.furthest.push(furthest.clone());
        }
    }
}

/// The least key that the range may have, or one before it.
fn start(range: &KeyRange) -> &[u8] {
    match &range.from {
        Edge::Open => &[],
        Edge::Including(from) | Edge::Excluding(from) => from,
    }
}

/// Whether a range has a key.
pub(crate) fn contains(range: &KeyRange, key: &[u8]) -> bool {
    let above = match &range.from {
        Edge::Open => true,
        Edge::Including(from) => key >= from.as_slice(),
        Edge::Excluding(from) => key > from.as_slice(),
    };
    let below = match &range.to {
        Edge::Open => true,
        Edge::Including(to) => key <= to.as_slice(),
        Edge::Excluding(to) => key < to.as_slice(),
    };
    above && below
}
