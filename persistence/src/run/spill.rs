//! What a writer remembers of its entries until the index is written: all of it in memory while they are few,
//! in a file beside the run when they are many.
//!
//! The index of many entries is put together slice by slice. Entries are parted by the top bits of their
//! prints into streams as they come, and because buckets follow one another as prints do, each stream
//! fills one slice of the buckets. The bytes are those that filing all entries in the order of their keys
//! gives: a bucket takes the first that come to it, whether from home or from the bucket before, so that
//! what moves on from one slice to the next has to be filed among that one's own, by location.
//!
//! What moves on is held in memory: next to nothing, unless somebody chose keys for their hashes. Such keys
//! take long to file and to find in any index of this form, however it is put together.

#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::index::{LOCATION_MAX, Moving, Print, Shape, Slice};
use super::side::{Queue, Side};
use super::sink::Sink;
use crate::Storage;

/// How much is remembered in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryLimits {
    /// So many entries, as long as there are not more.
    entries: usize,
    /// Bytes of a stream when there are: whole records.
    stream: usize,
    /// Bytes of marks, of fences, and of where these begin.
    list: usize,
}

impl MemoryLimits {
    /// 2 MiB of words, which become as much index; or 2 MiB of streams, which are written two pages at a
    /// time. The marks of all entries that are kept fit into a list.
    pub(super) const USUAL: Self =
        Self { entries: 256 << 10, stream: 8192 / RECORD * RECORD, list: 256 << 10 };

    /// So little that all but the last bytes lie in the file.
    #[cfg(test)]
    pub(super) const NONE: Self = Self { entries: 0, stream: 2 * RECORD, list: 16 };
}

/// Bits of a word that hold an entry's length in locations; the others hold its print.
const LENGTH_BITS: u32 = 24;

/// Streams, and slices of the index: one for each value of the top bits of a print.
const STREAMS: u64 = 1 << STREAM_BITS;
const STREAM_BITS: u32 = 8;

/// Length of an entry's record in a stream: 40 bits of location, 40 bits of print.
const RECORD: usize = 10;

/// Marks, fences and entries, in the order in which they came.
pub(super) struct Remembered {
    side: Side,
    room: MemoryLimits,
    /// One word an entry: 40 bits of its key's hash, and how far it is to the next location. The
    /// location follows from those before it, so that the index costs 8 bytes an entry to prepare.
    words: Vec<u64>,
    /// In place of the words, when these are too many.
    streams: Vec<Queue>,
    /// Where the next entry of the streams is.
    location: u64,
    marks: Queue,
    fence_starts: Queue,
    fences: Queue,
}

