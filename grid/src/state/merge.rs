//! One ordered walk over several layers, from both ends: the newest layer wins, removed keys are
//! left out.

use std::ops::Bound;

use gridmill_model::engine::{Damaged, Found};
use gridmill_model::{KeyBytes, Ref, State};
use gridmill_persistence::{Run, RunRange, Slot};

use super::layers::found;
use super::memtable::{MemtableView, Spot};
use super::table::damaged;

/// A key and what one layer says of it.
enum Peeked<'a, V> {
    Touched(&'a [u8], &'a Option<V>),
    Entry(&'a [u8], Option<V>),
    Cold(&'a [u8], Slot<'a>),
    Failed(Damaged),
}

impl<'a, V: State> Peeked<'a, V> {
    /// Failures sort before every key from either end, so that they surface at once.
    fn key(&self) -> Option<&'a [u8]> {
        match self {
            Self::Touched(key, _) | Self::Entry(key, _) | Self::Cold(key, _) => Some(key),
            Self::Failed(_) => None,
        }
    }
}

enum Cursor<'a, V> {
    Entries(&'a MemtableView<V>, std::slice::Iter<'a, Spot>),
    Touched(std::vec::IntoIter<(&'a [u8], &'a Option<V>)>),
    Run(&'a Run, Box<RunRange<'a>>),
}

impl<'a, V: State> Cursor<'a, V> {
    fn next(&mut self, back: bool) -> Option<Peeked<'a, V>> {
        match self {
            Self::Entries(cut, iter) => loop {
                let entry = cut.entry(*if back { iter.next_back() } else { iter.next() }?);
                // Some were added after the cut.
                if let Some(value) = cut.read(entry, |value| value.cloned()) {
                    return Some(Peeked::Entry(entry.key(), value));
                }
            },
            Self::Touched(iter) => {
                let (key, value) = if back { iter.next_back() } else { iter.next() }?;
                Some(Peeked::Touched(key, value))
            }
            Self::Run(_, iter) => Some(match if back { iter.next_back() } else { iter.next() }? {
                Ok((key, slot)) => Peeked::Cold(key, slot),
                Err(error) => Peeked::Failed(damaged(error)),
            }),
        }
    }
}

/// One layer of a [`MergedRange`].
pub(crate) struct Source<'a, V> {
    cursor: Cursor<'a, V>,
    front: Option<Peeked<'a, V>>,
    back: Option<Peeked<'a, V>>,
}

impl<'a, V: State> Source<'a, V> {
    fn new(cursor: Cursor<'a, V>) -> Self {
        Self { cursor, front: None, back: None }
    }

    /// Sorted entries of a memtable.
    pub(crate) fn entries(
        cut: &'a MemtableView<V>,
        sorted: &'a [Spot],
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Self {
        let key = |spot: &Spot| cut.entry(*spot).key();
        let start = sorted.partition_point(|spot| before(key(spot), from));
        let end = sorted.partition_point(|spot| !after(key(spot), to)).max(start);
        Self::new(Cursor::Entries(cut, sorted[start..end].iter()))
    }

    /// Entries that the running batch touched, in any order.
    pub(crate) fn touched(
        entries: impl Iterator<Item = (&'a [u8], &'a Option<V>)>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Self {
        let inside = |key: &[u8]| !before(key, from) && !after(key, to);
        let mut entries: Vec<_> = entries.filter(|(key, _)| inside(key)).collect();
        entries.sort_unstable_by_key(|&(key, _)| key);
        Self::new(Cursor::Touched(entries.into_iter()))
    }

    pub(crate) fn run(run: &'a Run, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        Self::new(Cursor::Run(run, Box::new(run.range(from, to))))
    }

    /// A run whose values are not read before they are asked for.
    pub(crate) fn unread(run: &'a Run, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        Self::new(Cursor::Run(run, Box::new(run.range(from, to).unread())))
    }

    /// The next entry from one end. An entry that the other end looked at already still counts.
    fn peek(&mut self, back: bool) -> Option<&Peeked<'a, V>> {
        let (near, far) = if back {
            (&mut self.back, &mut self.front)
        } else {
            (&mut self.front, &mut self.back)
        };
        if near.is_none() {
            *near = self.cursor.next(back).or_else(|| far.take());
        }
        near.as_ref()
    }

    fn take(&mut self, back: bool) -> Option<Peeked<'a, V>> {
        if back { self.back.take() } else { self.front.take() }
    }
}

