//! The order of a memtable's keys, made when somebody asks for it.
//!
//! It is a few lists of sorted versions, newest first, of which the newest that knows a key counts.
//! The next cut's order is that of the cut before with a list of what was written between them, so
//! that a reader of ranges pays for each version O(log n) times, however often batches come.

use std::cmp::Ordering;
use std::sync::Arc;

use gridmill_model::State;

use super::super::order::sorted;
use super::blocks::{Blocks, Spot};
use super::{Cut, Memtable};

/// Lists of sorted versions, newest first.
pub(super) type Order = Vec<Arc<[Spot]>>;

/// Lists are merged while the older one is less than this many times longer.
const MERGE_RATIO: usize = 3;

impl<V: State> Cut<V> {
    /// The entries in the order of their keys, as a few sorted lists, newest first; where two have a
    /// key, the newer one counts.
    pub(crate) fn sorted(&self) -> &[Arc<[Spot]>] {
        self.order.get_or_init(|| {
            let mut latest = self.table.order.lock();
            let order = match &*latest {
                Some((last, order)) if *last <= self.last => {
                    self.table.extend_order(order, *last, self.last)
                }
                // A cut that is older than the one that was asked last has no use for its order.
                Some(_) => return vec![self.sort_all()],
                None => vec![self.sort_all()],
            };
            *latest = Some((self.last, order.clone()));
            order
        })
    }

    /// The newest version of every entry in the order of the keys, where nothing was or will be added
    /// after this cut.
    pub(crate) fn sorted_for_good(&self) -> Vec<Spot> {
        let newest = self.table.blocks.newest(self.last);
        let (spots, keys): (Vec<Spot>, Vec<&[u8]>) =
            newest.map(|(spot, version)| (spot, version.key())).unzip();
        sort_by(&spots, &keys)
    }

    /// The newest version that it sees of every entry in the order of the keys.
    fn sort_all(&self) -> Arc<[Spot]> {
        let spots: Vec<Spot> = self.live().collect();
        sort(&self.table.blocks, &spots).into()
    }
}

impl<V: State> Memtable<V> {
    /// The order of the cut of block `last`, from that of the cut of block `known`.
    fn extend_order(&self, order: &Order, known: u32, last: u32) -> Order {
        let blocks = &self.blocks;
        let block = |number| (0..blocks.block(number).len()).map(move |i| Spot::new(number, i));
        let written: Vec<Spot> = (known + 1..=last).rev().flat_map(block).flatten().collect();
        if written.is_empty() {
            return order.clone();
        }
        let mut top: Arc<[Spot]> = sort(blocks, &written).into();
        let mut rest = order.as_slice();
        while let [next, older @ ..] = rest
            && next.len() < MERGE_RATIO * top.len()
        {
            top = merge(blocks, &top, next).into();
            rest = older;
        }
        std::iter::once(top).chain(rest.iter().cloned()).collect()
    }
}

/// Sorts by key; of one key's versions the first one stays.
fn sort<V: State>(blocks: &Blocks<V>, spots: &[Spot]) -> Vec<Spot> {
    let keys: Vec<&[u8]> = spots.iter().map(|spot| blocks.get(*spot).key()).collect();
    sort_by(spots, &keys)
}

fn sort_by(spots: &[Spot], keys: &[&[u8]]) -> Vec<Spot> {
    let mut order = sorted(keys).into_vec();
    order.dedup_by_key(|number| keys[*number as usize]);
    order.into_iter().map(|number| spots[number as usize]).collect()
}

/// Merges sorted lists; of one key's versions that of `newer` stays.
fn merge<V: State>(blocks: &Blocks<V>, newer: &[Spot], older: &[Spot]) -> Vec<Spot> {
    let key = |spot: &Spot| blocks.get(*spot).key();
    let mut merged = Vec::with_capacity(newer.len() + older.len());
    let (mut new, mut old) = (newer, older);
    while let ([next, news @ ..], [prior, olds @ ..]) = (new, old) {
        match key(next).cmp(key(prior)) {
            Ordering::Less => {
                merged.push(*next);
                new = news;
            }
            Ordering::Greater => {
                merged.push(*prior);
                old = olds;
            }
            Ordering::Equal => old = olds,
        }
    }
    merged.extend_from_slice(new);
    merged.extend_from_slice(old);
    merged
}
