//! What lists and vectors have in common: elements by position, in memory and in archives.

use std::ops::Range;

use super::Walk;
use super::branch;
use super::found;
use super::list::{Elements, go};
use super::visit::Visit;
use crate::engine::{Cold, Found};
use crate::path::data::step::{Side, Step};
use crate::path::error::PathError;
use crate::{Damaged, List, State};

/// What is done with an element and its position; false ends the walk.
pub(super) type See<'a, T> = dyn FnMut(usize, Found<'_, T>) -> Result<bool, PathError> + 'a;

/// Elements by position, wherever they lie.
pub(super) trait Sequence<T: State> {
    fn count(&self) -> usize;

    fn at(&self, index: usize) -> Result<Option<Found<'_, T>>, Damaged>;

    /// Shows the elements of a span that exists, in either order.
    fn each(&self, span: Range<usize>, back: bool, see: &mut See<'_, T>) -> Result<(), Failed>;

    /// Takes a step that is not about elements.
    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError>;
}

/// Why a walk over elements ended early.
pub(super) enum Failed {
    Damaged(Damaged),
    Path(PathError),
}

impl Failed {
    pub(super) fn at(self, visit: &Visit<'_>) -> PathError {
        match self {
            Self::Damaged(damaged) => found::at(visit, damaged),
            Self::Path(error) => error,
        }
    }
}

impl From<Damaged> for Failed {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl From<PathError> for Failed {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

/// Shows elements that an iterator of references has.
fn see_all<'a, T: 'static>(
    start: usize,
    elements: impl DoubleEndedIterator<Item = &'a T> + ExactSizeIterator,
    back: bool,
    see: &mut See<'_, T>,
) -> Result<(), Failed> {
    let mut numbered = elements.enumerate();
    while let Some((at, element)) = if back { numbered.next_back() } else { numbered.next() } {
        if !see(start + at, Found::Live(element))? {
            break;
        }
    }
    Ok(())
}

impl<T: State> Sequence<T> for List<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> Result<Option<Found<'_, T>>, Damaged> {
        Ok(self.get(index).map(Found::Live))
    }

    fn each(&self, span: Range<usize>, back: bool, see: &mut See<'_, T>) -> Result<(), Failed> {
        if span.len() == self.len() {
            return see_all(0, self.iter(), back, see);
        }
        each_at(self, span, back, see)
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        super::steps::walk(self, step, rest, visit)
    }
}

impl<T: State> Sequence<T> for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> Result<Option<Found<'_, T>>, Damaged> {
        Ok(self.get(index).map(Found::Live))
    }

    fn each(&self, span: Range<usize>, back: bool, see: &mut See<'_, T>) -> Result<(), Failed> {
        let start = span.start;
        see_all(start, self.get(span).unwrap_or_default().iter(), back, see)
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        super::steps::walk(self, step, rest, visit)
    }
}

/// Shows elements by looking up each position.
fn each_at<T: State>(
    sequence: &(impl Sequence<T> + ?Sized),
    mut span: Range<usize>,
    back: bool,
    see: &mut See<'_, T>,
) -> Result<(), Failed> {
    while let Some(at) = if back { span.next_back() } else { span.next() } {
        let Some(element) = sequence.at(at)? else { break };
        if !see(at, element)? {
            break;
        }
    }
    Ok(())
}

/// The archived elements of a list or vector of type `C`.
pub(super) struct ColdElements<'a, C> {
    whole: Cold<'a>,
    first: Cold<'a>,
    len: usize,
    of: std::marker::PhantomData<fn() -> C>,
}

impl<'a, C> ColdElements<'a, C> {
    pub(super) fn new<T: State>(whole: Cold<'a>) -> Result<Self, Damaged> {
        let (first, len) = whole.elements(size_of::<T::Archived>())?;
        Ok(Self { whole, first, len, of: std::marker::PhantomData })
    }
}

impl<T: State, C: Elements<T> + State> Sequence<T> for ColdElements<'_, C> {
    fn count(&self) -> usize {
        self.len
    }

    fn at(&self, index: usize) -> Result<Option<Found<'_, T>>, Damaged> {
        let at = index.checked_mul(size_of::<T::Archived>()).filter(|_| index < self.len);
        Ok(at.map(|at| Found::Cold(self.first.behind(at))))
    }

    fn each(&self, span: Range<usize>, back: bool, see: &mut See<'_, T>) -> Result<(), Failed> {
        each_at(self, span, back, see)
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let whole = self.whole;
        let mut again = |steps: &[Step], visit: &mut Visit<'_>| C::walk_cold(whole, steps, visit);
        if let Step::Or(_) = step {
            return again(rest, visit);
        }
        if branch::walk(step, rest, visit, &mut again)? {
            return Ok(());
        }
        visit.check_bytes(self.len * size_of::<T>())?;
        let list: C = whole.decode().map_err(|damaged| found::at(visit, damaged))?;
        super::steps::walk(&list, step, rest, visit)
    }
}

