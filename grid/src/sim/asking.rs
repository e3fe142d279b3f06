//! What simulated topologies ask of the outside, which fails, takes long, and answers late: each question is answered
//! once, or its record is set aside.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gridmill_client::Ack;
use gridmill_persistence::Position;

use crate::model::prelude::*;
use crate::module::{Calls, Setup};
use crate::topology::Call;

use super::choices::mixed;
use super::clients::Common;
use super::ledger::Op;
use super::tasks::pause;

/// Events about which the outside is asked.
pub(super) const ASKS: Depot<Op> = Depot::hash_by("sim/asks", |op| op.key.into());
/// By key: the ids of events to which the outside has answered, in order.
pub(super) const ANSWERED: PState<Map<u64, List<u64>>> = PState::new("sim/answered");
const ANSWER: Stage<(u64, u64)> = Stage::here("answer");

/// The topology.
pub(super) const ASK: &str = "ask";

thread_local! {
    /// Events for which the outside was called.
    static CALLED: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
}

pub(super) fn declare(module: &mut Setup) {
    let calls = Calls::new()
        .in_flight(3)
        .attempts(3)
        .timeout(Duration::from_micros(900))
        .back_off(Duration::from_micros(200));
    module.depot(ASKS);
    module
        .stream(ASK, ANSWERED)
        .source(ASKS)
        .calls(calls)
        .each_async(ANSWER, ask)
        .stage(ANSWER)
        .each(|(key, id): (u64, u64), answered: &mut Map<u64, List<u64>>| {
            answered.entry(key).or_default().push_back(id);
        });
}

/// Follows from the call's key and attempt, as all that is simulated follows from the seed.
async fn ask(op: Op, call: Call) -> Result<(u64, u64), Str> {
    CALLED.with_borrow_mut(|called| called.insert(op.id));
    let chance = mixed(call.key() as u64 ^ (call.key() >> 64) as u64 ^ u64::from(call.attempt()));
    for _ in 0..chance >> 8 & 0x7 {
        pause().await;
    }
    match chance % 8 {
        0 | 1 => Err("simulated: the outside is out of order".into()),
        2 => panic!("{}", super::ledger::PANIC),
        _ => Ok((op.key, op.id)),
    }
}

/// Appends an event that has the outside called, and reads the answer where it is waited for.
pub(super) async fn send(common: &Common, op: &Op, ack: Ack) {
    common.asks.borrow_mut().sends(op.id);
    let answer = common.client.append_with(ASKS, op.clone(), ack).await;
    let well = common.asks.borrow_mut().answered(op, &answer);
    if !well || ack != Ack::Processed {
        return;
    }
    let Ok(list) = common.client.select_one(ANSWERED.key(op.key)).await else { return };
    let times = list.iter().flat_map(|list| list.iter()).filter(|id| **id == op.id).count();
    if times != 1 {
        let text = format!("event {:x} was processed and has {times} answers", op.id);
        common.asks.borrow_mut().wrong(text);
    }
}

/// A run begins.
pub(super) fn begin() {
    CALLED.with_borrow_mut(BTreeSet::clear);
}

/// A record of a partition's log, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Op(Op),
    /// The answer to the call for the record at that position.
    Answer(Position),
    SetAside(Position),
    Retried(Position),
    Discarded(Position),
}

/// What a partition's log says of calls.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// By key: the ids to which there is an answer, in order.
    pub(super) answered: BTreeMap<u64, Vec<u64>>,
    pub(super) quarantine: BTreeSet<Position>,
    /// Events to which there is no end.
    open: BTreeMap<Position, u64>,
}

/// What follows from a log.
pub(super) fn asked(log: &[(Position, Entry)]) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let (mut ops, mut held) = (BTreeMap::new(), BTreeMap::new());
    for (position, entry) in log {
        match entry {
            Entry::Op(op) => {
                ops.insert(*position, op.clone());
                asked.open.insert(*position, op.id);
            }
            Entry::Answer(call) => {
                let Some(id) = asked.open.remove(call) else {
                    return Err(format!("a call at {call} has one answer more than it should"));
                };
                let key = ops.get(call).map_or(0, |op: &Op| op.key);
                asked.answered.entry(key).or_default().push(id);
            }
            Entry::SetAside(at) => {
                asked.open.remove(at);
                held.insert(*at, ops.get(at).cloned());
            }
            Entry::Retried(at) => {
                if let Some(Some(op)) = held.remove(at) {
                    asked.open.insert(*position, op.id);
                    ops.insert(*position, op);
                }
            }
            Entry::Discarded(at) => drop(held.remove(at)),
        }
    }
    asked.quarantine = held.into_keys().collect();
    Ok(asked)
}

impl Asked {
    /// At rest, there is an end to every call.
    pub(super) fn check_ends(&self) -> Result<(), String> {
        match self.open.first_key_value() {
            None => Ok(()),
            Some((at, id)) => Err(format!("the call for event {id:x} at {at} has no end")),
        }
    }
}

/// Nobody was called for an event that is in no log.
pub(super) fn check_called(logged: &[Vec<u64>]) -> Result<(), String> {
    let logged: BTreeSet<u64> = logged.iter().flatten().copied().collect();
    let lost = CALLED.with_borrow(|called| called.difference(&logged).next().copied());
    match lost {
        None => Ok(()),
        Some(id) => Err(format!("the outside was called for event {id:x}, which is in no log")),
    }
}
