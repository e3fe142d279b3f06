//! Systems that do the same operations.

pub mod file;
pub mod fjall;
pub mod hashmap;
pub mod postgres;
pub mod redis;
pub(crate) mod server;
