//! Calls to the outside of a live partition: which are under way, which are to be made again, and what they gave.
//!
//! Which calls are open is state. What stands here is gone with the life: the next one begins with all that are open.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use gridmill_client::Client;
use gridmill_client::engine::Engine;
use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, Position};
use parking_lot::Mutex;

use crate::machine::answers::LaterAnswer;
use crate::machine::batch::{Batch, Events, Item};
use crate::module::Plan;
use crate::topology::{
    Call, CallKey, CallResult, OpenCall, OpenedCall, RecordInfo, id_mark, key_of,
};

use super::outside::{Cancel, Outside};
use super::senders::Senders;
use super::tree::Token;
use super::waiting::Waiting;
use super::{Fatal, Partition};

/// Answers that are logged as one batch, at most.
const RESULTS_MAX: usize = 256;

/// A call of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    /// Which of the partition's sources with calls.
    pub(crate) station: usize,
    /// The record that is called for.
    pub(crate) position: Position,
    /// Which attempt it is.
    attempt: u32,
}

/// Where calls get their clients from: the engine, once it is there.
#[derive(Clone, Default)]
pub(crate) struct Clients(Arc<OnceLock<Weak<dyn Engine>>>);

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// The engine is there.
    pub(crate) fn come_from(&self, engine: Weak<dyn Engine>) {
        // There is one for each start.
        let _ = self.0.set(engine);
    }

    pub(crate) fn client(&self) -> Option<Client> {
        self.0.get()?.upgrade().map(Client::new)
    }
}

/// Who waits for calls: by topology and position of the record, what is to be finished when its call has ended.
#[derive(Debug, Default)]
pub(crate) struct CallTokens(Mutex<BTreeMap<(usize, Position), Token>>);

impl CallTokens {
    pub(crate) fn keep(&self, topology: usize, position: Position, token: Token) {
        self.0.lock().insert((topology, position), token);
    }

    fn take(&self, topology: usize, position: Position) -> Option<Token> {
        self.0.lock().remove(&(topology, position))
    }

    /// Nobody knows any more what becomes of the calls.
    pub(crate) fn lose(&self) {
        let lost = std::mem::take(&mut *self.0.lock());
        drop(lost);
    }
}

/// The calls of a partition.
pub(crate) struct Calls {
    stations: Vec<Station>,
    /// To be logged.
    ended: VecDeque<(CallId, CallResult)>,
    clients: Clients,
}

/// A source whose records are called for.
struct Station {
    topology: usize,
    depot: usize,
    /// Calls before it are under way, or have ended.
    from: Position,
    under_way: BTreeMap<Position, UnderWay>,
}

struct UnderWay {
    attempt: u32,
    state: State,
}

enum State {
    /// It is dropped at `until` (by the grid's clock).
    Called { until: i64, _cancel: Cancel },
    /// It failed, and is made again at this time.
    Waits(i64),
    /// Its end is to be logged.
    Ended,
}

impl Calls {
    pub(crate) fn new(plan: &Plan, clients: Clients) -> Self {
        let topologies = plan.topologies.iter().enumerate();
        let sources = topologies
            .flat_map(|(topology, def)| def.sources.iter().map(move |source| (topology, source)));
        let called = sources.filter(|(_, source)| source.call.is_some());
        let stations = called.map(|(topology, source)| Station {
            topology,
            depot: source.depot,
            from: Position::START,
            under_way: BTreeMap::new(),
        });
        Self { stations: stations.collect(), ended: VecDeque::new(), clients }
    }

    /// When something is to be done about a call that is under way.
    pub(crate) fn next(&self) -> Option<i64> {
        if !self.ended.is_empty() {
            // They could not be logged yet.
            return Some(i64::MIN);
        }
        let under_way = self.stations.iter().flat_map(|station| station.under_way.values());
        let due = under_way.filter_map(|call| match call.state {
            State::Called { until, .. } | State::Waits(until) => Some(until),
            State::Ended => None,
        });
        due.min()
    }
}

impl Partition {
    /// Ends and begins calls, and logs what has come of them. None begins once the partition is told to stop.
    pub(crate) fn go_on_calls(&mut self) -> Result<(), Fatal> {
        if self.calls.stations.is_empty() || self.commands.is_stopping() {
            return Ok(());
        }
        let now = self.writer.clock().now();
        for station in 0..self.calls.stations.len() {
            self.see_to_due(station, now)?;
            self.begin_calls(station, now)?;
        }
        Ok(())
    }

    /// A call has ended.
    pub(crate) fn called(&mut self, id: CallId, result: CallResult) {
        let under_way = &self.calls.stations[id.station].under_way;
        let Some(call) = under_way.get(&id.position) else { return };
        // One that took too long may answer all the same: that counts. That it failed is known.
        let is_late = call.attempt != id.attempt || !matches!(call.state, State::Called { .. });
        let is_over = matches!(call.state, State::Ended) && !is_planted(Bug::AcceptClosedResult);
        if !(is_over || is_late && result.is_err()) {
            self.end_attempt(id, result);
        }
    }

