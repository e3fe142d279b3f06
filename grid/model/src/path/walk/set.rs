//! Sets: members, ranges, added and replaced elements.

use super::change::{Change, Effect};
use super::entries::{self, Collection, Entries, each};
use super::tally::{self, Tally};
use super::visit::{AnyValue, Visit};
use super::{Walk, steps};
use crate::engine::{Cold, Found};
use crate::path::check::{KeyType, ValueType};
use crate::path::data::keys::decode_key;
use crate::path::data::limits::Limits;
use crate::path::data::step::{Every, Step};
use crate::path::error::{Misfit, PathError};
use crate::{Key, Set, State};

impl<T: Key> Walk for Set<T> {
    fn shape() -> String {
        Self::schema().to_string()
    }

    fn room(&self) -> usize {
        size_of::<Self>() + self.weight()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.leaf(self),
            Some((step, rest)) => entries::walk::<T, (), Self>(self, step, rest, visit),
        }
    }

    fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        match steps.split_first() {
            None => visit.absent::<Self>(),
            Some((Step::KeyRange(_) | Step::Keys(_), rest)) => Self::new().walk_owned(rest, visit),
            Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
            Some((Step::View(view), rest)) => tally::walk_absent::<T>(*view, rest, visit),
            Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
        }
    }

    fn walk_cold(cold: Cold<'_>, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        super::cold::walk::<T, (), Self>(cold, steps, visit)
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
            Some((
                Step::AddElem | Step::KeyRange(_) | Step::Keys(_) | Step::Len | Step::View(_),
                _,
            )) => steps::written(Self::new(), steps, change),
            Some((step, rest)) => steps::create(step, rest, change),
        }
    }

    fn next(step: &Step) -> Result<ValueType, Misfit> {
        match step {
            Step::Elem(elem) => decode_key::<T>(elem).map(|_| ValueType::of::<T>()),
            Step::All | Step::AddElem | Step::Backwards(Every::Element) => Ok(ValueType::of::<T>()),
            Step::Len => Ok(ValueType::of::<u64>()),
            Step::View(view) => tally::next::<T, Self>(step, *view),
            Step::Keys(keys) => {
                keys.iter().try_for_each(|key| decode_key::<T>(&key.0).map(drop))?;
                Ok(ValueType::of::<Self>())
            }
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

impl<T: Key> Collection<T, ()> for Set<T> {
    const IS_SET: bool = true;

    fn put(&mut self, elem: T, (): ()) {
        self.insert(elem);
    }

    fn element(
        elem: T,
        _: Found<'_, ()>,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        elem.walk_owned(rest, visit)
    }

    fn own_step(
        entries: &dyn Entries<T, ()>,
        step: &Step,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError> {
        match step {
            Step::Elem(bytes) => {
                let found = entries.look_up(bytes).map_err(|e| e.at(visit.trail, step, rest))?;
                let elem = decode_key::<T>(bytes);
                let elem = elem.map_err(|e| visit.trail.misfit(step, rest.len(), e))?;
                found.map_or(Ok(()), |_| elem.walk_owned(rest, visit))
            }
            Step::AddElem => Ok(()),
            Step::View(view) => {
                let fail = |misfit, visit: &Visit<'_>| visit.trail.misfit(step, rest.len(), misfit);
                tally::next::<T, Self>(step, *view).map_err(|e| fail(e, visit))?;
                let mut tally = Tally::new(*view);
                each(entries, false, (step, rest), visit, |elem: T, _, visit| {
                    tally.add(&elem).map_err(|e| visit.trail.overflow(step, rest.len(), e))
                })?;
                tally.finish().walk(rest, visit)
            }
            step => entries.other(step, rest, visit),
        }
    }
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
        Step::Backwards(Every::Element) => {
            members_mut(set, set.iter().cloned().rev().collect(), rest, change)
        }
        Step::AddElem => {
            let Some(elem) = T::create(rest, change)? else { return Ok(Effect::Kept) };
            set.insert(elem);
            Ok(Effect::Changed)
        }
        Step::Len => steps::computed(set.len() as u64, step, rest, change),
        Step::View(view) => {
            let mut tally = Tally::new(*view);
            let seen = set.iter().try_for_each(|elem| tally.add(elem));
            seen.map_err(|e| change.trail.overflow(step, rest.len(), e))?;
            tally::next::<T, Set<T>>(step, *view)
                .map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            tally.finish().change(step, rest, change)
        }
        Step::KeyRange(_) | Step::Keys(_) => {
            let mut nobody = AnyValue(false);
            let mut visit = Visit::along(change.trail, &mut nobody, Limits::NONE);
            let part = entries::part::<T, (), Set<T>>(set, step, rest, &mut visit)?;
            part_mut(set, part.unwrap_or_default(), rest, change)
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
        change.place()?;
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
fn part_mut<T: Key>(
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
