//! Rows of the feature list, one test each, named after their row.

mod bad_input;
mod changes;
mod crash;
mod disk;
mod emptied;
mod faults;
mod ledger;
mod seed;
mod todo;
mod tool;
