//! Rows of the feature list, one test each, named after their row.

mod bad_input;
mod catch_up;
mod changes;
mod compiler;
mod crash;
mod disk;
mod emptied;
mod faults;
mod ledger;
mod opening;
mod path_cases;
mod path_law;
mod paths;
mod pstates;
mod reads;
mod seed;
mod shapes;
mod streams;
mod todo;
mod tool;
