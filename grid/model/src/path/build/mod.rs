//! The typed builder: a path that does not fit its PState does not compile.

mod args;
pub(in crate::path) mod branches;
pub(in crate::path) mod carry;
pub(in crate::path) mod collects;
pub(in crate::path) mod data_transform;
pub(in crate::path) mod each;
pub(in crate::path) mod filters;
pub(in crate::path) mod fits;
pub(in crate::path) mod one;
pub(in crate::path) mod parts;
pub(in crate::path) mod path;
pub(in crate::path) mod terms;
pub(in crate::path) mod views;
