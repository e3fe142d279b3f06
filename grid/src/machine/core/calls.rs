//! Open calls: records that an async function is called for, until its answer is in the log.

use gridmill_client::Rejection;
use gridmill_model::PState;
use gridmill_persistence::Position;

use crate::machine::answers::{refused, set_aside};
use crate::machine::batch::Item;
use crate::machine::control::{Retry, Verdict};
use crate::topology::{CallKey, OpenCall, OpenCalls, OpenedCall, StateSet};

use super::careful::skipped;
use super::panics::stopping_at_damage;
use super::{Core, Stop};

/// A call that is not made again.
pub(crate) struct FailedCall {
    pub(crate) verdict: Verdict,
    /// What the appender hears, where one waits.
    pub(crate) rejection: Rejection,
    skips: bool,
}

impl FailedCall {
    /// What is to be applied.
    pub(crate) fn into_items(self) -> Vec<Item> {
        let discard = self.skips.then(|| Item::Discard(Retry::of(&self.verdict)));
        std::iter::once(Item::Verdict(self.verdict)).chain(discard).collect()
    }
}

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

    /// What names the call for the record of a depot.
    pub(crate) fn call_key(&self, depot: usize, position: Position) -> CallKey {
        (self.registry.source(depot), position.to_bits())
    }

    /// What becomes of the record of a call that has failed for the last time, after so many attempts; nothing where
    /// the call is open no more. Nothing is being applied.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(crate) fn failed_call(
        &mut self,
        OpenedCall { topology, depot, position }: OpenedCall,
        attempts: u32,
        message: &str,
    ) -> Result<Option<FailedCall>, Stop> {
        let open = self.open_call(topology, self.call_key(depot, position))?;
        let Some(OpenCall { offset, time, .. }) = open else { return Ok(None) };
        let name = self.plan.topologies[topology].name;
        let def = &self.plan.depots[depot];
        let message = format!("the call failed: {message}");
        let stage = def.inbox.map(|inbox| inbox.stage);
        let skips = self.plan.skips(name, def.name);
        let rejection = match skips {
            true => refused(name, stage, skipped(&message)),
            false => set_aside(name, stage, message.clone()),
        };
        let (topology, depot) = (name.to_owned(), def.name.to_owned());
        let verdict = Verdict { topology, position, depot, offset, time, attempts, message };
        Ok(Some(FailedCall { verdict, rejection, skips }))
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
        let is_called = |depot: &usize| self.plan.topologies[topology].call(*depot).is_some();
        let Some(depot) = depot.filter(is_called) else { return Ok(()) };
        let key = self.call_key(depot, verdict.position);
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
