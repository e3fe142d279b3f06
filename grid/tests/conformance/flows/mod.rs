//! Stages: handlers that send records on, to other partitions.

mod asks;
mod breaks;
mod calls;
mod killed;
mod local;
pub(crate) mod modules;
mod rows;
mod running;
mod stalled;
mod ticks;
mod timers;
