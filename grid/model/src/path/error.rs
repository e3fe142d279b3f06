//! What can be wrong with a path, said so that it can be mended.

use std::fmt;

use crate::Damaged;

/// A path does not fit its PState, or reached what cannot be done.
///
/// The message names the PState, the step and its number (counted from 1), what was expected,
/// what was found and what to do. In a select nothing has happened. In a transform the places
/// before the one that failed stay changed; a handler that returns the error is undone as a whole.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct PathError(Box<Details>);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
struct Details {
    kind: PathErrorKind,
    pstate: String,
    number: usize,
    step: String,
    misfit: Misfit,
}

/// The classes of [`PathError`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PathErrorKind {
    /// The path does not fit the type that it is walked on.
    Path,
    /// A place cannot be written so: an element moved out of its list, a field or the root
    /// removed, a computed value set, a sum too large for its type.
    Write,
    /// A select of one value reached several, or `collect_one` did not reach exactly one.
    ManyValues,
    /// A select reached more results or more bytes of them, or visited more places, than its
    /// [`Limits`](super::Limits) allow.
    Limit,
    /// Whoever selects had enough: a query was cancelled or ran out of time.
    Interrupted,
    /// A sum is too large for its type.
    Overflow,
    /// A value could not be written as JSON.
    Json,
    /// A stored entry could not be read.
    Damaged(Damaged),
}

/// What a step expected, what it got, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What would have been right.
    pub expected: String,
    /// What was there instead.
    pub got: String,
    /// What to do.
    pub help: String,
}

impl Misfit {
    /// A misfit of those three parts.
    pub fn new(
        expected: impl Into<String>,
        got: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { expected: expected.into(), got: got.into(), help: help.into() }
    }
}

impl PathError {
    pub(super) fn new(
        kind: PathErrorKind,
        pstate: &str,
        number: usize,
        step: String,
        misfit: Misfit,
    ) -> Self {
        Self(Box::new(Details { kind, pstate: pstate.to_owned(), number, step, misfit }))
    }

    /// A select reached more than its limit.
    #[doc(hidden)]
    pub fn over(pstate: &str, what: &str, limit: u64) -> Self {
        let misfit = Misfit::new(
            format!("at most {limit} {what}"),
            "more",
            "narrow the path, for example with `key_range`, or raise the limits of the select",
        );
        Self::new(PathErrorKind::Limit, pstate, 0, String::new(), misfit)
    }

    /// A value in memory cannot be changed so.
    pub(crate) fn unwritable(misfit: Misfit) -> Self {
        Self::new(PathErrorKind::Write, "", 0, String::new(), misfit)
    }

    /// Stored bytes were damaged.
    pub(super) fn damaged(pstate: &str, damaged: Damaged) -> Self {
        let misfit = Misfit::new(
            "an intact entry",
            damaged.to_string(),
            "run `gridmill verify` on the folder",
        );
        Self::new(PathErrorKind::Damaged(damaged), pstate, 0, String::new(), misfit)
    }

    /// What class of error it is.
    pub fn kind(&self) -> &PathErrorKind {
        &self.0.kind
    }

    /// The name of the PState that the path starts at; empty for a value in memory.
    pub fn pstate(&self) -> &str {
        &self.0.pstate
    }

    /// The number of the step, counted from 1; 0 for the path as a whole.
    pub fn step_number(&self) -> usize {
        self.0.number
    }

    /// The step as text; empty for the path as a whole.
    pub fn step(&self) -> &str {
        &self.0.step
    }

    /// What would have been right.
    pub fn expected(&self) -> &str {
        &self.0.misfit.expected
    }

    /// What was there instead.
    pub fn got(&self) -> &str {
        &self.0.misfit.got
    }

    /// What to do.
    pub fn help(&self) -> &str {
        &self.0.misfit.help
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pstate.as_str() {
            "" => f.write_str("path on a value")?,
            name => write!(f, "path on PState '{name}'")?,
        }
        if self.number > 0 {
            write!(f, ", step {} ({})", self.number, self.step)?;
        }
        let Misfit { expected, got, help } = &self.misfit;
        write!(f, ": expected {expected}, got {got}; {help}")
    }
}

/// A branch that claims more steps than are left.
pub(super) fn short_branch(count: u16, left: usize) -> Misfit {
    let (expected, got) = (format!("a branch of {count} steps"), format!("{left} steps"));
    Misfit::new(expected, got, "build the path with `Navigate`")
}

/// A branch in a branch, and so on, more than `most` times.
pub(super) fn too_deep(most: usize) -> Misfit {
    let expected = format!("conditions and branches nested at most {most} deep");
    Misfit::new(expected, "a deeper one", "put conditions one after the other")
}
