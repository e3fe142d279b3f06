//! Lists and vectors: elements changed, moved, inserted and removed, parts put back.

use std::ops::Range;

use super::change::{Change, Effect};
use super::elems::{Elems, part, position};
use super::tally::{self, Tally};
use super::{Walk, branch, steps};
use crate::State;
use crate::path::data::filter::Index;
use crate::path::data::step::{Every, Side, Step};
use crate::path::error::{Misfit, PathError};

/// Changes what one step reaches.
pub(super) fn walk_mut<T: State, S: Elems<T>>(
    list: &mut S,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    match step {
        Step::Nth(_) | Step::First | Step::Last => match position(step, list.count()) {
            Some(at) => element_mut(list, at, rest, change),
            None => Ok(Effect::Kept),
        },
        Step::Index(_) => match position(step, list.count()) {
            Some(at) => move_element(list, at, step, rest, change),
            None => Ok(Effect::Kept),
        },
        Step::All => all_mut(list, false, rest, change),
        Step::Backwards(Every::Element) => all_mut(list, true, rest, change),
        Step::IndexedVals => indexed_mut(list, step, rest, change),
        Step::AfterElem | Step::BeforeElem | Step::BeforeIndex(_) => {
            let Some(at) = insertion(step, list.count()) else { return Ok(Effect::Kept) };
            let Some(value) = T::create(rest, change)? else { return Ok(Effect::Kept) };
            list.put(at, value);
            Ok(Effect::Changed)
        }
        Step::Splice(side) => {
            let at = if *side == Side::First { 0 } else { list.count() };
            part_mut(list, at..at, rest, change)
        }
        Step::Range(..) | Step::Take(..) => {
            let span = part(step, list.count()).unwrap_or_default();
            part_mut(list, span, rest, change)
        }
        Step::Filtered(_) => filtered_mut(list, step, rest, change),
        Step::Len => steps::computed(list.count() as u64, step, rest, change),
        Step::View(view) => {
            let mut tally = Tally::new(*view);
            let seen = list.each().try_for_each(|element| tally.add(element));
            seen.map_err(|e| change.trail.overflow(step, rest.len(), e))?;
            tally::next::<T, S>(step, *view)
                .map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            tally.finish().change(step, rest, change)
        }
        step => steps::walk_mut(list, step, rest, change),
    }
}

/// Makes a missing list, where the step is one that can.
pub(super) fn create<T: State, S: Elems<T>>(
    step: &Step,
    rest: &[Step],
    all: &[Step],
    change: &mut Change<'_>,
) -> Result<Option<S>, PathError> {
    match step {
        Step::AfterElem
        | Step::BeforeElem
        | Step::BeforeIndex(_)
        | Step::Splice(_)
        | Step::Range(..)
        | Step::Take(..)
        | Step::Filtered(_)
        | Step::Len
        | Step::View(_) => steps::written(S::default(), all, change),
        step => steps::create(step, rest, change),
    }
}

/// Where a new element goes; nowhere where a position is past the end.
fn insertion(step: &Step, len: usize) -> Option<usize> {
    match step {
        Step::AfterElem => Some(len),
        Step::BeforeIndex(at) => usize::try_from(*at).ok().filter(|at| *at <= len),
        _ => Some(0),
    }
}

fn element_mut<T: State, S: Elems<T>>(
    list: &mut S,
    at: usize,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let Some(element) = list.at_mut(at) else { return Ok(Effect::Kept) };
    match element.walk_mut(rest, change)? {
        Effect::Removed => {
            list.take(at);
            Ok(Effect::Changed)
        }
        effect => Ok(effect),
    }
}

/// The rest of the path changes the position; the element follows it.
fn move_element<T: State, S: Elems<T>>(
    list: &mut S,
    from: usize,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut target = Index(from as u64);
    match target.walk_mut(rest, change)? {
        Effect::Kept => return Ok(Effect::Kept),
        Effect::Changed => {}
        Effect::Removed => {
            list.take(from);
            return Ok(Effect::Changed);
        }
    }
    match target_of(target.0, list.count()) {
        Ok(to) => {
            if to != from {
                list.shift(from, to);
            }
            Ok(Effect::Changed)
        }
        Err(misfit) => change.refuse(step, rest, misfit),
    }
}

/// The position that an element is moved to, if there is such a place.
fn target_of(target: u64, len: usize) -> Result<usize, Misfit> {
    usize::try_from(target).ok().filter(|to| *to < len).ok_or_else(|| {
        let expected = format!("a target below the list's length {len}");
        let help = "filter by the length first, or move to the last position";
        Misfit::new(expected, target.to_string(), help)
    })
}

