//! What the code emitted by `#[record]` names; not for use by hand.

pub use crate as model;
pub use {rkyv, serde};
