//! Declaring a stream topology.

use std::marker::PhantomData;

use gridmill_model::{Depot, Event};

use crate::topology::{StateSet, StateUse};

use super::setup::Setup;
use super::source::{Source, SourceDef};

/// A topology as declared.
pub(crate) struct TopologyDef {
    pub(crate) name: &'static str,
    pub(crate) uses: Vec<StateUse>,
    pub(crate) sources: Vec<SourceDef>,
}

/// A stream topology that is being declared; see [`Setup::stream`].
pub struct Stream<'m, S> {
    pub(super) setup: &'m mut Setup,
    pub(super) topology: usize,
    states: PhantomData<S>,
}

impl<S> std::fmt::Debug for Stream<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl<'m, S: StateSet> Stream<'m, S> {
    pub(super) fn new(setup: &'m mut Setup, topology: usize) -> Self {
        Self { setup, topology, states: PhantomData }
    }

    /// Reads a depot. Its records are handled on the partition that holds them, in their order.
    pub fn source<E: Event>(self, depot: Depot<E>) -> Source<'m, S, E> {
        Source::new(self, depot)
    }
}
