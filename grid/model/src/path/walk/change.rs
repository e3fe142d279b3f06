//! What goes along with a transform: what to do at its end, and what has happened so far.

use std::fmt;

use super::Walk;
use super::frame::Frame;
use super::place::{EmptyPlace, Place};
use crate::path::data::branch::Branch;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;

/// What a transform did to the value that it was walked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was reached: the value is as it was.
    Kept,
    /// The value, or something in it, was written.
    Changed,
    /// The value is to be taken out of what holds it.
    Removed,
}

/// What can be done to a place without a look at what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// What an empty place is filled with takes the place of whatever is there.
    Set,
    /// It is taken out.
    Remove,
}

/// The end of a transform: it is shown each place that the path reaches.
pub trait Terminal {
    /// Acts on the value at a place, the `Leaf` of the path.
    ///
    /// # Errors
    ///
    /// The place is of another type, or the value cannot be made.
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit>;

    /// What it does to a place whatever is in it, where it does such a thing.
    fn blind(&self) -> Option<Blind> {
        None
    }

    /// Fills an empty place, or leaves it empty.
    ///
    /// # Errors
    ///
    /// As [`Terminal::change`].
    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit>;
}

/// The running transform: its end, its count, its place in the path and what follows there.
pub struct Change<'t> {
    terminal: &'t mut dyn Terminal,
    changed: usize,
    places_left: u64,
    lenient: bool,
    then: Option<&'t Frame<'t>>,
    pub(in crate::path) trail: Trail<'t>,
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("changed", &self.changed)
            .field("trail", &self.trail)
            .finish_non_exhaustive()
    }
}

impl<'t> Change<'t> {
    /// Starts a transform; a lenient one leaves alone what cannot be written.
    pub(in crate::path) fn new(
        trail: Trail<'t>,
        terminal: &'t mut dyn Terminal,
        lenient: bool,
    ) -> Self {
        Self { terminal, changed: 0, places_left: u64::MAX, lenient, then: None, trail }
    }

    /// The same, of at most so many places.
    pub(in crate::path) fn within(self, places: u64) -> Self {
        Self { places_left: places, ..self }
    }

    /// How many places may still be looked at.
    pub(in crate::path) fn places_left(&self) -> u64 {
        self.places_left
    }

    /// Counts an entry or element that is looked at.
    pub(in crate::path) fn place(&mut self) -> Result<(), PathError> {
        let Some(left) = self.places_left.checked_sub(1) else { return Err(self.trail.too_many()) };
        self.places_left = left;
        Ok(())
    }

    /// How many places were written or removed so far.
    pub(in crate::path) fn changed(&self) -> usize {
        self.changed
    }

    /// Changes along a branch, and along what follows it from each value that it reaches.
    pub(in crate::path) fn through<T>(
        &mut self,
        branch: Branch<'_>,
        after: &[Step],
        change: impl FnOnce(&[Step], &mut Change<'_>) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        if branch.steps.is_empty() {
            return change(after, self);
        }
        let frame = Frame { steps: after, trail: self.trail, then: self.then };
        let mut inner = Change {
            terminal: &mut *self.terminal,
            changed: self.changed,
            places_left: self.places_left,
            lenient: self.lenient,
            then: Some(&frame),
            trail: self.trail.before(branch.behind),
        };
        let effect = change(branch.steps, &mut inner);
        (self.changed, self.places_left) = (inner.changed, inner.places_left);
        effect
    }

    /// Changes along a sub-path on its own, with an end of its own. Its places are counted.
    pub(in crate::path) fn aside<T>(
        &mut self,
        branch: Branch<'_>,
        terminal: &mut dyn Terminal,
        change: impl FnOnce(&[Step], &mut Change<'_>) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        let trail = self.trail.before(branch.behind);
        let mut inner = Change::new(trail, terminal, self.lenient).within(self.places_left);
        let effect = change(branch.steps, &mut inner);
        self.changed += inner.changed;
        self.places_left = inner.places_left;
        effect
    }

    /// Goes on behind the branch that is at its end.
    fn resume<T>(
        &mut self,
        frame: &'t Frame<'t>,
        change: impl FnOnce(&'t [Step], &mut Self) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        let at = (self.trail, self.then);
        (self.trail, self.then) = (frame.trail, frame.then);
        let effect = change(frame.steps, self);
        (self.trail, self.then) = at;
        effect
    }

    /// What happens at the end of the path whatever is there, where the path ends here.
    pub(in crate::path) fn blind(&self) -> Option<Blind> {
        if self.then.is_some() { None } else { self.terminal.blind() }
    }

    /// Counts a place that was written without a look at it.
    pub(in crate::path) fn count(&mut self) {
        self.changed += 1;
    }

    /// Acts on a value at the end of the path, or goes on from it behind a branch.
    pub(in crate::path) fn end<T: Walk>(&mut self, value: &mut T) -> Result<Effect, PathError> {
        if let Some(frame) = self.then {
            return self.resume(frame, |steps, change| value.walk_mut(steps, change));
        }
        let effect = self.terminal.change(value).map_err(|misfit| self.unwritten(misfit))?;
        self.changed += usize::from(effect != Effect::Kept);
        Ok(effect)
    }

    /// Makes a value where the path ends and none is, or goes on behind a branch.
    pub(in crate::path) fn make<T: Walk>(&mut self) -> Result<Option<T>, PathError> {
        if let Some(frame) = self.then {
            return self.resume(frame, |steps, change| T::create(steps, change));
        }
        let mut place: Option<T> = None;
        self.terminal.fill(&mut place).map_err(|misfit| self.unwritten(misfit))?;
        self.changed += usize::from(place.is_some());
        Ok(place)
    }

    /// What was absent is absent still: no place was reached, and the last count goes.
    pub(in crate::path) fn undone(&mut self) -> Effect {
        self.uncount();
        Effect::Kept
    }

    /// Takes back the last count: it was not done after all.
    pub(in crate::path) fn uncount(&mut self) {
        self.changed = self.changed.saturating_sub(1);
    }

    /// Whether what cannot be written is left alone instead of ending the transform.
    pub(in crate::path) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// What was asked for cannot be done here.
    ///
    /// # Errors
    ///
    /// The misfit, unless the transform is lenient.
    pub(in crate::path) fn refuse(
        &mut self,
        step: &Step,
        rest: &[Step],
        misfit: Misfit,
    ) -> Result<Effect, PathError> {
        self.uncount();
        if self.lenient {
            return Ok(Effect::Kept);
        }
        Err(self.trail.at(PathErrorKind::Write, step, rest.len(), misfit))
    }

    /// The end of the path cannot write so.
    fn unwritten(&self, misfit: Misfit) -> PathError {
        PathError::new(PathErrorKind::Write, self.trail.pstate(), 0, String::new(), misfit)
    }
}
