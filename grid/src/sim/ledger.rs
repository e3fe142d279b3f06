//! What the simulated grids run: a module whose views are a plain function of its log, and that function
//! once more, as naive as it can be.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use gridmill_persistence::Position;

use crate::model::prelude::*;
use crate::module::{Module, OnFailure, Setup};
use crate::topology::Context;
use crate::{StartFrom, record};

use super::choices::mixed;

/// One event. `id` names it in a whole run: its sender in the high half, a count in the low.
#[record]
#[derive(Eq)]
pub(super) struct Op {
    pub(super) key: u64,
    pub(super) id: u64,
    /// Follows from the id. It lets batches lie over several sectors, of which a power loss may take some.
    pub(super) ballast: Vec<u8>,
}

impl Op {
    pub(super) fn new(key: u64, id: u64) -> Self {
        let chance = mixed(!id);
        let len = if chance.is_multiple_of(3) { chance >> 32 & 0x3ff } else { 0 };
        Self { key, id, ballast: (0..len).map(|at| (id + at) as u8 | 1).collect() }
    }
}

/// The module's name, and so of its folder.
pub(super) const NAME: &str = "sim";

pub(super) const OPS: Depot<Op> = Depot::hash_by("sim/ops", |op| op.key.into());
/// How long a record that was set aside waits before it is handled again by itself.
const RETRY: Duration = Duration::from_micros(500);

/// By key: the ids that were handled, in order.
pub(super) const LISTS: PState<Map<u64, List<u64>>> = PState::new("sim/lists");
/// By key: how many there are. Agrees with `LISTS` in every view.
pub(super) const COUNTS: PState<Map<u64, u64>> = PState::new("sim/counts");
/// By key: what `COUNTS` was when an id was handled. Another topology's, which reads the first one's.
pub(super) const COPIES: PState<Map<u64, Map<u64, u64>>> = PState::new("sim/copies");
/// As `LISTS`, of a topology that comes and goes.
pub(super) const LATE: PState<Map<u64, List<u64>>> = PState::new("sim/late");

thread_local! {
    static MENDED_TO: Cell<u64> = const { Cell::new(0) };
}

/// Mends the handlers for all ids of senders before this one; those of others make them panic, some of them,
/// as code with a mistake does. Nothing that was handled is ever broken again: a replay has to go as the
/// handlers went.
pub(super) fn mend_to(sender: u64) {
    MENDED_TO.set(sender);
}

/// What the handlers' panic says; the simulator keeps it off the terminal.
pub(super) const PANIC: &str = "simulated: the handler cannot handle this id";

/// Whether a handler that is not mended panics.
fn is_broken(chance: u64) -> bool {
    mixed(chance).is_multiple_of(11)
}

/// Panics at one id in eleven, which they are follows from `chance`.
fn may_panic(id: u64, chance: u64) {
    if is_broken(chance) && id >> 32 >= MENDED_TO.get() {
        panic!("{PANIC}");
    }
}

fn is_refused(id: u64) -> bool {
    mixed(id) % 11 == 5
}

/// Whether topology "keep" must have replied with the id of an event that was processed; where not, it may
/// have set it aside.
pub(super) fn must_reply(id: u64) -> bool {
    !is_broken(id)
}

type Kept<'a> = (&'a mut Map<u64, List<u64>>, &'a mut Map<u64, u64>);

fn keep(op: Op, (lists, counts): Kept<'_>, context: &mut Context<'_>) -> Result<(), Str> {
    lists.entry(op.key).or_default().push_back(op.id);
    may_panic(op.id, op.id);
    *counts.entry(op.key).or_default() += 1;
    if is_refused(op.id) {
        return Err("simulated: refused".into());
    }
    context.reply(&op.id);
    Ok(())
}

type Copied<'a> = (&'a mut Map<u64, Map<u64, u64>>, &'a Map<u64, u64>);

fn copy(op: Op, (copies, counts): Copied<'_>) {
    let count = counts.get(op.key).map_or(0, |count| *count);
    copies.entry(op.key).or_default().insert(op.id, count);
}

fn keep_late(op: Op, lists: &mut Map<u64, List<u64>>) {
    may_panic(op.id, op.id.rotate_left(7));
    lists.entry(op.key).or_default().push_back(op.id);
}

/// The module without the topology that comes and goes.
#[derive(Debug)]
pub(super) struct Early;

impl Module for Early {
    const NAME: &'static str = NAME;

    fn define(module: &mut Setup) {
        declare(module);
        module.remove("late").remove("sim/late");
    }
}

