//! Lists and vectors: elements changed, moved, inserted and removed.

use super::change::{Change, Effect};
use super::elems::{Elems, position};
use super::{Walk, branch, steps};
use crate::State;
use crate::path::data::filter::Index;
use crate::path::data::step::Step;
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
        Step::All => all_mut(list, rest, change),
        Step::AfterElem | Step::BeforeElem => {
            let Some(value) = T::create(rest, change)? else { return Ok(Effect::Kept) };
            list.put(if *step == Step::AfterElem { list.count() } else { 0 }, value);
            Ok(Effect::Changed)
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
    Ok(Effect::Changed)
}

/// Changes every element; elements that go are taken out at the end, in one pass.
fn all_mut<T: State, S: Elems<T>>(
    list: &mut S,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut effects = Vec::with_capacity(list.count());
    let result = each_mut(list, rest, change, &mut effects);
    if effects.contains(&Effect::Removed) {
        effects.resize(list.count(), Effect::Kept);
        let keep: Vec<bool> = effects.iter().map(|o| *o != Effect::Removed).collect();
        list.keep(&keep);
    }
    result?;
    let kept = effects.iter().all(|effect| *effect == Effect::Kept);
    Ok(if kept { Effect::Kept } else { Effect::Changed })
}

/// Elements that a filter spares are not touched, so that they stay shared with older copies.
fn each_mut<T: State, S: Elems<T>>(
    list: &mut S,
    rest: &[Step],
    change: &mut Change<'_>,
    effects: &mut Vec<Effect>,
) -> Result<(), PathError> {
    let probe = branch::probe(rest);
    for at in 0..list.count() {
        let worth = |element| branch::worth(element, probe, rest, change.trail);
        if !list.at(at).map_or(Ok(false), worth)? {
            effects.push(Effect::Kept);
            continue;
        }
        let effect = list.at_mut(at).map_or(Ok(Effect::Kept), |e| e.walk_mut(rest, change))?;
        effects.push(effect);
    }
    Ok(())
}