    /// An attempt gave something: it is to be logged, unless it failed and is made again.
    fn end_attempt(&mut self, id: CallId, result: CallResult) {
        let now = self.writer.clock().now();
        let station = &mut self.calls.stations[id.station];
        let topology = &self.core.plan.topologies[station.topology];
        let Some(def) = topology.call(station.depot) else { return };
        let Some(call) = station.under_way.get_mut(&id.position) else { return };
        if result.is_err() && call.attempt < def.options.attempts {
            call.state = State::Waits(now.saturating_add(def.options.wait_after(call.attempt)));
            return;
        }
        call.state = State::Ended;
        self.calls.ended.push_back((id, result));
    }

    /// Drops calls that take too long, and makes those again that have waited.
    fn see_to_due(&mut self, station: usize, now: i64) -> Result<(), Fatal> {
        let due = self.calls.stations[station].under_way.iter().filter_map(|(at, call)| {
            let (until, is_called) = match call.state {
                State::Called { until, .. } => (until, true),
                State::Waits(until) => (until, false),
                State::Ended => return None,
            };
            (until <= now).then_some((*at, call.attempt, is_called))
        });
        for (position, attempt, is_called) in due.collect::<Vec<_>>() {
            let id = CallId { station, position, attempt };
            if is_called {
                self.end_attempt(id, Err("it took too long (`Calls::timeout`)".into()));
                continue;
            }
            let key = self.key_of(id);
            let topology = self.calls.stations[station].topology;
            match self.core.open_call(topology, key)? {
                Some(call) => {
                    self.begin_call(CallId { attempt: attempt + 1, ..id }, &call, now);
                }
                None => drop(self.calls.stations[station].under_way.remove(&position)),
            }
        }
        Ok(())
    }

    fn key_of(&self, id: CallId) -> CallKey {
        self.core.call_key(self.calls.stations[id.station].depot, id.position)
    }

    /// Begins calls for records that are durable, as many as may be under way.
    fn begin_calls(&mut self, station: usize, now: i64) -> Result<(), Fatal> {
        let durable = match is_planted(Bug::CallEarly) {
            true => self.applied_to,
            false => self.shared.published.view().end,
        };
        loop {
            let Station { topology, depot, from, ref under_way } = self.calls.stations[station];
            let def = self.core.plan.topologies[topology].call(depot);
            let room = def.is_some_and(|def| under_way.len() < def.options.in_flight);
            if !room || !self.core.consumers[topology].live || from >= durable {
                return Ok(());
            }
            let Some((position, call)) = self.core.next_call((topology, depot), from)? else {
                self.calls.stations[station].from = durable;
                return Ok(());
            };
            if position >= durable {
                return Ok(());
            }
            self.calls.stations[station].from = position.next();
            self.begin_call(CallId { station, position, attempt: 1 }, &call, now);
        }
    }

    fn begin_call(&mut self, id: CallId, open: &OpenCall, now: i64) {
        let attempt = id.attempt;
        let Station { topology, depot, .. } = self.calls.stations[id.station];
        let plan = Arc::clone(&self.core.plan);
        let Some(def) = plan.topologies[topology].call(depot) else { return };
        let Some(client) = self.calls.clients.client() else {
            // The grid is only starting, or ends: somebody wakes the partition then, or nobody ever.
            let wait = State::Waits(now);
            let waits = UnderWay { attempt: attempt - 1, state: wait };
            self.calls.stations[id.station].under_way.insert(id.position, waits);
            return;
        };
        let mark = id_mark(plan.topologies[topology].name);
        let key = key_of(self.shared.partition, mark, id.position.to_bits());
        let variant = self.writer.registry().event(open.type_id).map(|(_, variant)| variant);
        let calling = variant.and_then(|variant| {
            def.handler.call(usize::from(variant), &open.bytes, Call { key, attempt, client })
        });
        let until = i64::try_from(def.options.timeout.as_micros());
        let until = now.saturating_add(until.unwrap_or(i64::MAX));
        match calling {
            Some(calling) => {
                let (outside, cancel) = Outside::new(calling, Arc::clone(&self.host), id);
                let state = State::Called { until, _cancel: cancel };
                let under_way = UnderWay { attempt, state };
                self.calls.stations[id.station].under_way.insert(id.position, under_way);
                self.host.call(Box::pin(outside));
            }
            None => {
                let under_way = UnderWay { attempt, state: State::Ended };
                self.calls.stations[id.station].under_way.insert(id.position, under_way);
                let undecodable = "the record cannot be decoded by this code".to_owned();
                self.calls.ended.push_back((id, Err(undecodable)));
            }
        }
    }