fn before(key: &[u8], from: Bound<&[u8]>) -> bool {
    match from {
        Bound::Included(from) => key < from,
        Bound::Excluded(from) => key <= from,
        Bound::Unbounded => false,
    }
}

fn after(key: &[u8], to: Bound<&[u8]>) -> bool {
    match to {
        Bound::Included(to) => key > to,
        Bound::Excluded(to) => key >= to,
        Bound::Unbounded => false,
    }
}

/// The entries of several layers in key order, newest layer first in `sources`.
pub(crate) struct MergedRange<'a, V> {
    sources: Vec<Source<'a, V>>,
    failed: bool,
}

impl<'a, V: State> MergedRange<'a, V> {
    pub(crate) fn new(sources: Vec<Source<'a, V>>) -> Self {
        Self { sources, failed: false }
    }

    /// The entry at one end: the newest layer's word on the nearest key.
    fn pull(&mut self, back: bool) -> Option<(usize, Peeked<'a, V>)> {
        let mut best: Option<(usize, Option<&'a [u8]>)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            let Some(key) = source.peek(back).map(Peeked::key) else { continue };
            let nearer = match best {
                None => true,
                Some((_, held)) => key.is_none() || (held.is_some() && nearer(key, held, back)),
            };
            if nearer {
                best = Some((index, key));
            }
        }
        let (winner, key) = best?;
        let entry = self.sources[winner].take(back)?;
        for source in &mut self.sources[winner + 1..] {
            if key.is_some() && source.peek(back).is_some_and(|peeked| peeked.key() == key) {
                source.take(back);
            }
        }
        Some((winner, entry))
    }

    fn step(&mut self, back: bool) -> Option<Result<(KeyBytes, Found<'a, V>), Damaged>> {
        while !self.failed {
            let (source, entry) = self.pull(back)?;
            let found = match entry {
                Peeked::Touched(_, None)
                | Peeked::Entry(_, None)
                | Peeked::Cold(_, Slot::Deleted) => continue,
                Peeked::Touched(key, Some(value)) => {
                    Ok((KeyBytes::from_slice(key), Found::Live(value)))
                }
                Peeked::Entry(key, Some(value)) => {
                    Ok((KeyBytes::from_slice(key), Found::Made(value)))
                }
                Peeked::Cold(key, Slot::Value(bytes)) => {
                    self.found(source, bytes).map(|value| (KeyBytes::from_slice(key), value))
                }
                Peeked::Failed(damage) => Err(damage),
            };
            self.failed = found.is_err();
            return Some(found);
        }
        None
    }

    fn found(&self, source: usize, bytes: &'a [u8]) -> Result<Found<'a, V>, Damaged> {
        match &self.sources[source].cursor {
            Cursor::Run(run, _) => found(run, bytes),
            Cursor::Entries(..) | Cursor::Touched(_) => {
                unreachable!("only runs hold cold entries")
            }
        }
    }
}

fn nearer(key: Option<&[u8]>, held: Option<&[u8]>, back: bool) -> bool {
    if back { key > held } else { key < held }
}

/// An entry with its value lent or decoded.
fn lent<V: State>(
    entry: Result<(KeyBytes, Found<'_, V>), Damaged>,
) -> Result<(KeyBytes, Ref<'_, V>), Damaged> {
    let (key, value) = entry?;
    Ok((key, value.into_ref()?))
}

impl<'a, V: State> Iterator for MergedRange<'a, V> {
    type Item = Result<(KeyBytes, Ref<'a, V>), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(false).map(lent)
    }
}

impl<V: State> DoubleEndedIterator for MergedRange<'_, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true).map(lent)
    }
}

/// A [`MergedRange`] whose values are left where they lie.
pub(crate) struct MergedScan<'a, V>(MergedRange<'a, V>);

impl<'a, V: State> MergedScan<'a, V> {
    pub(crate) fn new(sources: Vec<Source<'a, V>>) -> Self {
        Self(MergedRange::new(sources))
    }
}

impl<'a, V: State> Iterator for MergedScan<'a, V> {
    type Item = Result<(KeyBytes, Found<'a, V>), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(false)
    }
}

impl<V: State> DoubleEndedIterator for MergedScan<'_, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.step(true)
    }
}
