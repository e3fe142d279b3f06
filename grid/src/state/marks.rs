//! Which entries of a root are watched: what the writer asks of each entry that a batch touched.
//!
//! A bit says that a key is not watched, which is what most touched keys are: a bitmap of at least 16 bits for each
//! watched key has an answer in a few nanoseconds, and lets one in sixteen go on to the table. Watches of ranges and of
//! all entries cost something only where there are such.

use gridmill_client::engine::Scope;
use gridmill_model::KeyBytes;
use gridmill_persistence::run::hash_key;
use hashbrown::HashTable;

use super::ranges::Ranges;

/// The number of what is watched, of all PStates of a partition. No number is given twice.
pub(crate) type ScopeId = u64;

/// Something is watched from now on, or no longer.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// The PState's number in its module.
    pub(crate) pstate: usize,
    pub(crate) scope: ScopeId,
    pub(crate) what: Scope,
    /// Whether it is watched from now on.
    pub(crate) enters: bool,
}

/// The fewest bits of a bitmap.
const BITS_MIN: usize = 1 << 13;

/// How many bits there are for each watched key.
const BITS_A_KEY: usize = 16;

/// Which entries of one root are watched.
#[derive(Debug)]
pub(crate) struct Marks {
    /// A power of two of bits, by the hash of a key.
    bits: Vec<u64>,
    keys: HashTable<KeyMark>,
    /// Bits of keys that are not watched any more are set still: of so many.
    gone: usize,
    ranges: Ranges,
    roots: Vec<ScopeId>,
    /// What was touched since somebody asked.
    hits: Vec<ScopeId>,
    /// All of `roots` are among them.
    roots_hit: bool,
    /// Counts how often somebody asked.
    round: u64,
}

#[derive(Debug)]
struct KeyMark {
    hash: u64,
    key: KeyBytes,
    scope: ScopeId,
    /// The round in which it was touched last.
    hit: u64,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            bits: vec![0; BITS_MIN / 64],
            keys: HashTable::new(),
            gone: 0,
            ranges: Ranges::default(),
            roots: Vec::new(),
            hits: Vec::new(),
            roots_hit: false,
            round: 1,
        }
    }
}

