//! Lists and vectors: selects. Changes are in `list_mut`.

use super::change::{Change, Effect};
use super::elems::{ColdElements, Failed, Sequence, Slice, part, position};
use super::leaf::Carried;
use super::list_mut::{create, walk_mut};
use super::tally::{self, Tally};
use super::visit::Visit;
use super::{Walk, branch, found, gather, steps};
use crate::engine::{Cold, Found};
use crate::path::check::ValueType;
use crate::path::data::filter::Index;
use crate::path::data::step::{Every, Step};
use crate::path::error::{Misfit, PathError};
use crate::{List, State};

/// A list or vector as a whole.
pub(super) trait Elements<T>: Walk + FromIterator<T> {}

impl<T: State> Elements<T> for List<T> {}
impl<T: State> Elements<T> for Vec<T> {}

macro_rules! sequences {
    ($($type:ty),*) => {
        $(impl<T: State> Walk for $type {
            fn shape() -> String {
                Self::schema().to_string()
            }

            fn room(&self) -> usize {
                size_of::<Self>() + self.weight()
            }

            fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
                match steps.split_first() {
                    None => visit.leaf(self),
                    Some((step, rest)) => walk::<T, Self>(self, step, rest, visit),
                }
            }

            fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
                match steps.split_first() {
                    None => visit.absent::<Self>(),
                    Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
                    Some((Step::View(view), rest)) => tally::walk_absent::<T>(*view, rest, visit),
                    Some((Step::Range(..) | Step::Take(..) | Step::Filtered(_), _)) => {
                        Self::default().walk(steps, visit)
                    }
                    Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
                }
            }

            fn walk_cold(
                cold: Cold<'_>,
                steps: &[Step],
                visit: &mut Visit<'_>,
            ) -> Result<(), PathError> {
                let elements = ColdElements::<Self>::new::<T>(cold);
                let elements = elements.map_err(|damaged| found::at(visit, damaged))?;
                match steps.split_first() {
                    None => {
                        visit.check_bytes(Sequence::<T>::count(&elements) * size_of::<T>())?;
                        found::decoded::<Self>(cold, steps, visit)
                    }
                    Some((step, rest)) => walk::<T, Self>(&elements, step, rest, visit),
                }
            }

            fn walk_mut(
                &mut self,
                steps: &[Step],
                change: &mut Change<'_>,
            ) -> Result<Effect, PathError> {
                match steps.split_first() {
                    None => change.end(self),
                    Some((step, rest)) => walk_mut(self, step, rest, change),
                }
            }

            fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
                match steps.split_first() {
                    None => change.make(),
                    Some((step, rest)) => create(step, rest, steps, change),
                }
            }

            fn next(step: &Step) -> Result<ValueType, Misfit> {
                match step {
                    Step::Nth(_) | Step::First | Step::Last | Step::All => Ok(ValueType::of::<T>()),
                    Step::AfterElem | Step::BeforeElem | Step::BeforeIndex(_) => {
                        Ok(ValueType::of::<T>())
                    }
                    Step::Backwards(Every::Element) => Ok(ValueType::of::<T>()),
                    Step::IndexedVals => Ok(ValueType::of::<(u64, T)>()),
                    Step::Range(..) | Step::Take(..) | Step::Filtered(_) | Step::Splice(_) => {
                        Ok(ValueType::of::<Self>())
                    }
                    Step::Index(_) => Ok(ValueType::of::<Index>()),
                    Step::Len => Ok(ValueType::of::<u64>()),
                    Step::View(view) => tally::next::<T, Self>(step, *view),
                    step => steps::next::<Self>(step),
                }
            }

            fn element_type() -> Option<ValueType> {
                Some(ValueType::of::<T>())
            }

            fn assemble(values: &[Carried]) -> Option<Self> {
                values.iter().map(|value| gather::restored::<T>(&**value)).collect()
            }

            fn scatter(self) -> Option<Vec<Carried>> {
                Some(self.into_iter().map(|value| Box::new(value) as Carried).collect())
            }
        })*
    };
}

sequences!(List<T>, Vec<T>);

