//! What a run is asked to do, and what it answers.

use std::fmt;

/// What the clients of a run do, beside sending and reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workload {
    /// All that the others do.
    #[default]
    All,
    /// Nothing: handlers work, and topologies stay.
    Appends,
    /// A topology comes, reads the past beside the live flow, and goes.
    CatchUp,
    /// Handlers panic; what is set aside is handled again or forgotten.
    Quarantine,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::All, Self::Appends, Self::CatchUp, Self::Quarantine];

    /// The name on the command line of `simulate`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Appends => "appends",
            Self::CatchUp => "catch_up",
            Self::Quarantine => "quarantine",
        }
    }

    pub(super) const fn has_catch_up(self) -> bool {
        matches!(self, Self::All | Self::CatchUp)
    }

    pub(super) const fn has_quarantine(self) -> bool {
        matches!(self, Self::All | Self::Quarantine)
    }
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What its clients do.
    pub workload: Workload,
    /// Lives of the process.
    pub lives: u32,
    /// The step after which the run ends, to look at what led to it.
    pub until: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { workload: Workload::All, lives: 4, until: None }
    }
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// How many choices were made.
    pub steps: u64,
    /// Of all choices: equal for equal runs.
    pub digest: u64,
    /// Events that were acknowledged.
    pub acknowledged: u64,
    /// What was wrong.
    pub failure: Option<Failure>,
}

/// A run that went wrong.
#[derive(Debug)]
pub struct Failure {
    /// What was found.
    pub what: String,
    /// The last choices before.
    pub choices: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.choices.iter().try_for_each(|choice| writeln!(f, "  {choice}"))
    }
}
