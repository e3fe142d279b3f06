//! Branches of a path: sub-paths that lie among its steps.

use super::step::Step;

/// One branch of a step: its steps, and how many steps stand behind them.
#[derive(Clone, Copy, Debug)]
pub(in crate::path) struct Branch<'s> {
    pub(in crate::path) steps: &'s [Step],
    pub(in crate::path) behind: usize,
}
