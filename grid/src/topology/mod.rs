//! Topologies: what turns events into state.

mod calls;
mod codec;
mod context;
mod effects;
mod fan;
mod handler;
mod lookahead;
mod outcome;
mod reads;
mod replies;
mod states;
mod timers;
mod uses;

pub use calls::Call;
pub use context::Context;
pub use outcome::Outcome;
pub(crate) use outcome::Refusal;
pub use reads::ReadSet;
pub use states::{AnyCell, Cells, StateSet, StateUnit};
pub use uses::Uses;

pub(crate) use calls::{
    AsyncEach, AsyncHandler, CallKey, CallResult, Calling, OpenCall, OpenCalls, OpensCalls, key_of,
    open_calls,
};
pub(crate) use codec::{AnyEvents, DepotCodec, Origin, TypedDepot};
pub(crate) use context::{Sending, id_mark};
pub(crate) use effects::{
    Effects, Emit, HOP_BYTES_MAX, HOP_OVERHEAD, OpenedCall, Output, OutputKind, SendLimits,
};
pub(crate) use fan::FanEach;
pub(crate) use handler::{Answers, Each, Handler, HandlerError, HandlerRun, RecordInfo, Window};
pub(crate) use replies::Combiner;
pub(crate) use timers::{EVERYWHERE, Later, Scheduled, TimerKey, Timers, timers};
pub(crate) use uses::{PStateDef, StateUse};
