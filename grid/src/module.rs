//! What a module declares: its depots, its topologies and the PStates that these own.

use std::any::TypeId;

use gridmill_model::{Depot, Event, Schema};

use crate::topology::{
    DepotCodec, PStateCodec, StateSet, Stream, TopologyDef, TypedDepot, Uses, id_mark,
};

/// A unit of state and logic: depots, stream topologies and their PStates.
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

/// A depot as declared.
pub(crate) struct DepotDef {
    pub(crate) name: &'static str,
    pub(crate) global: bool,
    pub(crate) event: TypeId,
    pub(crate) event_name: &'static str,
    pub(crate) codec: Box<dyn DepotCodec>,
}

/// A PState as declared.
pub(crate) struct PStateDef {
    pub(crate) name: &'static str,
    pub(crate) topology: usize,
    pub(crate) root: TypeId,
    pub(crate) schema: Schema,
    pub(crate) global: bool,
    /// Whether keys live on the partition of their hash.
    pub(crate) hashed: bool,
    pub(crate) private: bool,
    pub(crate) codec: Box<dyn PStateCodec>,
}

/// A `read()` of a PState in a topology's tuple, resolved once everything is declared.
pub(crate) struct StateUse {
    pub(crate) name: &'static str,
    pub(crate) root: TypeId,
    pub(crate) owned: bool,
}

/// Collects what a module declares.
#[derive(Default)]
pub struct Setup {
    pub(crate) depots: Vec<DepotDef>,
    pub(crate) pstates: Vec<PStateDef>,
    pub(crate) topologies: Vec<TopologyDef>,
    pub(crate) removed: Vec<String>,
    pub(crate) refilled: Vec<String>,
    pub(crate) problems: Vec<String>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("depots", &self.depots.iter().map(|depot| depot.name).collect::<Vec<_>>())
            .field("pstates", &self.pstates.iter().map(|pstate| pstate.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// Declares a depot. Two depots of one name are refused at start.
    pub fn depot<E: Event>(&mut self, depot: Depot<E>) -> &mut Self {
        if self.depots.iter().any(|known| known.name == depot.name()) {
            self.problems.push(format!("two depots are called `{}`; rename one", depot.name()));
        }
        self.depots.push(DepotDef {
            name: depot.name(),
            global: depot.is_global(),
            event: TypeId::of::<E>(),
            event_name: std::any::type_name::<E>(),
            codec: Box::new(TypedDepot::new(depot)),
        });
        self
    }

    /// Declares a stream topology that owns the PStates of `states`: one handle, or a tuple of them.
    /// `HANDLE.read()` lends another topology's PState without owning it.
    #[must_use = "a topology without a source does nothing: add `.source(DEPOT).each(handler)`"]
    pub fn stream<S: StateSet>(&mut self, name: &'static str, states: S) -> Stream<'_, S> {
        if self.topologies.iter().any(|known| known.name == name) {
            self.problems.push(format!("two topologies are called `{name}`; rename one"));
        }
        let alike =
            |known: &&TopologyDef| known.name != name && id_mark(known.name) == id_mark(name);
        if let Some(known) = self.topologies.iter().find(alike) {
            self.problems.push(format!(
                "topologies `{}` and `{name}` would give the same unique ids; rename one",
                known.name
            ));
        }
        let topology = self.topologies.len();
        let mut uses = Uses::default();
        states.declare(self, topology, &mut uses);
        self.topologies.push(TopologyDef::new(name, uses));
        Stream::new(self, topology)
    }

    /// Lets a topology fill its PStates again from its depots where those of an existing folder do not
    /// fit the code: one has another type, one is new or was another topology's, or the topology reads
    /// one more depot that has a past. Without it such a start is refused, so that no view is dropped
    /// or begins without its past by mistake.
    ///
    /// The topology then reads its depots from where it once started, beside the live flow; until it has
    /// caught up its PStates answer `CatchingUp`. It happens at the first start that does not fit: the
    /// line may stay in the code, but then it holds for later changes too. A topology that reads PStates
    /// of others, or whose PStates others read, cannot do this where its depots have a past.
    ///
    /// ```
    /// use gridmill::prelude::*;
    ///
    /// const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
    /// // Was a `u32` in the version before.
    /// const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
    ///
    /// struct Words;
    ///
    /// impl Module for Words {
    ///     const NAME: &'static str = "words";
    ///     const VERSION: u32 = 2;
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(WORDS).refill("count");
    ///         module.stream("count", COUNTS).source(WORDS).each(|word: Str, counts: &mut Map<Str, u64>| {
    ///             *counts.entry(word).or_default() += 1;
    ///         });
    ///     }
    /// }
    /// ```
    pub fn refill(&mut self, topology: impl Into<String>) -> &mut Self {
        self.refilled.push(topology.into());
        self
    }

    /// Says that a topology or PState that an existing folder has is gone for good. Its files are
    /// deleted at the next start. Without it a missing name is refused, so that a typing error cannot
    /// delete a view.
    pub fn remove(&mut self, name: impl Into<String>) -> &mut Self {
        self.removed.push(name.into());
        self
    }

    pub(crate) fn pstate(&mut self, def: PStateDef) {
        if let Some(known) = self.pstates.iter().find(|known| known.name == def.name) {
            let problem = if known.topology == def.topology {
                format!("PState `{}` stands twice in the tuple of one topology", def.name)
            } else {
                format!(
                    "PState `{}` is owned by two topologies; only one may write it, the other can \
                     have `.read()`",
                    def.name
                )
            };
            self.problems.push(problem);
        }
        self.pstates.push(def);
    }
}
