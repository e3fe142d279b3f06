//! The typed builder: a path that does not fit its PState does not compile.

mod args;
pub(in crate::path) mod fits;
pub(in crate::path) mod navigate;
pub(in crate::path) mod path;
pub(in crate::path) mod terms;