/// Changes every element; elements that go are taken out at the end, in one pass.
fn all_mut<T: State, S: Elems<T>>(
    list: &mut S,
    back: bool,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut effects = vec![Effect::Kept; list.count()];
    let result = each_mut(list, back, rest, change, &mut effects);
    if effects.contains(&Effect::Removed) {
        let keep: Vec<bool> = effects.iter().map(|effect| *effect != Effect::Removed).collect();
        list.keep(&keep);
    }
    result?;
    let kept = effects.iter().all(|effect| *effect == Effect::Kept);
    Ok(if kept { Effect::Kept } else { Effect::Changed })
}

/// Elements that a filter spares are not touched, so that they stay shared with older copies.
fn each_mut<T: State, S: Elems<T>>(
    list: &mut S,
    back: bool,
    rest: &[Step],
    change: &mut Change<'_>,
    effects: &mut [Effect],
) -> Result<(), PathError> {
    let probe = branch::probe(rest);
    let mut span = 0..list.count();
    while let Some(at) = if back { span.next_back() } else { span.next() } {
        change.place()?;
        let worth = |element| branch::worth(element, probe, rest, change.trail);
        if list.at(at).map_or(Ok(false), worth)? {
            effects[at] = list.at_mut(at).map_or(Ok(Effect::Kept), |e| e.walk_mut(rest, change))?;
        }
    }
    Ok(())
}

/// Changes each element with its position: another value replaces it, another position moves it. Positions are
/// those at the time; each element has its turn once, in the order in which they stood.
fn indexed_mut<T: State, S: Elems<T>>(
    list: &mut S,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut stand: Vec<usize> = (0..list.count()).collect();
    let mut all = Effect::Kept;
    for turn in 0..list.count() {
        let Some(at) = stand.iter().position(|element| *element == turn) else { continue };
        let Some(element) = list.at(at) else { continue };
        change.place()?;
        let mut pair = (at as u64, element.clone());
        match pair.walk_mut(rest, change)? {
            Effect::Kept => continue,
            Effect::Removed => {
                list.take(at);
                stand.remove(at);
            }
            Effect::Changed => {
                let (target, value) = pair;
                let to = match target_of(target, list.count()) {
                    Ok(to) => to,
                    Err(misfit) => {
                        change.refuse(step, rest, misfit)?;
                        continue;
                    }
                };
                if let Some(place) = list.at_mut(at) {
                    *place = value;
                }
                if to != at {
                    list.shift(at, to);
                    let element = stand.remove(at);
                    stand.insert(to, element);
                }
            }
        }
        all = Effect::Changed;
    }
    Ok(all)
}

/// Changes a part as a list of its own, then puts it in the place of what was there.
fn part_mut<T: State, S: Elems<T>>(
    list: &mut S,
    span: Range<usize>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut new: S = list.each().skip(span.start).take(span.len()).cloned().collect();
    match new.walk_mut(rest, change)? {
        Effect::Kept => return Ok(Effect::Kept),
        Effect::Removed => new = S::default(),
        Effect::Changed => {}
    }
    if span.is_empty() && new.count() == 0 {
        return Ok(change.undone());
    }
    let behind: Vec<T> = list.each().skip(span.end).cloned().collect();
    list.cut(span.start);
    list.extend(new.each().cloned());
    list.extend(behind);
    Ok(Effect::Changed)
}

/// Changes the elements for which a condition holds as a list of their own, then gives each of their places the
/// element that has come there. Places that are left over are taken out.
fn filtered_mut<T: State, S: Elems<T>>(
    list: &mut S,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let (branches, after) = branch::split(change.trail, step, rest)?;
    let trail = change.trail.before(branches[0].behind);
    let mut places = Vec::new();
    for (at, element) in list.each().enumerate() {
        change.place()?;
        if branch::reaches(element, branches[0].steps, trail)? {
            places.push(at);
        }
    }
    let mut new: S = places.iter().filter_map(|at| list.at(*at)).cloned().collect();
    match new.walk_mut(after, change)? {
        Effect::Kept => return Ok(Effect::Kept),
        Effect::Removed => new = S::default(),
        Effect::Changed => {}
    }
    if new.count() > places.len() {
        let expected =
            format!("at most the {} elements that the condition holds for", places.len());
        let help = "put new elements in with `after_elem` or `end`";
        return change.refuse(step, rest, Misfit::new(expected, new.count().to_string(), help));
    }
    if places.is_empty() {
        return Ok(change.undone());
    }
    let mut keep = vec![true; list.count()];
    let mut elements = new.each();
    for at in places {
        match (elements.next(), list.at_mut(at)) {
            (Some(element), Some(place)) => *place = element.clone(),
            _ => keep[at] = false,
        }
    }
    if keep.contains(&false) {
        list.keep(&keep);
    }
    Ok(Effect::Changed)
}
