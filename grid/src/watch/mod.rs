//! Watches: what readers are told of without asking.
//!
//! A partition has a [`Hub`] that outlives its actor. The writer knows what is watched (`state/marks.rs`), and the hub
//! is told of what was touched when a view shows it. Paths are evaluated in the newest view, off the actor, at most one
//! at a time of a partition.

mod hub;
mod pace;
mod work;

pub(crate) use hub::{Figures, Hub, Key, Next};
pub(crate) use work::{Spot, evaluate_all, evaluate_due, evaluate_next};
