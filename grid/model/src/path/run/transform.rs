//! Applying transforms: what their ends do at a place, and what cannot be done.

use crate::Root;
use crate::path::build::carry::Carry;
use crate::path::build::terms::Transform;
use crate::path::data::step::Step;
use crate::path::data::term::Term;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;
use crate::path::walk::Walk;
use crate::path::walk::change::{Change, Effect, Terminal};

impl<R: Root, L: Walk, T: Terminal, C: Carry> Transform<R, L, T, C> {
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
        let effect =
            trail.check_length().and_then(|()| root.walk_mut(self.path.steps(), &mut change));
        let result = match effect {
            Ok(Effect::Removed) => change.refuse_root(),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        (change.changed(), result)
    }
}

/// Does in a value in memory what the end says, at the places that the steps reach; tells whether there was one.
pub(crate) fn change_at<T: Walk>(
    value: &mut T,
    steps: &[Step],
    mut end: Term,
) -> Result<bool, PathError> {
    let trail = Trail::new("", steps.len());
    trail.check_length()?;
    let mut change = Change::new(trail, &mut end, false);
    match value.walk_mut(steps, &mut change)? {
        Effect::Kept => Ok(false),
        Effect::Changed => Ok(true),
        Effect::Removed => change.refuse_root().map(|()| false),
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
