//! What a handler may ask about the record that it handles, and what it may do beside changing state.

use std::any::TypeId;
use std::fmt::Display;
use std::ops::Range;

use gridmill_client::Encoded;
use gridmill_model::event::Fanned;
use gridmill_model::handle::{Partitioning, Route};
use gridmill_model::{Depot, Event, Fan, Key, Stage, Timer};
use gridmill_persistence::Position;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::builder::PARTITIONS_MAX;

use super::effects::{Effects, Output, OutputKind, SendLimits};
use super::handler::RecordInfo;
use super::outcome::Refusal;
use super::replies::Combiner;
use super::timers::{EVERYWHERE, key_of};

/// The bits of an id below those of the partition count calls, those above tell topologies apart.
const COUNT_BITS: u32 = 32;
const PARTITION_BITS: u32 = 12;
const MARK_BITS: u32 = 64 - COUNT_BITS - PARTITION_BITS;

const _: () = assert!(PARTITIONS_MAX <= 1 << PARTITION_BITS, "a partition fits into an id");

/// What tells the ids of a topology from those that another gives for the same record. It comes from the name,
/// so that it stays when topologies are added, removed or reordered, and is never 0: ids once had 0 there.
pub(crate) fn id_mark(topology: &str) -> u32 {
    let marks = (1 << MARK_BITS) - 1;
    1 + (xxh3_64(topology.as_bytes()) % marks) as u32
}

/// Where handlers of a topology send records, and what became of it.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    /// The topology's number.
    pub(crate) topology: usize,
    pub(crate) outputs: &'a [Output],
    /// How its replies add up, where they do.
    pub(crate) replies: Option<&'a Combiner>,
    pub(crate) partitions: u32,
    pub(crate) limits: SendLimits,
    pub(crate) effects: &'a mut Effects,
}

/// The record that is being handled. Everything here is the same when the record is handled again.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) partition: u32,
    pub(crate) position: Position,
    pub(crate) offset: u64,
    pub(crate) time: i64,
    /// Of the topology: [`id_mark`].
    pub(crate) mark: u32,
    pub(crate) ids: u32,
    pub(crate) randoms: u32,
    pub(crate) timers: u32,
    pub(crate) response: &'a mut Response,
    pub(crate) sending: Sending<'a>,
}

/// What a handler says to the appender of a record.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) reply: Option<Encoded>,
    /// Of a handler that refuses and undoes nothing.
    pub(crate) rejected: Option<Refusal>,
}

impl Response {
    pub(crate) fn is_empty(&self) -> bool {
        self.reply.is_none() && self.rejected.is_none()
    }
}

impl Sending<'_> {
    /// Lends it for one record.
    pub(super) fn again(&mut self) -> Sending<'_> {
        let Sending { topology, outputs, replies, partitions, limits, effects } = self;
        let (topology, partitions, limits) = (*topology, *partitions, *limits);
        Sending { topology, outputs, replies: *replies, partitions, limits, effects }
    }
}

impl<'a> Context<'a> {
    /// Of a record that a handler of the topology with this mark is called with on this partition.
    pub(crate) fn new(
        partition: u32,
        info: &RecordInfo,
        mark: u32,
        response: &'a mut Response,
        sending: Sending<'a>,
    ) -> Self {
        let RecordInfo { position, offset, time } = *info;
        let (ids, randoms, timers) = (0, 0, 0);
        Self { partition, position, offset, time, mark, ids, randoms, timers, response, sending }
    }
}

