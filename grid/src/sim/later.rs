//! What simulated handlers schedule for later: it goes once, in order, when the log says that it is time, and not where
//! it was cancelled before.

use std::collections::BTreeMap;

use gridmill_persistence::Position;

use crate::model::prelude::*;
use crate::module::Setup;
use crate::record;
use crate::topology::Context;

use super::choices::mixed;
use super::ledger::{OPS, Op};

/// Where records go when they are due.
const BUCKETS: u64 = 4;

/// Longer than any record waits, in microseconds.
pub(super) const LONGEST: i64 = 6_000;

/// A record that waited.
#[record]
pub(super) struct Due {
    bucket: u64,
    id: u64,
    /// The partition that scheduled it.
    from: u64,
}

/// By key: what was scheduled last, also where it has gone.
const SCHEDULED: PState<Map<u64, Timer>> = PState::new("sim/scheduled");
/// By bucket: what has gone there, in order; ids, each with the partition that scheduled it.
pub(super) const GONE: PState<Map<u64, List<(u64, u64)>>> = PState::new("sim/gone");
const GO: Stage<Due> = Stage::hash_by("go", |due| due.bucket.into());

pub(super) fn declare(module: &mut Setup) {
    module
        .stream("later", (SCHEDULED, GONE))
        .source(OPS)
        .over(SCHEDULED)
        .each_with(schedule)
        .stage(GO)
        .over(GONE)
        .each(go);
}

/// How long what an event schedules waits, where it schedules something; a time that has passed is among them.
fn wait(id: u64) -> Option<i64> {
    let chance = mixed(id ^ 0x7175);
    (!chance.is_multiple_of(4)).then_some((chance >> 8) as i64 % LONGEST - 500)
}

fn is_refused(id: u64) -> bool {
    mixed(id ^ 0xdeaf) % 6 == 1
}

fn schedule(op: Op, scheduled: &mut Map<u64, Timer>, context: &mut Context<'_>) -> Result<(), Str> {
    if let Some(wait) = wait(op.id) {
        let due = Due { bucket: op.id % BUCKETS, id: op.id, from: u64::from(context.partition()) };
        let timer = context.schedule(context.time() + wait, GO, due);
        if let Some(earlier) = scheduled.insert(op.key, timer) {
            context.cancel(earlier);
        }
    }
    if is_refused(op.id) { Err("simulated: refused after it had scheduled".into()) } else { Ok(()) }
}

fn go(due: Due, gone: &mut Map<u64, List<(u64, u64)>>) {
    gone.entry(due.bucket).or_default().push_back((due.id, due.from));
}

/// A record of a partition's log, as far as it matters here, with its time.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Op(Op),
    Clock,
}

/// What has to have gone of what one partition scheduled, in order, and when the first of the rest is due.
fn naive(log: &[(Position, i64, Entry)]) -> (Vec<u64>, Option<i64>) {
    let (mut pending, mut scheduled) = (BTreeMap::new(), BTreeMap::new());
    let mut gone = Vec::new();
    for (position, time, entry) in log {
        match entry {
            Entry::Op(op) if !is_refused(op.id) => {
                let Some(wait) = wait(op.id) else { continue };
                let timer = (time + wait, *position);
                pending.insert(timer, op.id);
                if let Some(earlier) = scheduled.insert(op.key, timer) {
                    pending.remove(&earlier);
                }
            }
            Entry::Op(_) => {}
            Entry::Clock => {
                let later = pending.split_off(&(*time + 1, Position::START));
                gone.extend(std::mem::replace(&mut pending, later).into_values());
            }
        }
    }
    (gone, pending.first_key_value().map(|((due, _), _)| *due))
}

/// What has gone by `now`, of a grid at rest, held against the logs: each in its order, by partition.
pub(super) fn check(
    logs: &[Vec<(Position, i64, Entry)>],
    gone: &BTreeMap<u64, Vec<(u64, u64)>>,
    now: i64,
) -> Result<(), String> {
    for (partition, log) in (0_u64..).zip(logs) {
        let (expected, next) = naive(log);
        if let Some(due) = next.filter(|&due| due <= now) {
            return Err(format!(
                "what is due at {due} on partition {partition} still waits at {now}"
            ));
        }
        for bucket in 0..BUCKETS {
            let of = |id: &&u64| **id % BUCKETS == bucket;
            let expected: Vec<u64> = expected.iter().filter(of).copied().collect();
            let all = gone.get(&bucket).into_iter().flatten();
            let got: Vec<u64> =
                all.filter(|(_, from)| *from == partition).map(|(id, _)| *id).collect();
            if got != expected {
                return Err(format!(
                    "bucket {bucket} got {got:x?} of what partition {partition} had scheduled, and should have \
                     {expected:x?}"
                ));
            }
        }
    }
    Ok(())
}

/// The buckets.
pub(super) fn buckets() -> std::ops::Range<u64> {
    0..BUCKETS
}
