//! Lists: elements by position, moved, inserted and removed.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::{Change, Outcome};
use super::common;
use super::error::{Misfit, PathError};
use super::kind::Kind;
use super::step::Step;
use super::visit::Visit;
use super::walk::Walk;
use crate::{List, State};

/// A position in a list, counted from 0: what `index` reaches.
///
/// Setting it to another position moves the element there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl From<Position> for u64 {
    fn from(position: Position) -> Self {
        position.0
    }
}

impl PartialEq<u64> for Position {
    fn eq(&self, other: &u64) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Walk for Position {
    const ORDERED: bool = true;

    fn shape() -> String {
        "Position".to_owned()
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        self.partial_cmp(other)
    }
}

/// What lists and vectors have in common.
trait Sequence<T: 'static>: Walk + Default {
    fn count(&self) -> usize;
    fn at(&self, index: usize) -> Option<&T>;
    fn at_mut(&mut self, index: usize) -> Option<&mut T>;
    fn take(&mut self, index: usize);
    fn put(&mut self, index: usize, value: T);
    fn shift(&mut self, from: usize, to: usize);
    fn keep(&mut self, keep: &[bool]);
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a;
}

impl<T: State> Sequence<T> for List<T> {
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
        self.move_to(from, to);
    }
    fn keep(&mut self, keep: &[bool]) {
        *self = self.iter().zip(keep).filter(|(_, keep)| **keep).map(|(v, _)| v.clone()).collect();
    }
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.iter()
    }
}

impl<T: State> Sequence<T> for Vec<T> {
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
        let value = self.remove(from);
        self.insert(to, value);
    }
    fn keep(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        self.retain(|_| keep.next().copied().unwrap_or(true));
    }
    fn each<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.iter()
    }
}

macro_rules! sequences {
    ($($type:ty),*) => {
        $(impl<T: State> Walk for $type {
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
                    Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
                    Some((step, rest)) => common::walk_absent::<Self>(step, rest, visit),
                }
            }

            fn walk_mut(
                &mut self,
                steps: &[Step],
                change: &mut Change<'_>,
            ) -> Result<Outcome, PathError> {
                match steps.split_first() {
                    None => change.end(self),
                    Some((step, rest)) => walk_mut(self, step, rest, change),
                }
            }

            fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
                match steps.split_first() {
                    None => change.make(),
                    Some((Step::AfterElem | Step::BeforeElem | Step::Len, _)) => {
                        common::written(Self::default(), steps, change)
                    }
                    Some((step, rest)) => common::create(step, rest, change),
                }
            }

            fn next(step: &Step) -> Result<Kind, Misfit> {
                match step {
                    Step::Nth(_) | Step::First | Step::Last | Step::All => Ok(Kind::of::<T>()),
                    Step::AfterElem | Step::BeforeElem => Ok(Kind::of::<T>()),
                    Step::Index(_) => Ok(Kind::of::<Position>()),
                    Step::Len => Ok(Kind::of::<u64>()),
                    step => common::next::<Self>(step),
                }
            }
        })*
    };
}

sequences!(List<T>, Vec<T>);

/// The position that a step names in a list of that length, if there is an element.
fn position(step: &Step, len: usize) -> Option<usize> {
    match step {
        Step::Nth(at) | Step::Index(at) => usize::try_from(*at).ok(),
        Step::First => Some(0),
        _ => len.checked_sub(1),
    }
    .filter(|at| *at < len)
}

fn walk<T: State, S: Sequence<T>>(
    list: &S,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Nth(_) | Step::First | Step::Last => {
            let element = position(step, list.count()).and_then(|at| list.at(at));
            element.map_or(Ok(()), |element| element.walk(rest, visit))
        }
        Step::Index(index) => match position(step, list.count()) {
            Some(_) => Position(*index).walk_owned(rest, visit),
            None => Ok(()),
        },
        Step::All => {
            for element in list.each() {
                if !visit.place()? {
                    break;
                }
                element.walk(rest, visit)?;
            }
            Ok(())
        }
        Step::AfterElem | Step::BeforeElem => Ok(()),
        Step::Len => (list.count() as u64).walk_owned(rest, visit),
        step => common::walk(list, step, rest, visit),
    }
}

fn walk_mut<T: State, S: Sequence<T>>(
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
        Step::Len => common::computed(list.count() as u64, step, rest, change),
        step => common::walk_mut(list, step, rest, change),
    }
}

fn element_mut<T: State, S: Sequence<T>>(
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
fn move_element<T: State, S: Sequence<T>>(
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
fn all_mut<T: State, S: Sequence<T>>(
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
fn each_mut<T: State, S: Sequence<T>>(
    list: &mut S,
    rest: &[Step],
    change: &mut Change<'_>,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), PathError> {
    let probe = common::probe(rest);
    for at in 0..list.count() {
        let worth = |element| common::worth(element, probe, rest, change.trail);
        if !list.at(at).map_or(Ok(false), worth)? {
            outcomes.push(Outcome::Kept);
            continue;
        }
        let outcome = list.at_mut(at).map_or(Ok(Outcome::Kept), |e| e.walk_mut(rest, change))?;
        outcomes.push(outcome);
    }
    Ok(())
}