impl Context<'_> {
    /// When the record was logged, in microseconds since 1970 (UTC). It never goes back within a
    /// partition. Use it instead of the clock: a replay must come to the same state.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The partition that the handler runs on.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// How many partitions the module has.
    pub fn partitions(&self) -> u32 {
        self.sending.partitions
    }

    /// The record's offset in its depot's partition, or among the records of its stage there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// An id that no other call gives within the module: from the record's place in the log, the partition,
    /// the topology's name and a count. It is the same in every replay, and ordered by time within a partition.
    pub fn unique_id(&mut self) -> u128 {
        self.ids += 1;
        let position = u128::from(self.position.to_bits()) << 64;
        let place = position | u128::from(self.partition) << COUNT_BITS;
        place | u128::from(self.mark) << (PARTITION_BITS + COUNT_BITS) | u128::from(self.ids)
    }

    /// A number that looks random, and is the same in every replay: from the record's place in the log, the
    /// partition, the topology's name and a count. Do not use it where somebody gains by guessing it.
    pub fn random(&mut self) -> u64 {
        self.randoms += 1;
        let mut place = [0; 20];
        place[..8].copy_from_slice(&self.position.to_bits().to_le_bytes());
        place[8..12].copy_from_slice(&self.partition.to_le_bytes());
        place[12..16].copy_from_slice(&self.mark.to_le_bytes());
        place[16..].copy_from_slice(&self.randoms.to_le_bytes());
        xxh3_64(&place)
    }

    /// Replies to the appender: it finds `value` in its receipt under the topology's name, and reads
    /// it as the type that it is here. The last reply counts, or all of them together, where the topology adds them
    /// up with [`Stream::replies`](crate::Stream::replies). Nothing is replied when the handler then returns `Err`. A
    /// handler of a stage replies to the append that all began with.
    ///
    /// A reply of another type than those that are added up sets the record that is being handled aside, with a
    /// message that says so.
    pub fn reply<T: Serialize + 'static>(&mut self, value: &T) {
        // Only a `Serialize` that fails of its own will cannot be encoded; it then has no reply.
        let reply = Encoded::new(value);
        self.response.reply = match (self.sending.replies, reply) {
            (Some(combiner), Some(reply)) => self.added(combiner, reply),
            (_, reply) => reply,
        };
    }

    /// A reply, with those to the same record before it.
    fn added(&mut self, combiner: &Combiner, reply: Encoded) -> Option<Encoded> {
        if let Err(wrong) = combiner.check(&reply) {
            self.sending.effects.fail(format!("a reply cannot be added up: {wrong}"));
            return None;
        }
        Some(match self.response.reply.take() {
            Some(earlier) => combiner.add(earlier, reply),
            None => reply,
        })
    }

    /// Refuses to the appender, as returning `Err` does, and undoes nothing: what the handler changes and sends
    /// stays. It is for a stage that has to make up for what stages before it did. The last refusal counts.
    pub fn reject<R: Display + Serialize + 'static>(&mut self, error: &R) {
        let refusal = Refusal { message: error.to_string(), error: Encoded::new(error) };
        self.response.rejected = Some(refusal);
    }

    /// Sends a record to a stage of this topology, on the partition that the stage's route gives. It is handled there
    /// once, after this record: also where either partition, or the whole grid, is killed meanwhile. Nothing is sent
    /// when the handler returns `Err`.
    ///
    /// A stage that the topology does not declare, a partition that there is not, and a record that is too large
    /// set the record that is being handled aside, with a message that says so.
    pub fn send<E: Event>(&mut self, stage: Stage<E>, record: E) {
        let targets = self.targets(stage, &record);
        self.emit::<E>(OutputKind::Stage, stage.name(), targets, &record);
    }

    fn targets<E: Event>(&mut self, stage: Stage<E>, record: &E) -> Targets {
        let partitions = self.sending.partitions;
        match stage.route() {
            Route::HashBy(key) => Targets::One(key(record).partition(partitions)),
            Route::Custom(choose) => Targets::One(choose(record, partitions)),
            Route::All => Targets::All,
            Route::Global => Targets::One(0),
            Route::Shuffle => Targets::One((self.random() % u64::from(partitions)) as u32),
            _ => Targets::One(self.partition),
        }
    }

    /// Sends a record to a stage of this topology once it is `at` (microseconds since 1970, UTC): that time or a
    /// little later, as [`send`](Self::send) does then, on the partition that the stage's route gives now. What is
    /// pending survives crashes, and counts once; a time that has passed comes at once. Timers of one partition go in
    /// the order of their times, those of one time in the order in which they were scheduled.
    ///
    /// Whoever appended the record that is handled does not wait for it, nor do [`Grid::processed`] and a stop of the
    /// grid: it stays pending until a grid runs again. [`Clock::manual`] drives timers in tests. With the handler's
    /// `Err` nothing is scheduled. Millions may be pending: they are kept as entries of a PState are.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::prelude::*;
    ///
    /// const HOUR: i64 = 3_600_000_000;
    /// /// Of whom something was seen.
    /// pub const SEEN: Depot<u64> = Depot::hash_by("away/seen", |user| user.into());
    /// pub const ONLINE: PState<Map<u64, Timer>> = PState::new("away/online");
    /// const AWAY: Stage<u64> = Stage::here("away");
    ///
    /// pub struct Away;
    ///
    /// impl Module for Away {
    ///     const NAME: &'static str = "away";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(SEEN);
    ///         module
    ///             .stream("online", ONLINE)
    ///             .source(SEEN)
    ///             .each_with(|user: u64, online: &mut Map<u64, Timer>, flow: &mut Context<'_>| {
    ///                 let timer = flow.schedule(flow.time() + HOUR, AWAY, user);
    ///                 if let Some(earlier) = online.insert(user, timer) {
    ///                     flow.cancel(earlier);
    ///                 }
    ///             })
    ///             .stage(AWAY)
    ///             .each(|user: u64, online: &mut Map<u64, Timer>| {
    ///                 online.remove(&user);
    ///             });
    ///     }
    /// }
    ///
    /// let away = Local::<Away>::new(2)?;
    /// away.append(SEEN, 7)?;
    /// away.set_time(HOUR - 1);
    /// away.append(SEEN, 7)?;
    /// away.set_time(HOUR);
    /// assert!(away.select_one(ONLINE.key(7))?.is_some());
    /// away.set_time(2 * HOUR - 1);
    /// assert!(away.select_one(ONLINE.key(7))?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Grid::processed`]: crate::Grid::processed
    /// [`Clock::manual`]: crate::Clock::manual
    pub fn schedule<E: Event>(&mut self, at: i64, stage: Stage<E>, record: E) -> Timer {
        self.timers += 1;
        let timer = Timer {
            at,
            position: self.position.to_bits(),
            number: self.timers,
            partition: self.partition,
            topology: self.mark,
        };
        let (targets, position) = (self.targets(stage, &record), self.position);
        if let Some((output, targets)) = self.resolve::<E>(OutputKind::Stage, stage.name(), targets)
        {
            let Sending { topology, limits, effects, .. } = &mut self.sending;
            let target = if targets.len() == 1 { targets.start } else { EVERYWHERE };
            let from = (position, *topology, &output);
            effects.schedule(from, (key_of(timer), target), &record, *limits);
        }
        timer
    }

    /// Forgets what was scheduled. Where it has gone already, nothing happens; what its stage does then is up to it.
    ///
    /// A timer is kept by the topology and on the partition that scheduled it: only they can cancel it. Elsewhere the
    /// record that is being handled is set aside, with a message that says so.
    pub fn cancel(&mut self, timer: Timer) {
        if (timer.partition, timer.topology) == (self.partition, self.mark) {
            return self.sending.effects.cancel(key_of(timer));
        }
        let (home, here) = (timer.partition, self.partition);
        self.sending.effects.fail(if home == here {
            "a timer of another topology is cancelled; send a record to that one, and let it cancel its timer"
                .to_owned()
        } else {
            format!(
                "a timer of partition {home} is cancelled on partition {here}; send a record there, and let its \
                 handler cancel the timer"
            )
        });
    }

    /// Sends a record to a stage of this topology on a partition of your choice, whatever the stage's route.
    /// As [`send`](Self::send) otherwise.
    pub fn send_to<E: Event>(&mut self, partition: u32, stage: Stage<E>, record: E) {
        self.emit::<E>(OutputKind::Stage, stage.name(), Targets::One(partition), &record);
    }

    /// Sends one record to a fan of this topology under many keys: each is handled on the partition where it lives, in
    /// the order in which they come here. The record travels to each partition once, whatever the number of its keys.
    /// As [`send`](Self::send) otherwise.
    pub fn fan<K: Key, E: Event>(
        &mut self,
        fan: Fan<K, E>,
        keys: impl IntoIterator<Item = K>,
        record: E,
    ) {
        let partitions = self.sending.partitions;
        let mut by_partition: Vec<Vec<K>> = (0..partitions).map(|_| Vec::new()).collect();
        for key in keys {
            by_partition[key.route().partition(partitions) as usize].push(key);
        }
        for (partition, keys) in (0..).zip(by_partition).filter(|(_, keys)| !keys.is_empty()) {
            let fanned = Fanned { keys, record: record.clone() };
            self.emit(OutputKind::Stage, fan.name(), Targets::One(partition), &fanned);
        }
    }

    /// Appends an event to a depot of this module, on the partition that the depot's partitioning gives. It is logged
    /// there once, also through crashes, and all topologies that read the depot handle it. The topology has to say
    /// so with [`Stream::appends`](crate::Stream::appends).
    ///
    /// A depot that only topologies may append to has no partitioning: use [`append_here`](Self::append_here).
    pub fn append<E: Event>(&mut self, depot: Depot<E>, event: E) {
        let partitions = self.sending.partitions;
        let target = match depot.partitioning() {
            _ if depot.is_global() => 0,
            Partitioning::HashBy(key) => key(&event).partition(partitions),
            Partitioning::Custom(choose) => choose(&event, partitions),
            Partitioning::Random => (self.random() % u64::from(partitions)) as u32,
            _ => {
                let name = depot.name();
                return self.sending.effects.fail(format!(
                    "depot `{name}` says of no partition that an event belongs there; use `append_here`"
                ));
            }
        };
        self.emit::<E>(OutputKind::Depot, depot.name(), Targets::One(target), &event);
    }

    /// Appends an event to a depot on this partition, whatever its partitioning; a global depot has only
    /// partition 0. As [`append`](Self::append) otherwise.
    pub fn append_here<E: Event>(&mut self, depot: Depot<E>, event: E) {
        let target = if depot.is_global() { 0 } else { self.partition };
        self.emit::<E>(OutputKind::Depot, depot.name(), Targets::One(target), &event);
    }

    fn emit<E: Event>(&mut self, kind: OutputKind, name: &str, targets: Targets, record: &E) {
        if let Some((output, targets)) = self.resolve::<E>(kind, name, targets) {
            let Sending { topology, limits, effects, .. } = &mut self.sending;
            effects.push((self.position, *topology, &output), targets, record, *limits);
        }
    }

    /// What the topology declared under a name, and the partitions that a record goes to; nothing, with a fault, where
    /// it cannot go there.
    fn resolve<E: Event>(
        &mut self,
        kind: OutputKind,
        name: &str,
        targets: Targets,
    ) -> Option<(Output, Range<u32>)> {
        let Sending { outputs, partitions, effects, .. } = &mut self.sending;
        let fits = |output: &&Output| {
            output.kind == kind && output.name == name && output.event == TypeId::of::<E>()
        };
        let Some(output) = outputs.iter().find(fits) else {
            effects.fail(undeclared(kind, name, outputs, std::any::type_name::<E>()));
            return None;
        };
        match targets {
            Targets::All => Some((*output, 0..*partitions)),
            Targets::One(target) if target < *partitions => Some((*output, target..target + 1)),
            Targets::One(target) => {
                effects.fail(format!(
                    "a record for `{name}` is sent to partition {target}, and there are {partitions} (0 to {})",
                    *partitions - 1
                ));
                None
            }
        }
    }
}

/// Where a record goes.
enum Targets {
    One(u32),
    All,
}

/// What to say of a handle that the topology did not declare.
fn undeclared(kind: OutputKind, name: &str, outputs: &[Output], event: &str) -> String {
    let (what, how) = match kind {
        OutputKind::Stage => ("stage", "`.stage(..)` and a handler"),
        OutputKind::Depot => ("depot", "`.appends(..)`"),
    };
    if outputs.iter().any(|output| output.kind == kind && output.name == name) {
        return format!("{what} `{name}` was declared with another type than {event}");
    }
    format!("{what} `{name}` was not declared in this topology; add {how}")
}
