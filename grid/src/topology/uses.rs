//! What the tuple of a topology says: PStates that it owns, and those of others that it reads.

use std::any::TypeId;

use gridmill_model::Schema;

use super::codec::PStateCodec;

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
    /// Whether the engine keeps something of its own in it: clients do not see that it is there.
    pub(crate) hidden: bool,
    pub(crate) codec: Box<dyn PStateCodec>,
}

/// A `read()` of a PState in a topology's tuple, resolved once everything is declared.
pub(crate) struct StateUse {
    pub(crate) name: &'static str,
    pub(crate) root: TypeId,
    pub(crate) owned: bool,
}

/// PStates that a topology names, in the order of its tuple.
#[doc(hidden)]
pub struct Uses {
    /// The topology's number in its module.
    pub(crate) topology: usize,
    pub(crate) uses: Vec<StateUse>,
    /// Those that it owns.
    pub(crate) owned: Vec<PStateDef>,
}

impl Uses {
    /// Those of the topology with this number, which are not declared yet.
    pub(crate) fn of(topology: usize) -> Self {
        Self { topology, uses: Vec::new(), owned: Vec::new() }
    }
}

impl std::fmt::Debug for Uses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uses({})", self.uses.len())
    }
}
