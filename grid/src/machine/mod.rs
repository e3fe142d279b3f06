//! A partition: one log, one machine that applies it, one set of states.
//!
//! [`core::Core`] is the machine: a pure function from records to state. Around it: [`check`] holds a
//! folder against a start, [`open`] brings it to life, [`replay`] reads the log back, [`flush`] writes
//! state out, [`merge`] tidies up what was written, [`manifest`] says what a
//! folder holds, [`reconcile`] holds that against the code, [`flow`] is what it remembers of records that
//! partitions send each other.

pub(crate) mod answers;
pub(crate) mod batch;
mod breadcrumbs;
pub(crate) mod budget;
pub(crate) mod check;
pub(crate) mod control;
pub(crate) mod core;
pub(crate) mod flow;
pub(crate) mod flush;
pub(crate) mod manifest;
pub(crate) mod merge;
pub(crate) mod once;
pub(crate) mod open;
mod pace;
pub(crate) mod reconcile;
pub(crate) mod registry;
pub(crate) mod replay;
pub(crate) mod ticks;
