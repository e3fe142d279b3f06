//! What follows a branch: the steps that are walked when those at hand are at their end.

use crate::path::data::step::Step;
use crate::path::trail::Trail;

/// Steps that wait until the branch before them has reached a value; behind them others may wait.
///
/// Frames lie on the stack of the walk. As a branch is a part of the path, and frames are made where one
/// begins, there are never more of them than steps.
#[derive(Clone, Copy, Debug)]
pub(in crate::path) struct Frame<'f> {
    pub(in crate::path) steps: &'f [Step],
    pub(in crate::path) trail: Trail<'f>,
    pub(in crate::path) then: Option<&'f Frame<'f>>,
}
