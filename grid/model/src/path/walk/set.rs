//! Sets: members, ranges, added and replaced elements.

use std::ops::Bound;

use super::change::{Change, Outcome};
use super::visit::Visit;
use super::{Walk, steps};
use crate::path::check::{KeyKind, Kind};
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

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Outcome, PathError> {
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

    fn next(step: &Step) -> Result<Kind, Misfit> {
        match step {
            Step::Elem(elem) => decode_key::<T>(elem).map(|_| Kind::of::<T>()),
            Step::All | Step::AddElem => Ok(Kind::of::<T>()),
            Step::Len => Ok(Kind::of::<u64>()),
            Step::KeyRange(range) => {
                range.check::<T>()?;
                Ok(Kind::of::<Self>())
            }
            step => steps::next::<Self>(step),
        }
    }

    fn key_kind() -> Option<KeyKind> {
        Some(KeyKind::of::<T>())
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
) -> Result<Outcome, PathError> {
    match step {
        Step::Elem(elem) => {
            let elem: T = decode_key(elem).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            let member = set.contains(&elem).then_some(elem);
            members_mut(set, member.into_iter().collect(), rest, change)
        }
        Step::All => members_mut(set, set.iter().cloned().collect(), rest, change),
        Step::AddElem => {
            let Some(elem) = T::create(rest, change)? else { return Ok(Outcome::Kept) };
            set.insert(elem);
            Ok(Outcome::Changed)
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
) -> Result<Outcome, PathError> {
    let mut outcome = Outcome::Kept;
    let mut added = Vec::new();
    for old in members {
        let mut new = old.clone();
        let reached = new.walk_mut(rest, change)?;
        if reached == Outcome::Kept {
            continue;
        }
        outcome = Outcome::Changed;
        set.remove(&old);
        if reached == Outcome::Changed {
            added.push(new);
        }
    }
    set.extend(added);
    Ok(outcome)
}

/// Changes a part as a set of its own and puts the result in its place.
fn range_mut<T: Key>(
    set: &mut Set<T>,
    old: Set<T>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Outcome, PathError> {
    let mut new = old.clone();
    match new.walk_mut(rest, change)? {
        Outcome::Kept => return Ok(Outcome::Kept),
        Outcome::Removed => new = Set::new(),
        Outcome::Changed => {}
    }
    if old.is_empty() && new.is_empty() {
        return Ok(change.undone());
    }
    for elem in &old {
        set.remove(elem);
    }
    set.extend(new);
    Ok(Outcome::Changed)
}
