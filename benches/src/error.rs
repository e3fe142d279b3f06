//! What can go wrong with a run.

use std::fmt::Display;

/// The result of a step of a run.
pub type Result<T> = std::result::Result<T, BenchError>;

/// Why a run ended early, or does not count.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line does not say what to do.
    #[error("{0}\nTry `gridbench --help`.")]
    Usage(String),
    /// Help was asked for.
    #[error("{}", crate::args::usage().trim_end())]
    Help,
    /// A peer cannot run here.
    #[error("peer `{peer}`: `{program}` was not found; on Debian: apt-get install {package}")]
    Missing {
        /// The peer that was asked for.
        peer: &'static str,
        /// The program that it needs.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// Two numbers that must be equal are not: the run does not count.
    #[error("{subject}: wrong result: {what}: expected {expected}, got {got}")]
    Wrong {
        /// Which system gave it.
        subject: String,
        /// What was counted.
        what: String,
        /// What the operations add up to.
        expected: u64,
        /// What the system says.
        got: u64,
    },
    /// A system under test failed.
    #[error("{what}: {message}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What it said.
        message: String,
    },
}

/// Wraps the error of a system under test.
pub(crate) fn failed<E: Display>(what: &'static str) -> impl Fn(E) -> BenchError {
    move |error| BenchError::Failed { what, message: error.to_string() }
}

/// Refuses a result that is not the expected one.
pub(crate) fn check(subject: &str, what: &str, expected: u64, got: u64) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    let (subject, what) = (subject.to_owned(), what.to_owned());
    Err(BenchError::Wrong { subject, what, expected, got })
}
