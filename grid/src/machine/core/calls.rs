//! Open calls: records that an async function is called for, until its answer is in the log.

use gridmill_model::PState;
use gridmill_persistence::Position;

use crate::machine::control::Verdict;
use crate::topology::{CallKey, OpenCall, OpenCalls, StateSet};

use super::panics::stopping_at_damage;
use super::{Core, Stop};

impl Core {
    /// How many calls of the live topologies are open.
    pub(crate) fn open_calls(&self) -> u64 {
        let live = self.plan.topologies.iter().zip(&self.consumers).filter(|(_, of)| of.live);
        live.filter_map(|(topology, _)| topology.calls).map(|cell| self.cells.0[cell].0.len()).sum()
    }

    /// The first open call for a record of a depot at or behind `from`. Nothing is being applied.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(crate) fn next_call(
        &mut self,
        (topology, depot): (usize, usize),
        from: Position,
    ) -> Result<Option<(Position, OpenCall)>, Stop> {
        let source = self.registry.source(depot);
        let Some(calls) = self.calls(topology) else { return Ok(None) };
        let mut range = calls.range((source, from.to_bits())..=(source, u64::MAX));
        let first = range.try_next().transpose()?;
        Ok(first.map(|((_, at), call)| (Position::from_bits(at), call.into_owned())))
    }

    /// The open call with this key; nothing where it has an answer. Nothing is being applied.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(crate) fn open_call(
        &mut self,
        topology: usize,
        key: CallKey,
    ) -> Result<Option<OpenCall>, Stop> {
        let Some(calls) = self.calls(topology) else { return Ok(None) };
        Ok(calls.try_get(key)?.map(|call| call.into_owned()))
    }

    /// The answer to a call of the topology whose stage is `depot` stands at `position`: where that is new to it, the
    /// call is open no more. May unwind with damage.
    pub(super) fn close_call(&mut self, depot: usize, key: CallKey, position: Position) {
        let inbox = self.plan.depots[depot].inbox;
        let Some(topology) = inbox.map(|inbox| inbox.topology) else { return };
        let consumer = &self.consumers[topology];
        if consumer.live && consumer.next <= position {
            self.remove_call(topology, key);
        }
    }

    /// As [`close_call`](Self::close_call), with a seal.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(super) fn close_call_alone(
        &mut self,
        depot: usize,
        key: CallKey,
        position: Position,
    ) -> Result<(), Stop> {
        stopping_at_damage(|| self.close_call(depot, key, position))?;
        self.seal()
    }

    /// A record was set aside: a call for it is open no more.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(super) fn give_call_up(&mut self, verdict: &Verdict) -> Result<(), Stop> {
        let Some(topology) = self.topology(&verdict.topology) else { return Ok(()) };
        let depot = self.plan.depots.iter().position(|depot| depot.name == verdict.depot);
        let is_called = |depot: &usize| {
            let topology = &self.plan.topologies[topology];
            topology.source(*depot).is_some_and(|source| topology.sources[source].call.is_some())
        };
        let Some(depot) = depot.filter(is_called) else { return Ok(()) };
        let key = (self.registry.source(depot), verdict.position.to_bits());
        if self.consumers[topology].live && self.open_call(topology, key)?.is_some() {
            self.remove_call(topology, key);
            self.seal()?;
        }
        Ok(())
    }

    pub(super) fn keep_call(&mut self, topology: usize, key: CallKey, call: OpenCall) {
        self.calls(topology).map(|calls| calls.insert(key, call));
    }

    fn remove_call(&mut self, topology: usize, key: CallKey) {
        self.calls(topology).map(|calls| calls.remove(key));
    }

    fn calls(&mut self, topology: usize) -> Option<&mut OpenCalls> {
        let cell = self.plan.topologies[topology].calls?;
        Some(<PState<OpenCalls> as StateSet>::lend(&mut self.cells, &[cell]))
    }
}
