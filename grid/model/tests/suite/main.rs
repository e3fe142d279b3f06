//! The tests of the model, in one binary.

mod archive;
mod collections;
mod events;
mod keys;
mod path_json;
mod path_vectors;
mod paths;
mod records;
mod schema;