impl Remembered {
    /// Nothing yet. `path` is for a file that is made when `room` does not do; about `hint` entries will
    /// come.
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        path: PathBuf,
        room: MemoryLimits,
        hint: u64,
    ) -> Self {
        Self {
            side: Side::new(storage, path),
            room,
            words: Vec::with_capacity(hint.min(room.entries as u64) as usize),
            streams: Vec::new(),
            location: 0,
            marks: Queue::new(room.list),
            fence_starts: Queue::new(room.list),
            fences: Queue::new(room.list),
        }
    }

    /// The next entry, and how far it is from its location to that of the one after it.
    #[inline]
    pub(super) fn add(&mut self, print: Print, length: u64) -> io::Result<()> {
        debug_assert!((1..1 << LENGTH_BITS).contains(&length), "no entry is {length} long");
        if self.words.len() < self.room.entries && self.streams.is_empty() {
            self.words.push(print.bits() << LENGTH_BITS | length);
            return Ok(());
        }
        if self.streams.is_empty() {
            self.part_words()?;
        }
        self.add_to_stream(print, length)
    }

    /// Brings the words to where they would be if there had been streams from the start.
    #[cold]
    fn part_words(&mut self) -> io::Result<()> {
        self.streams = (0..STREAMS).map(|_| Queue::new(self.room.stream)).collect();
        let words = std::mem::take(&mut self.words);
        let mut words = words.iter().map(|word| parts(*word));
        words.try_for_each(|(print, length)| self.add_to_stream(print, length))
    }

    fn add_to_stream(&mut self, print: Print, length: u64) -> io::Result<()> {
        let record = record(print, self.location);
        self.location += length;
        let stream = &mut self.streams[stream_of(print)];
        stream.put(&mut self.side, &record)
    }

    /// Where a group of loose entries begins.
    pub(super) fn mark(&mut self, at: u64) -> io::Result<()> {
        self.marks.put(&mut self.side, &at.to_le_bytes())
    }

    /// The first key of a group that gets a fence.
    pub(super) fn fence(&mut self, group: u64, key: &[u8]) -> io::Result<()> {
        let start = self.fences.len().to_le_bytes();
        self.fence_starts.put(&mut self.side, &start)?;
        let len = (key.len() as u16).to_le_bytes();
        let record: [&[u8]; 3] = [&group.to_le_bytes(), &len, key];
        record.iter().try_for_each(|bytes| self.fences.put(&mut self.side, bytes))
    }

    /// How many fences there are.
    pub(super) fn fence_count(&self) -> u64 {
        self.fence_starts.len() / 8
    }

    pub(super) fn put_marks(&self, sink: &mut Sink) -> io::Result<()> {
        self.marks.each(&self.side, |bytes| sink.put(bytes))
    }

    /// Where each fence begins, and then the fences.
    pub(super) fn put_fences(&self, sink: &mut Sink) -> io::Result<()> {
        let fences_at = sink.position() + self.fence_starts.len();
        self.fence_starts.each(&self.side, |starts| {
            let mut starts = starts.as_chunks().0.iter().map(|start| u64::from_le_bytes(*start));
            starts.try_for_each(|start| sink.put(&(fences_at + start).to_le_bytes()))
        })?;
        self.fences.each(&self.side, |bytes| sink.put(bytes))
    }

    /// Gives the room on the disk back: all is written.
    pub(super) fn let_go(&mut self) {
        self.side.remove();
    }

    /// The index of all entries, of which there are so many.
    pub(super) fn put_index(&self, sink: &mut Sink, shape: Shape, entries: u64) -> io::Result<()> {
        assert_eq!(self.entries(), entries, "each entry was remembered, once");
        let buckets = shape.buckets(entries);
        if self.streams.is_empty() {
            return sink.put(self.whole_index(shape, buckets).bytes());
        }
        Slices { side: &self.side, streams: &self.streams, shape, buckets }.put(sink)
    }

    fn entries(&self) -> u64 {
        let streamed: u64 = self.streams.iter().map(Queue::len).sum();
        self.words.len() as u64 + streamed / RECORD as u64
    }

    fn whole_index(&self, shape: Shape, buckets: u64) -> Slice {
        let mut index = Slice::new(shape, 0..buckets);
        let mut location = 0;
        for (print, length) in self.words.iter().map(|word| parts(*word)) {
            let mut next = index.file(Moving::home(print, location, buckets));
            // An index has more slots than entries: somewhere from the first bucket on there is room.
            while let Some(moving) = next {
                next = index.file(moving.wrapped());
            }
            location += length;
        }
        index
    }
}

/// The print and the length in a word.
#[inline]
fn parts(word: u64) -> (Print, u64) {
    (Print::from_bits(word >> LENGTH_BITS), word & ((1 << LENGTH_BITS) - 1))
}

/// The stream of a print: its top bits.
#[inline]
fn stream_of(print: Print) -> usize {
    (print.bits() >> (40 - STREAM_BITS)) as usize
}

#[inline]
fn record(print: Print, location: u64) -> [u8; RECORD] {
    debug_assert!(location <= LOCATION_MAX, "a run ends before location {location}");
    let bytes = (u128::from(print.bits()) << 40 | u128::from(location)).to_le_bytes();
    let mut record = [0; RECORD];
    record.copy_from_slice(&bytes[..RECORD]);
    record
}

#[inline]
fn print_and_location(record: &[u8; RECORD]) -> (Print, u64) {
    let mut bytes = [0; 16];
    bytes[..RECORD].copy_from_slice(record);
    let both = u128::from_le_bytes(bytes);
    (Print::from_bits((both >> 40) as u64), both as u64 & LOCATION_MAX)
}

