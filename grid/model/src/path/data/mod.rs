//! A path as data: steps and what they hold, as text and as bytes. Nothing here knows the type of a value
//! that is walked.

pub(in crate::path) mod branch;
pub(in crate::path) mod encode;
pub(in crate::path) mod filter;
pub(in crate::path) mod keys;
pub(in crate::path) mod limits;
pub(in crate::path) mod own;
pub(in crate::path) mod step;
pub(in crate::path) mod term;
pub(in crate::path) mod text;
