//! A path with an end: a transform that waits to be applied.

use std::fmt;

use super::path::Path;
use crate::Root;
use crate::path::walk::Walk;
use crate::path::walk::change::Terminal;

/// A path with what to do at its end. It does nothing until it is applied.
#[must_use = "a transform does nothing until it is applied: call `.apply(&mut root)`"]
pub struct Transform<R: Root, L, T> {
    pub(in crate::path) path: Path<R, L>,
    pub(in crate::path) terminal: T,
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
}
