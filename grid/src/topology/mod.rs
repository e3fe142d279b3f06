//! Topologies: what turns events into state.

mod codec;
mod context;
mod lookahead;
mod outcome;
mod stage;
mod states;
mod stream;

pub use context::Context;
pub use outcome::Outcome;
pub(crate) use outcome::Refusal;
pub use states::{AnyCell, Cells, StateSet, StateUnit, Uses};
pub use stream::{Source, StartFrom, Stream};

pub(crate) use codec::{AnyEvents, DepotCodec, PStateCodec, TypedDepot};
pub(crate) use context::id_mark;
pub(crate) use stage::{Answers, RecordInfo, Stage, StageError, StageRun, Window};
pub(crate) use stream::{SourceDef, TopologyDef};
