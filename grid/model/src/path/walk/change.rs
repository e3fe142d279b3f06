//! What goes along with a transform: what to do at its end, and what has happened so far.

use std::any::Any;
use std::fmt;

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

/// The end of a transform: it is shown each place that the path reaches.
pub trait Terminal {
    /// Acts on the value at a place, the `Leaf` of the path. `None` if it is of another type.
    fn change(&mut self, place: &mut dyn Any) -> Option<Effect>;

    /// Fills an empty place, an `Option<Leaf>`, or leaves it empty. False if it is of another type.
    fn fill(&mut self, place: &mut dyn Any) -> bool;
}

/// The running transform: its end, its count and its place in the path.
pub struct Change<'t> {
    terminal: &'t mut dyn Terminal,
    changed: usize,
    lenient: bool,
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
        Self { terminal, changed: 0, lenient, trail }
    }

    /// How many places were written or removed so far.
    pub(in crate::path) fn changed(&self) -> usize {
        self.changed
    }

    /// Acts on a value at the end of the path.
    pub(in crate::path) fn end<T: Any>(&mut self, value: &mut T) -> Result<Effect, PathError> {
        let Some(effect) = self.terminal.change(value) else { return Err(self.foreign::<T>()) };
        self.changed += usize::from(effect != Effect::Kept);
        Ok(effect)
    }

    /// Makes a value where the path ends and none is.
    pub(in crate::path) fn make<T: Any>(&mut self) -> Result<Option<T>, PathError> {
        let mut place: Option<T> = None;
        if !self.terminal.fill(&mut place) {
            return Err(self.foreign::<T>());
        }
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

    /// The typed builder rules this out; steps of another origin cannot be applied.
    fn foreign<T>(&self) -> PathError {
        let got = std::any::type_name::<T>();
        self.trail.whole(Misfit::new("the type of the path's end", got, "build the path anew"))
    }
}
