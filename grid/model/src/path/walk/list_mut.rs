//! Lists and vectors: elements changed, moved, inserted and removed.

use super::change::{Change, Outcome};
use super::elems::{Elems, position};
use super::{Walk, branch, steps};
use crate::State;
use crate::path::data::filter::Position;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

/// Changes what one step reaches.
pub(super) fn walk_mut<T: State, S: Elems<T>>(
    list: &mut S,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    match step {
        Step::Nth(_) | Step::First | Step::Last => match position(step, list.count()) {
            Some(at) => element_mut(list, at, rest, change),
            None => Ok(Outcome::Kept),
        },
        Step::Index(_) => match position(step, list.count()) {
            Some(at) => move_element(list, at, step, rest, change),
            None => Ok(Outcome::Kept),
        },
        Step::All => all_mut(list, rest, change),
        Step::AfterElem | Step::BeforeElem => {
            let Some(value) = T::create(rest, change)? else { return Ok(Outcome::Kept) };
            list.put(if *step == Step::AfterElem { list.count() } else { 0 }, value);
            Ok(Outcome::Changed)
        }
        Step::Len => steps::computed(list.count() as u64, step, rest, change),
        step => steps::walk_mut(list, step, rest, change),
    }
}

fn element_mut<T: State, S: Elems<T>>(
    list: &mut S,
    at: usize,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    let Some(element) = list.at_mut(at) else { return Ok(Outcome::Kept) };
    match element.walk_mut(rest, change)? {
        Outcome::Removed => {
            list.take(at);
            Ok(Outcome::Changed)
        }
        outcome => Ok(outcome),
    }
}

/// The rest of the path changes the position; the element follows it.
fn move_element<T: State, S: Elems<T>>(
    list: &mut S,
    from: usize,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    let mut target = Position(from as u64);
    match target.walk_mut(rest, change)? {
        Outcome::Kept => return Ok(Outcome::Kept),
        Outcome::Changed => {}
        Outcome::Removed => {
            list.take(from);
            return Ok(Outcome::Changed);
        }
    }
    let len = list.count();
    match usize::try_from(target.0).ok().filter(|to| *to < len) {
        Some(to) if to != from => list.shift(from, to),
        Some(_) => {}
        None => {
            let expected = format!("a target below the list's length {len}");
            let help = "filter by the length first, or move to the last position";
            return change.refuse(step, rest, Misfit::new(expected, target.to_string(), help));
        }
    }
    Ok(Outcome::Changed)
}

/// Changes every element; elements that go are taken out at the end, in one pass.
fn all_mut<T: State, S: Elems<T>>(
    list: &mut S,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    let mut outcomes = Vec::with_capacity(list.count());
    let result = each_mut(list, rest, change, &mut outcomes);
    if outcomes.contains(&Outcome::Removed) {
        outcomes.resize(list.count(), Outcome::Kept);
        let keep: Vec<bool> = outcomes.iter().map(|o| *o != Outcome::Removed).collect();
        list.keep(&keep);
    }
    result?;
    let kept = outcomes.iter().all(|outcome| *outcome == Outcome::Kept);
    Ok(if kept { Outcome::Kept } else { Outcome::Changed })
}

/// Elements that a filter spares are not touched, so that they stay shared with older copies.
fn each_mut<T: State, S: Elems<T>>(
    list: &mut S,
    rest: &[Step],
    change: &mut Change<'_>,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), PathError> {
    let probe = branch::probe(rest);
    for at in 0..list.count() {
        let worth = |element| branch::worth(element, probe, rest, change.trail);
        if !list.at(at).map_or(Ok(false), worth)? {
            outcomes.push(Outcome::Kept);
            continue;
        }
        let outcome = list.at_mut(at).map_or(Ok(Outcome::Kept), |e| e.walk_mut(rest, change))?;
        outcomes.push(outcome);
    }
    Ok(())
}