/// Some elements of a sequence that follow each other.
pub(super) struct Slice<'a, T, C> {
    inner: &'a dyn Sequence<T>,
    span: Range<usize>,
    of: std::marker::PhantomData<fn() -> C>,
}

impl<'a, T: State, C> Slice<'a, T, C> {
    pub(super) fn new(inner: &'a dyn Sequence<T>, span: Range<usize>) -> Self {
        Self { inner, span, of: std::marker::PhantomData }
    }
}

impl<T: State, C: Elements<T>> Sequence<T> for Slice<'_, T, C> {
    fn count(&self) -> usize {
        self.span.len()
    }

    fn at(&self, index: usize) -> Result<Option<Found<'_, T>>, Damaged> {
        match self.span.start.checked_add(index).filter(|at| *at < self.span.end) {
            Some(at) => self.inner.at(at),
            None => Ok(None),
        }
    }

    fn each(&self, span: Range<usize>, back: bool, see: &mut See<'_, T>) -> Result<(), Failed> {
        let start = self.span.start;
        let inner = start + span.start..start + span.end;
        self.inner.each(inner, back, &mut |at, element| see(at - start, element))
    }

    fn other(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let mut again = |steps: &[Step], visit: &mut Visit<'_>| go::<T, C>(self, steps, visit);
        if let Step::Or(_) = step {
            return again(rest, visit);
        }
        if branch::walk(step, rest, visit, &mut again)? {
            return Ok(());
        }
        let whole: C = super::list::whole(self, visit)?;
        super::steps::walk(&whole, step, rest, visit)
    }
}

/// What lists and vectors have in common where they are changed.
pub(super) trait Elems<T: 'static>: Walk + Default + FromIterator<T> + Extend<T> {
    fn count(&self) -> usize;
    fn at(&self, index: usize) -> Option<&T>;
    fn at_mut(&mut self, index: usize) -> Option<&mut T>;
    fn take(&mut self, index: usize);
    fn put(&mut self, index: usize, value: T);
    fn shift(&mut self, from: usize, to: usize);
    fn cut(&mut self, len: usize);
    fn keep(&mut self, keep: &[bool]);
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a;
}

macro_rules! elems {
    ($($type:ident, $shift:expr, $keep:expr;)*) => { $(
        impl<T: State> Elems<T> for $type<T> {
            fn count(&self) -> usize {
                self.len()
            }
            fn at(&self, index: usize) -> Option<&T> {
                self.get(index)
            }
            fn at_mut(&mut self, index: usize) -> Option<&mut T> {
                self.get_mut(index)
            }
            fn take(&mut self, index: usize) {
                self.remove(index);
            }
            fn put(&mut self, index: usize, value: T) {
                self.insert(index, value);
            }
            fn shift(&mut self, from: usize, to: usize) {
                let shift: fn(&mut Self, usize, usize) = $shift;
                shift(self, from, to);
            }
            fn cut(&mut self, len: usize) {
                self.truncate(len);
            }
            fn keep(&mut self, keep: &[bool]) {
                let set: fn(&mut Self, &[bool]) = $keep;
                set(self, keep);
            }
            fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
            where
                T: 'a,
            {
                self.iter()
            }
        }
    )* };
}

elems! {
    List, |list, from, to| { list.move_to(from, to); }, |list, keep| {
        *list = list.iter().zip(keep).filter(|(_, keep)| **keep).map(|(v, _)| v.clone()).collect();
    };
    Vec, |vec, from, to| { let value = vec.remove(from); vec.insert(to, value); }, |vec, keep| {
        let mut keep = keep.iter();
        vec.retain(|_| keep.next().copied().unwrap_or(true));
    };
}

/// The position that a step names in a list of that length, if there is an element.
pub(super) fn position(step: &Step, len: usize) -> Option<usize> {
    match step {
        Step::Nth(at) | Step::Index(at) => usize::try_from(*at).ok(),
        Step::First => Some(0),
        _ => len.checked_sub(1),
    }
    .filter(|at| *at < len)
}

/// The positions of the part that a step names in a list of that length: as much of it as there is.
pub(super) fn part(step: &Step, len: usize) -> Option<Range<usize>> {
    let clamped = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(len);
    match step {
        Step::Range(from, to) => {
            let to = clamped(*to);
            Some(clamped(*from).min(to)..to)
        }
        Step::Take(count, Side::First) => Some(0..clamped(*count)),
        Step::Take(count, Side::Last) => Some(len - clamped(*count)..len),
        _ => None,
    }
}
