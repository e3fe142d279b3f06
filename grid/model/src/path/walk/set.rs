//! Sets: members, ranges, added and replaced elements.

use std::ops::Bound;

use super::change::{Change, Effect};
use super::visit::Visit;
use super::{Walk, steps};
use crate::path::check::{KeyType, ValueType};
use crate::path::data::filter::KeyRange;
use crate::path::data::keys::decode_key;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};
use crate::{Key, Set, State};

impl<T: Key> Walk for Set<T> {
    fn shape() -> String {
        Self::schema().to_string()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.leaf(self),
            Some((step, rest)) => walk(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => Ok(()),
            Some((Step::KeyRange(_), rest)) => Self::new().walk_owned(rest, visit),
            Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        match steps.split_first() {
            None => change.end(self),
            Some((step, rest)) => walk_mut(self, step, rest, change),
        }
    }

    fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
        match steps.split_first() {
            None => change.make(),
            Some((Step::AddElem | Step::KeyRange(_) | Step::Len, _)) => {
                steps::written(Self::new(), steps, change)
            }
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        match step {
            Step::Elem(elem) => decode_key::<T>(elem).map(|_| ValueType::of::<T>()),
            Step::All | Step::AddElem => Ok(ValueType::of::<T>()),
            Step::Len => Ok(ValueType::of::<u64>()),
            Step::KeyRange(range) => {
                range.check::<T>()?;
                Ok(ValueType::of::<Self>())
            }
            step => steps::next::<Self>(step),
        }
    }

    fn key_type() -> Option<KeyType> {
        Some(KeyType::of::<T>())
    }
}

fn walk<T: Key>(
    set: &Set<T>,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Elem(elem) => {
            let elem: T = decode_key(elem).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
            if set.contains(&elem) { elem.walk_owned(rest, visit) } else { Ok(()) }
        }
        Step::All => {
            for elem in set {
                if !visit.place()? {
                    break;
                }
                elem.walk(rest, visit)?;
            }
            Ok(())
        }
        Step::AddElem => Ok(()),
        Step::Len => (set.len() as u64).walk_owned(rest, visit),
        Step::KeyRange(range) => {
            let part = part(set, range).map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
            part.walk_owned(rest, visit)
        }
        step => steps::walk(set, step, rest, visit),
    }
}

/// The members in a range, as a set of their own.
fn part<T: Key>(set: &Set<T>, range: &KeyRange) -> Result<Set<T>, Misfit> {
    if range.is_void() {
        return Ok(Set::new());
    }
    let bounds: (Bound<T>, Bound<T>) = (range.from.decode()?, range.to.decode()?);
    Ok(range.limited(set.range(bounds)).cloned().collect())
}

fn walk_mut<T: Key>(
    set: &mut Set<T>,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    match step {
        Step::Elem(elem) => {
            let elem: T = decode_key(elem).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            let member = set.contains(&elem).then_some(elem);
            members_mut(set, member.into_iter().collect(), rest, change)
        }
        Step::All => members_mut(set, set.iter().cloned().collect(), rest, change),
        Step::AddElem => {
            let Some(elem) = T::create(rest, change)? else { return Ok(Effect::Kept) };
            set.insert(elem);
            Ok(Effect::Changed)
        }
        Step::Len => steps::computed(set.len() as u64, step, rest, change),
        Step::KeyRange(range) => {
            let part = part(set, range).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            range_mut(set, part, rest, change)
        }
        step => steps::walk_mut(set, step, rest, change),
    }
}

/// Replaces members: all that go are taken out before any comes in.
fn members_mut<T: Key>(
    set: &mut Set<T>,
    members: Vec<T>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut effect = Effect::Kept;
    let mut added = Vec::new();
    for old in members {
        let mut new = old.clone();
        let reached = new.walk_mut(rest, change)?;
        if reached == Effect::Kept {
            continue;
        }
        effect = Effect::Changed;
        set.remove(&old);
        if reached == Effect::Changed {
            added.push(new);
        }
    }
    set.extend(added);
    Ok(effect)
}

/// Changes a part as a set of its own and puts the result in its place.
fn range_mut<T: Key>(
    set: &mut Set<T>,
    old: Set<T>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut new = old.clone();
    match new.walk_mut(rest, change)? {
        Effect::Kept => return Ok(Effect::Kept),
        Effect::Removed => new = Set::new(),
        Effect::Changed => {}
    }
    if old.is_empty() && new.is_empty() {
        return Ok(change.undone());
    }
    for elem in &old {
        set.remove(elem);
    }
    set.extend(new);
    Ok(Effect::Changed)
}
