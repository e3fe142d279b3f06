//! The tests of the model, in one binary.

#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod absent;
mod aggregate_rows;
mod aggregates;
mod archive;
mod collections;
mod diffs;
mod events;
mod forms;
mod keys;
mod list_acts;
mod lists;
mod path_cold;
mod path_json;
mod path_oracle;
mod path_rows;
mod path_vectors;
mod path_wire;
mod paths;
mod records;
mod schema;
mod sizes;
mod trees;
