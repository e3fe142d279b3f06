//! A progress bar on the terminal; silent where nobody watches.

use std::io::{IsTerminal, Write, stderr};

/// How many characters the bar has.
const WIDTH: u64 = 40;

/// A bar that is redrawn in place.
pub(crate) struct Bar {
    label: &'static str,
    drawn: Option<u64>,
    watched: bool,
}

impl Bar {
    pub(crate) fn new(label: &'static str) -> Self {
        Self { label, drawn: None, watched: stderr().is_terminal() }
    }

    /// Shows `done` of `total`. Redraws only when something moves.
    pub(crate) fn show(&mut self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        if self.watched && self.drawn.replace(percent) != Some(percent) {
            let full = percent.min(100) * WIDTH / 100;
            let (full, empty) = ("#".repeat(full as usize), ".".repeat((WIDTH - full) as usize));
            eprint!("\r{} [{full}{empty}] {done} of {total}", self.label);
            drop(stderr().flush());
        }
    }

    /// Ends the line.
    pub(crate) fn finish(self) {
        if self.drawn.is_some() {
            eprintln!();
        }
    }
}
