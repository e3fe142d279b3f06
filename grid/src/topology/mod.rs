//! Topologies: what turns events into state.

mod codec;
mod context;
mod lookahead;
mod outcome;
mod stage;
mod states;
mod uses;

pub use context::Context;
pub use outcome::Outcome;
pub(crate) use outcome::Refusal;
pub use states::{AnyCell, Cells, StateSet, StateUnit};
pub use uses::Uses;

pub(crate) use codec::{AnyEvents, DepotCodec, PStateCodec, TypedDepot};
pub(crate) use context::id_mark;
pub(crate) use stage::{Answers, Each, RecordInfo, Stage, StageError, StageRun, Window};
pub(crate) use uses::{PStateDef, StateUse};