/// The module with it.
#[derive(Debug)]
pub(super) struct Late;

impl Module for Late {
    const NAME: &'static str = NAME;

    fn define(module: &mut Setup) {
        declare(module);
        module
            .stream("late", LATE)
            .source(OPS)
            .start_from(StartFrom::Beginning)
            .on_failure(OnFailure::skip().attempts(2))
            .each(keep_late);
    }
}

/// The code of another version.
#[derive(Debug)]
pub(super) struct Newer;

impl Module for Newer {
    const NAME: &'static str = NAME;
    const VERSION: u32 = 2;

    fn define(module: &mut Setup) {
        Early::define(module);
    }
}

fn declare(module: &mut Setup) {
    module.depot(OPS);
    super::ticking::declare(module);
    let policy = OnFailure::set_aside().retry_after(RETRY, 3);
    module.stream("keep", (LISTS, COUNTS)).source(OPS).on_failure(policy).each_with(keep);
    super::passing::declare(module);
    super::later::declare(module);
    super::asking::declare(module);
    module.stream("copy", (COPIES, COUNTS.read())).source(OPS).each(copy);
}

/// A record of a partition's log, as the naive function sees it.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Op(Op),
    /// The topology set the record at that position aside.
    SetAside(String, Position),
    Retried(String, Position),
    Discarded(String, Position),
}

/// What a partition's views have to be.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Views {
    pub(super) lists: BTreeMap<u64, Vec<u64>>,
    pub(super) copies: BTreeMap<u64, BTreeMap<u64, u64>>,
    pub(super) late: BTreeMap<u64, Vec<u64>>,
    /// What stands in quarantine: topology and position.
    pub(super) quarantine: BTreeSet<(String, Position)>,
}

/// The views that follow from a log, record by record. What was decided for topology "late" before `late_from`
/// belongs to a topology that is gone.
pub(super) fn views_of(log: &[(Position, Entry)], late_from: Option<Position>) -> Views {
    let of_now = |topology: &str, at: Position| {
        topology != "late" || late_from.is_some_and(|from| at >= from)
    };
    let mut naive = Naive { set_aside: set_aside(log, of_now), ..Naive::default() };
    for (position, entry) in log {
        match entry {
            Entry::Op(op) => {
                naive.ops.insert(*position, op.clone());
                for topology in ["keep", "copy", "late"] {
                    naive.handle(topology, *position, op);
                }
            }
            Entry::SetAside(..) => {}
            Entry::Retried(topology, _) | Entry::Discarded(topology, _)
                if !of_now(topology, *position) => {}
            Entry::Retried(topology, at) => naive.retry(topology, *at, *position),
            Entry::Discarded(topology, at) => {
                naive.views.quarantine.remove(&(topology.clone(), *at));
            }
        }
    }
    naive.views
}

fn set_aside(
    log: &[(Position, Entry)],
    of_now: impl Fn(&str, Position) -> bool,
) -> BTreeSet<(String, Position)> {
    let verdicts = log.iter().filter_map(|(at, entry)| match entry {
        Entry::SetAside(topology, position) if of_now(topology, *at) => {
            Some((topology.clone(), *position))
        }
        _ => None,
    });
    verdicts.collect()
}

#[derive(Default)]
struct Naive {
    views: Views,
    set_aside: BTreeSet<(String, Position)>,
    ops: HashMap<Position, Op>,
    /// Where what stands in quarantine lies, for records that failed again under a retry's position.
    of_retry: HashMap<Position, Op>,
}

impl Naive {
    fn handle(&mut self, topology: &str, position: Position, op: &Op) {
        let held = (topology.to_owned(), position);
        if self.set_aside.contains(&held) {
            self.of_retry.insert(position, op.clone());
            self.views.quarantine.insert(held);
            return;
        }
        let Views { lists, copies, late, .. } = &mut self.views;
        match topology {
            "keep" if is_refused(op.id) => {}
            "keep" => lists.entry(op.key).or_default().push(op.id),
            "copy" => {
                let count = lists.get(&op.key).map_or(0, |ids| ids.len() as u64);
                copies.entry(op.key).or_default().insert(op.id, count);
            }
            _ => late.entry(op.key).or_default().push(op.id),
        }
    }

    fn retry(&mut self, topology: &str, held: Position, now: Position) {
        let key = (topology.to_owned(), held);
        if !self.views.quarantine.remove(&key) {
            return;
        }
        let op = self.ops.get(&held).or_else(|| self.of_retry.get(&held)).cloned();
        if let Some(op) = op {
            self.handle(topology, now, &op);
        }
    }
}
