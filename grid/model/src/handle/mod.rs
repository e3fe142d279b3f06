//! Typed names: what a module declares and every client uses.

mod depot;
mod fan;
mod pstate;
mod query;
mod stage;
mod tick;
mod timer;
mod topology;

pub use depot::{Depot, Partitioning};
pub use fan::Fan;
pub use pstate::{Kind, PState, Read};
pub use query::{Part, Query};
pub use stage::{Route, Stage};
pub use tick::Tick;
pub use timer::Timer;
pub use topology::Topology;

/// Refuses an empty name while the constant is evaluated.
const fn checked(name: &'static str) -> &'static str {
    assert!(
        !name.is_empty(),
        "a depot, PState, stage, query or topology needs a name, such as \"todo/events\""
    );
    name
}
