//! The ends of transforms, and applying them.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use super::change::{Change, Outcome, Terminal};
use super::error::{Misfit, PathError, PathErrorKind};
use super::trail::Trail;
use super::typed::Path;
use super::walk::Walk;
use crate::Root;

/// A path with what to do at its end. It does nothing until it is applied.
#[must_use = "a transform does nothing until it is applied: call `.apply(&mut root)`"]
pub struct Transform<R: Root, L, T> {
    path: Path<R, L>,
    terminal: T,
}

impl<R: Root, L: Walk, T> fmt::Debug for Transform<R, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<R: Root, L: Walk, T: Terminal> Transform<R, L, T> {
    pub(super) fn new(path: Path<R, L>, terminal: T) -> Self {
        Self { path, terminal }
    }

    /// Changes `root` and returns the number of places that were written or removed.
    ///
    /// What cannot be done is left alone: a move to a position outside of its list, the removal
    /// of the root or of a field that is no `Option`, the writing of a length. Use
    /// [`Transform::try_apply`] to hear of it.
    ///
    /// In a handler, an entry whose stored bytes are damaged stops the partition, as it does when
    /// plain Rust reads it.
    pub fn apply(self, root: &mut R) -> usize {
        let (changed, result) = self.run(root, true);
        if let Err(PathErrorKind::Damaged(damaged)) = result.as_ref().map_err(PathError::kind) {
            std::panic::panic_any(damaged.clone());
        }
        changed
    }

    /// Changes `root` and returns the number of places that were written or removed.
    ///
    /// # Errors
    ///
    /// - [`PathErrorKind::Write`] if something cannot be written so; see [`Transform::apply`]
    /// - [`PathErrorKind::Path`] if the path has too many steps
    /// - [`PathErrorKind::Damaged`] if a stored entry cannot be read
    ///
    /// Places before the one that failed stay changed.
    pub fn try_apply(self, root: &mut R) -> Result<usize, PathError> {
        let (changed, result) = self.run(root, false);
        result.map(|()| changed)
    }

    fn run(mut self, root: &mut R, lenient: bool) -> (usize, Result<(), PathError>) {
        let trail = Trail::new(self.path.pstate_name(), self.path.steps().len());
        let mut change = Change::new(trail, &mut self.terminal, lenient);
        let outcome =
            trail.check_length().and_then(|()| root.walk_mut(self.path.steps(), &mut change));
        let result = match outcome {
            Ok(Outcome::Removed) => change.refuse_root(),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        (change.changed(), result)
    }
}

impl Change<'_> {
    /// The root has nothing that holds it, so it cannot be taken out.
    fn refuse_root(&mut self) -> Result<(), PathError> {
        self.uncount();
        if self.is_lenient() {
            return Ok(());
        }
        let help = "set it to another value, or remove what is in it";
        let misfit = Misfit::new("a place in a collection", "the removal of the root", help);
        let pstate = self.trail.pstate();
        Err(PathError::new(PathErrorKind::Write, pstate, 0, String::new(), misfit))
    }
}

/// The end of [`Navigate::set`](super::Navigate::set) and
/// [`Navigate::move_to`](super::Navigate::move_to).
#[derive(Clone, Debug)]
pub struct Replace<L>(pub(super) L);

impl<L: Walk> Terminal for Replace<L> {
    fn change(&mut self, place: &mut dyn Any) -> Option<Outcome> {
        place.downcast_mut::<L>()?.clone_from(&self.0);
        Some(Outcome::Changed)
    }

    fn fill(&mut self, place: &mut dyn Any) -> bool {
        let Some(place) = place.downcast_mut::<Option<L>>() else { return false };
        *place = Some(self.0.clone());
        true
    }
}

/// The end of [`Navigate::update`](super::Navigate::update).
pub struct Update<L, F> {
    update: F,
    of: PhantomData<fn(L)>,
}

impl<L, F: FnMut(&mut L)> Update<L, F> {
    pub(super) fn new(update: F) -> Self {
        Self { update, of: PhantomData }
    }
}

impl<L, F> fmt::Debug for Update<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").finish_non_exhaustive()
    }
}

impl<L: Walk, F: FnMut(&mut L)> Terminal for Update<L, F> {
    fn change(&mut self, place: &mut dyn Any) -> Option<Outcome> {
        (self.update)(place.downcast_mut::<L>()?);
        Some(Outcome::Changed)
    }

    fn fill(&mut self, place: &mut dyn Any) -> bool {
        place.is::<Option<L>>()
    }
}

/// The end of [`Navigate::remove`](super::Navigate::remove).
#[derive(Debug)]
pub struct Remove<L>(PhantomData<fn(L)>);

impl<L> Remove<L> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<L: Walk> Terminal for Remove<L> {
    fn change(&mut self, place: &mut dyn Any) -> Option<Outcome> {
        place.is::<L>().then_some(Outcome::Removed)
    }

    fn fill(&mut self, place: &mut dyn Any) -> bool {
        place.is::<Option<L>>()
    }
}
