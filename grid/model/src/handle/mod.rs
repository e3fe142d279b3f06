//! Typed names: what a module declares and every client uses.

mod depot;
mod pstate;

pub use depot::{Depot, Partitioning};
pub use pstate::{Kind, PState, Read};

/// Refuses an empty name while the constant is evaluated.
const fn checked(name: &'static str) -> &'static str {
    assert!(!name.is_empty(), "a depot or PState needs a name, such as \"todo/events\"");
    name
}
