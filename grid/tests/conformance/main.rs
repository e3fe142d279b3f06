//! Rows of the feature list, one test each, named after their row.

mod emptied;
mod seed;
mod todo;
mod tool;