impl Marks {
    /// Whether nothing is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty() && self.roots.is_empty()
    }

    /// From now on that is watched.
    pub(crate) fn enter(&mut self, scope: ScopeId, what: &Scope) {
        // It may have been entered with all others when a life began.
        self.leave(scope, what);
        match what {
            Scope::Keys(keys) => keys.iter().for_each(|key| self.enter_key(scope, key)),
            Scope::Range(range) => self.ranges.enter(scope, range),
            Scope::Root => self.roots.push(scope),
        }
    }

    /// It is not watched any more.
    pub(crate) fn leave(&mut self, scope: ScopeId, what: &Scope) {
        match what {
            Scope::Keys(keys) => keys.iter().for_each(|key| self.leave_key(scope, key)),
            Scope::Range(_) => self.ranges.leave(scope),
            Scope::Root => self.roots.retain(|root| *root != scope),
        }
    }

    fn enter_key(&mut self, scope: ScopeId, key: &KeyBytes) {
        let hash = hash_key(key);
        let mark = KeyMark { hash, key: key.clone(), scope, hit: 0 };
        self.keys.insert_unique(hash, mark, |mark| mark.hash);
        let wanted = (self.keys.len() + self.gone) * BITS_A_KEY;
        if wanted > self.bits.len() * 64 {
            self.set_bits();
        } else {
            let (word, bit) = self.place(hash);
            self.bits[word] |= bit;
        }
    }

    fn leave_key(&mut self, scope: ScopeId, key: &KeyBytes) {
        let hash = hash_key(key);
        let found = self.keys.find_entry(hash, |mark| mark.scope == scope && mark.key == *key);
        if let Ok(entry) = found {
            entry.remove();
            self.gone += 1;
            if self.gone > self.keys.len() + BITS_MIN / BITS_A_KEY {
                self.set_bits();
            }
        }
    }

    /// Makes the bitmap anew, of what is watched now.
    fn set_bits(&mut self) {
        self.gone = 0;
        let bits = (self.keys.len() * 2 * BITS_A_KEY).next_power_of_two().max(BITS_MIN);
        self.bits = vec![0; bits / 64];
        let hashes: Vec<u64> = self.keys.iter().map(|mark| mark.hash).collect();
        for hash in hashes {
            let (word, bit) = self.place(hash);
            self.bits[word] |= bit;
        }
    }

    /// Where the bit of a key is.
    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        // The upper half: the table, and the index of a memtable, go by the lower.
        let bit = (hash >> 32) as usize & (self.bits.len() * 64 - 1);
        (bit / 64, 1 << (bit % 64))
    }

    /// An entry was touched.
    #[inline]
    pub(crate) fn touch(&mut self, hash: u64, key: &[u8]) {
        let (word, bit) = self.place(hash);
        if self.bits[word] & bit != 0 {
            self.touch_key(hash, key);
        }
        if !self.roots.is_empty() {
            self.touch_roots();
        }
        if !self.ranges.is_empty() {
            self.ranges.touch(key, self.round, &mut self.hits);
        }
    }

    fn touch_key(&mut self, hash: u64, key: &[u8]) {
        let Self { keys, hits, round, .. } = self;
        for mark in keys.iter_hash_mut(hash) {
            if mark.hit != *round && mark.key.as_slice() == key {
                mark.hit = *round;
                hits.push(mark.scope);
            }
        }
    }

    fn touch_roots(&mut self) {
        if !std::mem::replace(&mut self.roots_hit, true) {
            self.hits.extend(&self.roots);
        }
    }

    /// All entries were touched.
    pub(crate) fn touch_all(&mut self) {
        self.touch_roots();
        let Self { keys, ranges, hits, round, .. } = self;
        for mark in keys.iter_mut().filter(|mark| mark.hit != *round) {
            mark.hit = *round;
            hits.push(mark.scope);
        }
        ranges.touch_all(*round, hits);
    }

    /// Takes out what was touched since this was asked last; of several keys of one watch, some more than once.
    pub(crate) fn take_hits(&mut self, into: &mut Vec<ScopeId>) {
        if !self.hits.is_empty() {
            into.append(&mut self.hits);
            self.round += 1;
            self.roots_hit = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Bound;
    use std::sync::Arc;

    use gridmill_model::path::{Edge, KeyRange};
    use proptest::prelude::*;

    use super::*;

    fn key(number: u16) -> KeyBytes {
        KeyBytes::from_slice(&number.to_be_bytes())
    }

    fn keys(numbers: &[u16]) -> Scope {
        Scope::Keys(numbers.iter().map(|number| key(*number)).collect())
    }

    fn edge(bound: Bound<u16>) -> Edge {
        match bound {
            Bound::Unbounded => Edge::Open,
            Bound::Included(number) => Edge::Including(key(number)),
            Bound::Excluded(number) => Edge::Excluding(key(number)),
        }
    }

    fn range(from: Bound<u16>, to: Bound<u16>) -> Scope {
        let (from, to) = (edge(from), edge(to));
        Scope::Range(Arc::new(KeyRange { from, to, limit: None, keep_last: false }))
    }

    fn hits(marks: &mut Marks, touched: &[u16]) -> Vec<ScopeId> {
        for number in touched {
            let key = key(*number);
            marks.touch(hash_key(&key), &key);
        }
        let mut hits = Vec::new();
        marks.take_hits(&mut hits);
        hits.sort_unstable();
        hits
    }

    #[test]
    fn what_is_watched_is_hit_once_a_round() {
        let mut marks = Marks::default();
        marks.enter(1, &keys(&[5]));
        marks.enter(2, &keys(&[5, 6]));
        marks.enter(3, &Scope::Root);
        marks.enter(4, &range(Bound::Included(6), Bound::Excluded(9)));
        assert_eq!(hits(&mut marks, &[5, 5, 5]), [1, 2, 3]);
        assert_eq!(hits(&mut marks, &[8, 8, 7]), [3, 4]);
        assert_eq!(hits(&mut marks, &[]), []);
        marks.leave(1, &keys(&[5]));
        marks.leave(3, &Scope::Root);
        assert_eq!(hits(&mut marks, &[5, 9]), [2]);
        marks.touch_all();
        assert_eq!(hits(&mut marks, &[6]), [2, 2, 4]);
        marks.leave(2, &keys(&[5, 6]));
        marks.leave(4, &range(Bound::Included(6), Bound::Excluded(9)));
        assert!(marks.is_empty() && hits(&mut marks, &[5, 6, 7]).is_empty());
    }

    fn bound() -> impl Strategy<Value = Bound<u16>> {
        prop_oneof![
            Just(Bound::Unbounded),
            (0..400_u16).prop_map(Bound::Included),
            (0..400_u16).prop_map(Bound::Excluded),
        ]
    }

    fn scope() -> impl Strategy<Value = Scope> {
        prop_oneof![
            4 => prop::collection::vec(0..400_u16, 1..3).prop_map(|numbers| keys(&numbers)),
            2 => (bound(), bound()).prop_map(|(from, to)| range(from, to)),
            1 => Just(Scope::Root),
        ]
    }

    fn is_hit(scope: &Scope, touched: &[u16]) -> bool {
        touched.iter().map(|number| key(*number)).any(|touched| match scope {
            Scope::Keys(keys) => keys.contains(&touched),
            Scope::Range(range) => super::super::ranges::contains(range, &touched),
            Scope::Root => true,
        })
    }

    proptest! {
        #[test]
        fn touches_hit_what_watches_them(
            scopes in prop::collection::vec(scope(), 1..700),
            rounds in prop::collection::vec(
                (prop::collection::vec(0..420_u16, 0..20), prop::collection::vec(any::<prop::sample::Index>(), 0..90)),
                1..8,
            ),
        ) {
            let mut marks = Marks::default();
            let mut there: BTreeSet<usize> = (0..scopes.len()).collect();
            scopes.iter().enumerate().for_each(|(number, scope)| marks.enter(number as u64, scope));
            for (touched, changed) in rounds {
                let mut got = hits(&mut marks, &touched);
                got.dedup();
                let is_hit = |number: &&usize| is_hit(&scopes[**number], &touched);
                let expected: Vec<u64> = there.iter().filter(is_hit).map(|it| *it as u64).collect();
                prop_assert_eq!(got, expected);
                for index in changed {
                    let number = index.index(scopes.len());
                    if there.remove(&number) {
                        marks.leave(number as u64, &scopes[number]);
                    } else {
                        there.insert(number);
                        marks.enter(number as u64, &scopes[number]);
                    }
                }
            }
        }
    }
}