    /// Logs what calls have come to, and hands it to their topologies.
    pub(crate) fn log_ended_calls(&mut self) -> Result<(), Fatal> {
        if !self.flows.intake().events || self.commands.is_stopping() {
            return Ok(());
        }
        while !self.calls.ended.is_empty() && self.may_dequeue() && !self.batching.has_rest() {
            let is_failed = self.calls.ended.front().is_some_and(|(_, result)| result.is_err());
            let written = if is_failed { self.log_failed()? } else { self.log_results()? };
            if let Err(error) = written {
                // They wait for the disk, as what partitions send does.
                return self.after_failed_write(&error);
            }
        }
        Ok(())
    }

    /// The answers at the front, up to the first failure.
    fn log_results(&mut self) -> Result<Result<(), LogError>, Fatal> {
        let count = self.calls.ended.iter().take(RESULTS_MAX);
        let count = count.take_while(|(_, result)| result.is_ok()).count();
        let ended: Vec<_> = self.calls.ended.iter().take(count).cloned().collect();
        let mut results: Vec<(usize, CallKey, u16, Vec<u8>)> = Vec::with_capacity(count);
        for (id, result) in ended {
            let Station { topology, depot, .. } = self.calls.stations[id.station];
            let key = self.key_of(id);
            let is_open = self.core.open_call(topology, key)?.is_some();
            let is_new = !results.iter().any(|(_, known, ..)| *known == key);
            let call = self.core.plan.topologies[topology].call(depot);
            let depot = call.map(|call| call.result);
            if let (Ok((variant, bytes)), Some(depot)) = (result, depot)
                && (is_open && is_new || is_planted(Bug::AcceptClosedResult))
            {
                results.push((depot, key, variant, bytes));
            }
        }
        if !results.is_empty() {
            let logged = match self.writer.write_results(&results) {
                Ok(logged) => logged,
                Err(error) => return Ok(Err(error)),
            };
            let (items, waiting) = self.results_as_items(&results, logged);
            self.forget_ended(count);
            let batch = Batch::new(items, self.writer.end());
            self.shared.commits.written(batch.end, waiting, Vec::new(), None);
            self.make_durable();
            self.apply(batch)?;
        } else {
            self.forget_ended(count);
        }
        Ok(Ok(()))
    }

    fn forget_ended(&mut self, count: usize) {
        for (id, _) in self.calls.ended.drain(..count) {
            self.calls.stations[id.station].under_way.remove(&id.position);
        }
    }

    /// Results as they are applied, and who waits for them.
    fn results_as_items(
        &self,
        results: &[(usize, CallKey, u16, Vec<u8>)],
        logged: Vec<RecordInfo>,
    ) -> (Vec<Item>, Vec<Waiting>) {
        let (mut items, mut waiting) = (Vec::new(), Vec::new());
        for ((depot, key, variant, bytes), info) in results.iter().zip(logged) {
            let plan = &self.core.plan;
            let mut events = Events { call: Some(*key), ..Events::none(plan, *depot) };
            events.push(plan, (*variant, bytes), info);
            items.push(Item::Events(events));
            let topology = plan.depots[*depot].inbox.map_or(0, |inbox| inbox.topology);
            let mut senders = Senders::new(*depot, info.position);
            senders.push(0, self.shared.calls.take(topology, Position::from_bits(key.1)));
            waiting.push(Waiting::Senders(senders));
        }
        (items, waiting)
    }

    /// Sets the record at the front aside, whose call has failed for the last time.
    fn log_failed(&mut self) -> Result<Result<(), LogError>, Fatal> {
        let Some((id, Err(message))) = self.calls.ended.front().cloned() else {
            return Ok(Ok(()));
        };
        let Station { topology, depot, .. } = self.calls.stations[id.station];
        let call = OpenedCall { topology, depot, position: id.position };
        let Some(failed) = self.core.failed_call(call, id.attempt, &message)? else {
            self.forget_ended(1);
            return Ok(Ok(()));
        };
        let verdict = std::slice::from_ref(&failed.verdict);
        if let Err(error) = self.writer.write_verdicts(&self.core, verdict) {
            return Ok(Err(error));
        }
        self.forget_ended(1);
        let mut senders = Senders::new(depot, id.position);
        if let Some(token) = self.shared.calls.take(topology, id.position) {
            token.say(LaterAnswer::Rejection(failed.rejection.clone()));
            senders.push(0, Some(token));
        }
        let batch = Batch::new(failed.into_items(), self.writer.end());
        let waiting = vec![Waiting::Senders(senders)];
        self.shared.commits.written(batch.end, waiting, Vec::new(), None);
        self.make_durable();
        self.apply(batch)?;
        Ok(Ok(()))
    }
}
