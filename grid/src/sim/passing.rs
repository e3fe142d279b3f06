//! What simulated topologies send from partition to partition, and where it must arrive: once, and in order.

use std::collections::BTreeMap;

use crate::model::prelude::*;
use crate::module::Setup;
use crate::record;
use crate::topology::Context;

use super::choices::mixed;
use super::ledger::{OPS, Op};

/// Where records are sent to.
pub(super) const BUCKETS: u64 = 6;

/// A record on its way.
#[record]
pub(super) struct Passed {
    pub(super) bucket: u64,
    pub(super) id: u64,
    /// Which of those that the event sends.
    pub(super) number: u64,
    ballast: Vec<u8>,
}

/// By bucket: what arrived, in order; an id, and how it came (see [`arrival`]).
pub(super) const ARRIVED: PState<Map<u64, List<(u64, u64)>>> = PState::new("sim/arrived");
const PASS: Stage<Passed> = Stage::hash_by("pass", |passed| passed.bucket.into());
const ECHO: Stage<Passed> = Stage::hash_by("echo", |passed| passed.bucket.into());

/// How an arrival is told from others of its event: records sent by the event itself have the number that they were
/// sent with, those that a stage sent on have this beside it.
const ECHOED: u64 = 1 << 8;

/// How many records an event sends.
fn fan(id: u64) -> u64 {
    mixed(id ^ 0x5eed) % 4
}

fn bucket(id: u64, number: u64) -> u64 {
    mixed(id.rotate_left(17) ^ number) % BUCKETS
}

/// Whether the event is refused after it has sent.
fn is_refused(id: u64) -> bool {
    mixed(id ^ 0xbad) % 7 == 2
}

pub(super) fn declare(module: &mut Setup) {
    module
        .stream("pass", ARRIVED)
        .source(OPS)
        .over(())
        .each_with(send)
        .stage(PASS)
        .each_with(arrive)
        .stage(ECHO)
        .each(echo);
}

fn send(op: Op, (): (), context: &mut Context<'_>) -> Result<(), Str> {
    for number in 0..fan(op.id) {
        let (bucket, id, ballast) = (bucket(op.id, number), op.id, op.ballast.clone());
        context.send(PASS, Passed { bucket, id, number, ballast });
    }
    if is_refused(op.id) { Err("simulated: refused after it had sent".into()) } else { Ok(()) }
}

type Arrived = Map<u64, List<(u64, u64)>>;

fn arrive(passed: Passed, arrived: &mut Arrived, context: &mut Context<'_>) {
    let Passed { bucket, id, number, .. } = passed;
    arrived.entry(bucket).or_default().push_back((id, number));
    if number == 1 {
        let next = (bucket + 1) % BUCKETS;
        context.send(ECHO, Passed { bucket: next, ..passed });
    }
}

fn echo(passed: Passed, arrived: &mut Arrived) {
    arrived.entry(passed.bucket).or_default().push_back((passed.id, passed.number | ECHOED));
}

/// What an event that is logged leads to: bucket and arrival of each.
fn arrivals(id: u64) -> impl Iterator<Item = (u64, (u64, u64))> {
    let sent = 0..if is_refused(id) { 0 } else { fan(id) };
    sent.flat_map(move |number| {
        let at = bucket(id, number);
        let echoed = (number == 1).then_some(((at + 1) % BUCKETS, (id, number | ECHOED)));
        std::iter::once((at, (id, number))).chain(echoed)
    })
}

/// Whether all that an event leads to has arrived, once; where a power loss may have taken what was not synced, a
/// record may have been sent again by what came after it.
pub(super) fn is_complete(
    id: u64,
    arrived: &BTreeMap<u64, Vec<(u64, u64)>>,
    may_be_more: bool,
) -> Result<(), String> {
    for (bucket, arrival) in arrivals(id) {
        let of = arrived.get(&bucket).map_or(&[][..], Vec::as_slice);
        let times = of.iter().filter(|known| **known == arrival).count();
        if times != 1 && !(may_be_more && times > 1) {
            return Err(format!("what event {id:x} sent is {times} times in bucket {bucket}"));
        }
    }
    Ok(())
}

/// What arrived at rest, held against the logs: the ids of each partition's events, in order. After a power loss
/// that may take what was not synced, some may be missing, or be there without their event.
pub(super) fn check(
    logs: &[Vec<u64>],
    arrived: &BTreeMap<u64, Vec<(u64, u64)>>,
    may_miss: bool,
    may_be_more: bool,
) -> Result<(), String> {
    for id in logs.iter().flatten() {
        match is_complete(*id, arrived, may_be_more) {
            Err(_) if may_miss => {}
            other => other?,
        }
    }
    let expected: usize = logs.iter().flatten().map(|&id| arrivals(id).count()).sum();
    let got: usize = arrived.values().map(Vec::len).sum();
    if got > expected && !may_be_more {
        return Err(format!("{got} records arrived, and {expected} were sent"));
    }
    if may_be_more {
        return Ok(());
    }
    logs.iter().try_for_each(|log| check_order(log, arrived))
}

/// What one partition sent to one bucket arrived in the order in which it was sent.
fn check_order(log: &[u64], arrived: &BTreeMap<u64, Vec<(u64, u64)>>) -> Result<(), String> {
    let place: BTreeMap<u64, usize> = log.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    for (bucket, arrivals) in arrived {
        let direct = arrivals.iter().filter(|(_, how)| how & ECHOED == 0);
        let places = direct.filter_map(|(id, number)| Some((*place.get(id)?, *number)));
        let places: Vec<_> = places.collect();
        if !places.is_sorted() {
            return Err(format!("records arrived in bucket {bucket} in another order than sent"));
        }
    }
    Ok(())
}
