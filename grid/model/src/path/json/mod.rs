//! The JSON edge: paths that come as JSON, and results that go as JSON.

pub(in crate::path) mod answer;
mod branching;
pub(in crate::path) mod kind;
pub(in crate::path) mod parse;
