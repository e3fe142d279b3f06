//! Carrying a diff out: each edit is a transform.

use super::{Diff, Edit, Op};
use crate::State;
use crate::path::{Misfit, PathError, Term, change_at};

impl Diff {
    /// Makes of the value that this diff starts from the one that it leads to.
    ///
    /// The bytes of a diff may come from anywhere: whatever they are, this ends with the value or with an error.
    ///
    /// # Errors
    /// [`PathError`] where an edit does not fit the value or reaches nothing in it, because the diff is of another
    /// value. Edits before that one stay done: start again from a whole value.
    pub fn apply<T: State>(&self, value: &mut Option<T>) -> Result<(), PathError> {
        self.0.iter().try_for_each(|edit| edit.apply(value))
    }
}

impl Edit {
    fn apply<T: State>(&self, value: &mut Option<T>) -> Result<(), PathError> {
        if self.steps.is_empty() {
            *value = self.op.whole()?;
            return Ok(());
        }
        let Some(value) = value else { return Err(elsewhere("no value")) };
        let reached = change_at(value, &self.steps, self.op.term())?;
        if reached { Ok(()) } else { Err(elsewhere("a value without the place of an edit")) }
    }
}

impl Op {
    /// The value that it puts in the place of a whole one.
    fn whole<T: State>(&self) -> Result<Option<T>, PathError> {
        let decoded = match self {
            Self::Remove => return Ok(None),
            Self::Set(bytes) => postcard::from_bytes(bytes).ok(),
            Self::Insert(_) | Self::Move(_) | Self::Rename(_) | Self::Splice(_) => None,
        };
        decoded.map(Some).ok_or_else(|| elsewhere("another type"))
    }

    /// The end of a transform that does it.
    fn term(&self) -> Term {
        match self {
            Self::Remove => Term::Remove,
            Self::Set(bytes) | Self::Insert(bytes) | Self::Rename(bytes) | Self::Splice(bytes) => {
                Term::Set(bytes.clone())
            }
            Self::Move(to) => Term::Set(super::out::encoded(to)),
        }
    }
}

/// The diff is of another value.
fn elsewhere(got: &str) -> PathError {
    let help = "apply each diff once, in order, or start again from a whole value";
    let misfit = Misfit::new("the value that the diff starts from", got, help);
    PathError::unwritable(misfit)
}
