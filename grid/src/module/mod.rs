//! Modules: what they declare, and that checked and with its names resolved.

mod calls;
mod failure;
mod fan;
mod hidden;
mod names;
mod plan;
mod query;
mod setup;
mod source;
mod stream;

pub use calls::Calls;
pub use failure::OnFailure;
pub use fan::FanSource;
pub use setup::Setup;
pub use source::{Source, StartFrom};
pub use stream::Stream;

pub(crate) use names::refuse_common_names;
pub(crate) use plan::{Plan, Topology};
pub(crate) use query::{PartPlan, QueryDef};

/// A unit of state and logic: depots, stream topologies and their PStates, and queries.
///
/// ```
/// use gridmill::prelude::*;
///
/// pub const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
/// pub const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
///
/// pub struct Words;
///
/// impl Module for Words {
///     const NAME: &'static str = "words";
///
///     fn define(module: &mut Setup) {
///         module.depot(WORDS);
///         module.stream("count", COUNTS).source(WORDS).each(count);
///     }
/// }
///
/// fn count(word: Str, counts: &mut Map<Str, u64>) {
///     *counts.entry(word).or_default() += 1;
/// }
/// ```
pub trait Module: 'static {
    /// The module's name: its folder below the data folder. Letters, digits, `-` and `_`.
    const NAME: &'static str;

    /// The version of the module's handlers. Raise it when a handler computes something else from
    /// the same records. An unclean tail of the log that another version processed is then refused at
    /// start, because replaying it could give other state than readers saw.
    const VERSION: u32 = 1;

    /// Declares everything, in order. Called once when a grid starts.
    fn define(module: &mut Setup);
}
