//! Rows of the feature list, one test each, named after their row.

mod seed;
mod todo;
mod tool;
