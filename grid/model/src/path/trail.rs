//! Where in a path a walk is, for the messages.

use std::fmt;

use super::data::limits::MAX_STEPS;
use super::error::{Misfit, PathError, PathErrorKind};

/// Knows the whole path while its parts are walked: a walk sees only the steps that remain.
#[derive(Clone, Copy, Debug)]
pub struct Trail<'p> {
    pstate: &'p str,
    total: usize,
    /// Steps behind the slice that is being walked: those after a condition.
    tail: usize,
}

impl<'p> Trail<'p> {
    /// The start of a path of that many steps on that PState.
    #[inline]
    pub fn new(pstate: &'p str, total: usize) -> Self {
        Self { pstate, total, tail: 0 }
    }

    /// The trail within a condition that is followed by `after` steps.
    pub(super) fn before(self, after: usize) -> Self {
        Self { tail: self.tail + after, ..self }
    }

    pub(super) fn pstate(&self) -> &'p str {
        self.pstate
    }

    /// Refuses a path that is too long before anything is walked.
    #[inline]
    pub(super) fn check_length(&self) -> Result<(), PathError> {
        if self.total <= MAX_STEPS { Ok(()) } else { Err(self.too_long()) }
    }

    #[cold]
    fn too_long(&self) -> PathError {
        let misfit = Misfit::new(
            format!("at most {MAX_STEPS} steps"),
            format!("{} steps", self.total),
            "shorten the path, or select twice",
        );
        self.whole(misfit)
    }

    /// A transform of values on the way of a select looks at more than the select may.
    #[cold]
    pub(super) fn too_many(&self) -> PathError {
        let help = "narrow the path, or raise the limits of the select";
        let misfit = Misfit::new("fewer places visited", "more than the limit", help);
        PathError::new(PathErrorKind::Limit, self.pstate, 0, String::new(), misfit)
    }

    /// An error about the path as a whole.
    pub(super) fn whole(&self, misfit: Misfit) -> PathError {
        PathError::new(PathErrorKind::Path, self.pstate, 0, String::new(), misfit)
    }

    /// An error about a step, given as its text, that `left` steps follow.
    pub(super) fn at(
        &self,
        kind: PathErrorKind,
        step: &dyn fmt::Display,
        left: usize,
        misfit: Misfit,
    ) -> PathError {
        let number = self.total.saturating_sub(self.tail + left);
        PathError::new(kind, self.pstate, number, step.to_string(), misfit)
    }

    /// The step comes to a sum that its type cannot hold.
    pub(super) fn overflow(
        &self,
        step: &dyn fmt::Display,
        left: usize,
        misfit: Misfit,
    ) -> PathError {
        self.at(PathErrorKind::Overflow, step, left, misfit)
    }

    /// The step does not fit the value that it stands at.
    pub(super) fn misfit(&self, step: &dyn fmt::Display, left: usize, misfit: Misfit) -> PathError {
        self.at(PathErrorKind::Path, step, left, misfit)
    }
}
