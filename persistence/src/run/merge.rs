//! Several runs as one: newest first, the first that knows a key wins.

use std::sync::Arc;

use super::error::RunError;
use super::info::Slot;
use super::reader::Run;
use super::writer::RunWriter;

/// Bytes between two calls of a merge's throttle.
const THROTTLE_BYTES: u64 = 256 << 10;

/// One entry, or why there is none.
type Item<'a> = Result<(&'a [u8], Slot<'a>), RunError>;

/// Writes the union of `inputs`, newest first, to `writer`: of each key what the newest run says.
///
/// Deletions are kept, because an older run outside this merge may hold the key, unless
/// `drop_tombstones` says that there is none. `throttle` is told about every 256 KiB how many bytes
/// were produced since it was last told; it may block to slow the merge down. The caller finishes
/// the writer. Memory is the writer's, which does not depend on how much there is but for the little that
/// [`RunWriter`] names.
///
/// # Errors
/// `MergeMismatch` where an input has another schema, or a larger value alignment, than the writer:
/// its bytes would mean something else. Else what reading and writing may fail with; the writer is
/// then best dropped.
pub fn merge(
    inputs: &[Run],
    writer: &mut RunWriter,
    drop_tombstones: bool,
    throttle: &mut dyn FnMut(u64),
) -> Result<(), RunError> {
    inputs.iter().try_for_each(|input| check_input(input, writer))?;
    let mut told = writer.bytes_written();
    for item in MergedRange::of_runs(inputs) {
        let (key, slot) = item?;
        if drop_tombstones && slot == Slot::Deleted {
            continue;
        }
        writer.add(key, slot.value())?;
        let produced = writer.bytes_written() - told;
        if produced >= THROTTLE_BYTES {
            throttle(produced);
            told += produced;
        }
    }
    Ok(())
}

fn check_input(input: &Run, writer: &RunWriter) -> Result<(), RunError> {
    let options = writer.options();
    let (what, expected, got) = if input.schema() != options.schema {
        ("schema", options.schema, input.schema())
    } else if input.value_align() > options.value_align {
        ("value alignment", options.value_align as u64, input.value_align() as u64)
    } else {
        return Ok(());
    };
    Err(RunError::MergeMismatch { file: Arc::clone(&input.inner.file), what, expected, got })
}

/// Several sorted inputs as one, from either end: in key order, each key once, with what the first
/// input that has it says. Deletions are yielded, for layers above to see.
///
/// The inputs are ranges of runs, or anything of the same shape. After an error it ends.
///
/// # Examples
///
/// ```
/// use gridmill_persistence::run::{MergedRange, RunError, Slot};
///
/// type Layer = Vec<Result<(&'static [u8], Slot<'static>), RunError>>;
/// let newer: Layer = vec![Ok((b"a", Slot::Deleted)), Ok((b"c", Slot::Value(b"3")))];
/// let older: Layer = vec![Ok((b"a", Slot::Value(b"1"))), Ok((b"b", Slot::Value(b"2")))];
/// let mut merged = MergedRange::new([newer.into_iter(), older.into_iter()]);
/// assert_eq!(merged.next().unwrap()?, (&b"a"[..], Slot::Deleted));
/// assert_eq!(merged.next_back().unwrap()?, (&b"c"[..], Slot::Value(b"3")));
/// assert_eq!(merged.next().unwrap()?, (&b"b"[..], Slot::Value(b"2")));
/// assert!(merged.next().is_none());
/// # Ok::<(), RunError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct MergedRange<'a, I> {
    inputs: Vec<Input<'a, I>>,
}

/// An input with the items at its two ends, where they were looked at and not yet wanted.
#[derive(Debug)]
struct Input<'a, I> {
    rest: I,
    front: Option<Item<'a>>,
    back: Option<Item<'a>>,
}

impl<'a> MergedRange<'a, super::RunRange<'a>> {
    /// All of `runs`, newest first.
    pub fn of_runs(runs: &'a [Run]) -> Self {
        use std::ops::Bound::Unbounded;
        Self::new(runs.iter().map(|run| run.range(Unbounded, Unbounded)))
    }
}

impl<'a, I: DoubleEndedIterator<Item = Item<'a>>> MergedRange<'a, I> {
    /// Merges `inputs`, newest first. Each yields its keys in ascending order, each once.
    pub fn new(inputs: impl IntoIterator<Item = I>) -> Self {
        let input = |rest| Input { rest, front: None, back: None };
        Self { inputs: inputs.into_iter().map(input).collect() }
    }

    /// Takes the item with the best key off every input that has it, and keeps the newest.
    ///
    /// A handful of inputs: comparing all heads beats a heap, and finds equal keys on the way.
    fn take(&mut self, end: End) -> Option<Item<'a>> {
        let mut best: Option<(usize, &'a [u8])> = None;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            let key = match input.peek(end) {
                None => continue,
                Some(Err(_)) => return self.fail(index, end),
                Some(Ok((key, _))) => *key,
            };
            if best.is_none_or(|(_, other)| end.is_nearer(key, other)) {
                best = Some((index, key));
            }
        }
        let (winner, key) = best?;
        for older in &mut self.inputs[winner + 1..] {
            older.take_if(end, key);
        }
        self.inputs[winner].head(end).take()
    }

    /// Gives out an error and ends the iteration.
    fn fail(&mut self, index: usize, end: End) -> Option<Item<'a>> {
        let error = self.inputs[index].head(end).take();
        self.inputs.clear();
        error
    }
}

impl<'a, I: DoubleEndedIterator<Item = Item<'a>>> Input<'a, I> {
    fn head(&mut self, end: End) -> &mut Option<Item<'a>> {
        match end {
            End::Front => &mut self.front,
            End::Back => &mut self.back,
        }
    }

    /// The next item at `end`; the other end may have looked at it already.
    #[inline]
    fn peek(&mut self, end: End) -> &mut Option<Item<'a>> {
        if self.head(end).is_none() {
            let next = match end {
                End::Front => self.rest.next().or_else(|| self.back.take()),
                End::Back => self.rest.next_back().or_else(|| self.front.take()),
            };
            *self.head(end) = next;
        }
        self.head(end)
    }

    /// Drops the next item at `end` if it has `key`. It was looked at already.
    #[inline]
    fn take_if(&mut self, end: End, key: &[u8]) {
        let head = self.head(end);
        if matches!(head, Some(Ok((own, _))) if *own == key) {
            *head = None;
        }
    }
}

impl<'a, I: DoubleEndedIterator<Item = Item<'a>>> Iterator for MergedRange<'a, I> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.take(End::Front)
    }
}

impl<'a, I: DoubleEndedIterator<Item = Item<'a>>> DoubleEndedIterator for MergedRange<'a, I> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.take(End::Back)
    }
}

/// Which end of the order.
#[derive(Clone, Copy, Debug)]
enum End {
    Front,
    Back,
}

impl End {
    /// Whether `key` comes strictly before `other` when walking from this end.
    #[inline]
    fn is_nearer(self, key: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Front => key < other,
            Self::Back => key > other,
        }
    }
}