/// Takes one step from the elements of a list or vector, of which the whole would be a `C`.
pub(super) fn walk<T: State, C: Elements<T>>(
    list: &dyn Sequence<T>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    let len = list.count();
    match step {
        Step::Nth(_) | Step::First | Step::Last => {
            let Some(at) = position(step, len) else { return Ok(()) };
            let element = list.at(at).map_err(|damaged| found::at(visit, damaged))?;
            element.map_or(Ok(()), |element| element.walk(rest, visit))
        }
        Step::Index(index) => match position(step, len) {
            Some(_) => Index(*index).walk_owned(rest, visit),
            None => Ok(()),
        },
        Step::All | Step::Backwards(Every::Element) => {
            let back = *step != Step::All;
            each(list, back, visit, |_, element, visit| element.walk(rest, visit))
        }
        Step::IndexedVals => each(list, false, visit, |at, element, visit| {
            walk_pair(at as u64, element, rest, visit)
        }),
        Step::AfterElem | Step::BeforeElem | Step::BeforeIndex(_) | Step::Splice(_) => Ok(()),
        Step::Len => (len as u64).walk_owned(rest, visit),
        Step::View(view) => {
            let mut tally = Tally::<T>::new(*view);
            each(list, false, visit, |_, element, visit| {
                let element = element.into_ref().map_err(|damaged| found::at(visit, damaged))?;
                tally.add(&element).map_err(|e| visit.trail.overflow(step, rest.len(), e))
            })?;
            tally::next::<T, C>(step, *view)
                .map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
            tally.finish().walk(rest, visit)
        }
        Step::Range(..) | Step::Take(..) => {
            let span = part(step, len).unwrap_or_default();
            go::<T, C>(&Slice::<T, C>::new(list, span), rest, visit)
        }
        Step::Filtered(_) => filtered::<T, C>(list, step, rest, visit),
        step => list.other(step, rest, visit),
    }
}

/// Walks from elements that are no list of their own.
pub(super) fn go<T: State, C: Elements<T>>(
    list: &dyn Sequence<T>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match steps.split_first() {
        Some((step, rest)) => walk::<T, C>(list, step, rest, visit),
        None => {
            let whole: C = whole(list, visit)?;
            visit.leaf_owned(whole)
        }
    }
}

/// The elements as a list of their own.
pub(super) fn whole<T: State, C: Elements<T>>(
    list: &dyn Sequence<T>,
    visit: &mut Visit<'_>,
) -> Result<C, PathError> {
    visit.check_bytes(list.count() * size_of::<T>())?;
    let mut values = Vec::new();
    each(list, false, visit, |_, element, visit| {
        values.push(element.into_owned().map_err(|damaged| found::at(visit, damaged))?);
        Ok(())
    })?;
    Ok(values.into_iter().collect())
}

/// Visits every element, in either order.
fn each<T: State>(
    list: &dyn Sequence<T>,
    back: bool,
    visit: &mut Visit<'_>,
    mut walk: impl FnMut(usize, Found<'_, T>, &mut Visit<'_>) -> Result<(), PathError>,
) -> Result<(), PathError> {
    let seen = list.each(0..list.count(), back, &mut |at, element| {
        if !visit.place()? {
            return Ok(false);
        }
        walk(at, element, visit).map(|()| true)
    });
    seen.map_err(|failed: Failed| failed.at(visit))
}

/// Walks a position and its element as a pair, without making the pair where only one part is asked for.
fn walk_pair<T: State>(
    at: u64,
    element: Found<'_, T>,
    steps: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match steps.split_first() {
        Some((Step::First | Step::Field(0), rest)) => at.walk_owned(rest, visit),
        Some((Step::Last | Step::Field(1), rest)) => element.walk(rest, visit),
        _ => {
            let element = element.into_owned().map_err(|damaged| found::at(visit, damaged))?;
            (at, element).walk_owned(steps, visit)
        }
    }
}

/// The elements for which a condition holds, as one list.
fn filtered<T: State, C: Elements<T>>(
    list: &dyn Sequence<T>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    let (branches, after) = branch::split(visit.trail, step, rest)?;
    let mut values = Vec::new();
    each(list, false, visit, |_, element, visit| {
        let element = element.into_ref().map_err(|damaged| found::at(visit, damaged))?;
        if visit.holds(branches[0], &mut |steps, visit| element.walk(steps, visit))? {
            values.push(element.into_owned());
        }
        Ok(())
    })?;
    let found: C = values.into_iter().collect();
    found.walk_owned(after, visit)
}