/// An index that is put together from streams, a slice of its buckets at a time.
struct Slices<'a> {
    side: &'a Side,
    streams: &'a [Queue],
    shape: Shape,
    buckets: u64,
}

impl Slices<'_> {
    fn put(&self, sink: &mut Sink) -> io::Result<()> {
        let mut moving = self.wrapping()?;
        let wrapping = moving.len();
        for number in 0..self.streams.len() {
            let (slice, next) = self.fill(number, moving)?;
            sink.put(slice.bytes())?;
            moving = next;
        }
        debug_assert_eq!(moving.len(), wrapping, "what goes on from the last bucket was foreseen");
        Ok(())
    }

    /// What finds no room before the last bucket's end, and goes on from the first. It has to be known
    /// when the first slice is filled, so that the last ones are filled one time more.
    fn wrapping(&self) -> io::Result<Vec<Moving>> {
        let mut moving = Vec::new();
        for number in self.decisive()..self.streams.len() {
            moving = self.fill(number, moving)?.1;
        }
        Ok(moving.into_iter().map(Moving::wrapped).collect())
    }

    /// Fills a slice with the entries of its stream and those that move in from the slice before; the
    /// rest moves on to the next one. All of them are in the order of their locations.
    fn fill(&self, number: usize, moving: Vec<Moving>) -> io::Result<(Slice, Vec<Moving>)> {
        let mut slice = Slice::new(self.shape, self.numbers(number));
        let (mut moving, mut next) = (moving.into_iter().peekable(), Vec::new());
        self.streams[number].each(self.side, |bytes| {
            for record in bytes.as_chunks().0 {
                let (print, location) = print_and_location(record);
                while let Some(earlier) = moving.next_if(|moving| moving.location() < location) {
                    next.extend(slice.file(earlier));
                }
                next.extend(slice.file(Moving::home(print, location, self.buckets)));
            }
            Ok(())
        })?;
        next.extend(moving.filter_map(|moving| slice.file(moving)));
        debug_assert!(next.is_sorted_by_key(Moving::location), "entries move on in order");
        Ok((slice, next))
    }

    /// The buckets of a slice. The homes of its stream are among them, or the first one after them.
    fn numbers(&self, number: usize) -> Range<u64> {
        let start = |number: u64| number * self.buckets / STREAMS;
        start(number as u64)..start(number as u64 + 1)
    }

    fn slots(&self, number: usize) -> u64 {
        let numbers = self.numbers(number);
        self.shape.slots() * (numbers.end - numbers.start)
    }

    fn entries(&self, number: usize) -> u64 {
        self.streams[number].len() / RECORD as u64
    }

    /// The slice from which on all that goes on from the last bucket is found, even though what moves into
    /// that slice is not known.
    ///
    /// Each entry that moves into a slice takes a free slot of it, or makes one more move out. So what
    /// moves into some last slices changes what goes on from the last bucket only where it is more than
    /// they have free. With keys that nobody chose, five or six slices have enough; else all are
    /// filled, from nothing. That is enough too: what goes on from there fits into what they have free.
    fn decisive(&self) -> usize {
        let moving = self.moving_at_most();
        let (mut taken, mut slots) = (0, 0);
        for number in (1..self.streams.len()).rev() {
            taken += self.entries(number);
            slots += self.slots(number);
            if taken + moving[number - 1] <= slots {
                return number;
            }
        }
        0
    }

    /// How many entries move out of each slice at most, wherever in it their homes are: all of its own, if
    /// these come last. The second time round, the first slice knows what may come from the last one.
    fn moving_at_most(&self) -> Vec<u64> {
        let numbers = 0..self.streams.len();
        let mut moving = 0;
        let mut next = |number| {
            moving = self.entries(number) + u64::saturating_sub(moving, self.slots(number));
            moving
        };
        numbers.clone().for_each(|number| _ = next(number));
        numbers.map(next).collect()
    }
}
