//! The tail of the log, which no snapshot has: it is handled again.

use std::collections::HashSet;
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::Position;

use crate::error::StartError;
use crate::machine::answers::{AnswerBody, RecoveredAnswer};
use crate::machine::batch::{Batch, Item};
use crate::machine::breadcrumbs::Breadcrumbs;
use crate::machine::budget::Account;
use crate::machine::control::Verdict;
use crate::machine::core::{Core, ItemAnswers, skipped};
use crate::machine::flush::{FlushContext, FlushFault, flush_now};
use crate::machine::once::LoggedId;
use crate::machine::replay::Replay;
use crate::state::Cell;

use super::prescan::asked_for;
use super::sent::Sent;
use super::{OpenOptions, Opened};

/// Applies the log's tail to the topologies of the live flow; returns what the replay set aside. `skip` has the
/// verdicts of the tail. What handlers send goes to `sent`.
pub(super) fn replay(
    options: &OpenOptions,
    opened: &mut Opened,
    mut skip: HashSet<(usize, Position)>,
    sent: &mut Sent,
) -> Result<Vec<Verdict>, StartError> {
    let plan = Arc::clone(&options.plan);
    let live: Vec<usize> = (0..plan.topologies.len())
        .filter(|&topology| opened.core.consumers[topology].live)
        .collect();
    let end = opened.log.next_position();
    let from =
        live.iter().map(|&topology| opened.core.consumers[topology].next).min().unwrap_or(end);
    if from.number() >= end.number() && options.quarantine_at.is_empty() {
        return Ok(Vec::new());
    }
    warn_of_apart(options, &opened.core);
    let reader = opened.log.reader();
    let registry = Arc::clone(&opened.registry);
    // Before the replay: what it flushes must not pass over records that stand nowhere.
    let mut found = asked_for(options, opened, &mut skip)?;
    set_skips(&mut opened.core, &skip);
    let unfinished = hide_unfinished(&mut opened.core).map_err(|e| options.damaged(e))?;
    let replay = Replay::new(&plan, &registry, reader, from, live.iter().copied());
    let mut replay = replay.map_err(|e| options.replay_fault(e))?;
    let breadcrumbs = begin_replay(options)?;
    if breadcrumbs.is_wary() {
        replay.one_by_one();
    }
    let mut changes = options.changes.account();
    let heard = Heard::new(options, opened.ids.as_deref().unwrap_or_default());
    while let Some(mut batch) = replay.next_batch().map_err(|e| options.replay_fault(e))? {
        if let Some(position) = batch.first_event() {
            breadcrumbs.drop_at(position).map_err(|e| options.log_fault(e))?;
        }
        note_verdicts(&batch, &opened.core, &heard, &mut opened.said);
        loop {
            let applied = opened.core.apply(&mut batch).map_err(|e| options.stopped(e))?;
            note_said(&batch, applied.answers, &heard, &mut opened.said);
            found.extend(applied.verdicts);
            sent.add(&applied.effects);
            flush_full(&mut opened.core, &mut changes, &opened.flushes, sent)
                .map_err(|e| options.fail(e))?;
            if batch.is_applied() {
                break;
            }
        }
        opened.replayed = replay.position().number() - from.number();
    }
    breadcrumbs.end();
    for (pstate, cell) in unfinished {
        opened.core.swap_cell(pstate, cell);
    }
    for &topology in &live {
        let consumer = &mut opened.core.consumers[topology];
        consumer.skip.clear();
        consumer.next = opened.log.next_position();
    }
    Ok(found)
}

/// Writes out what has more changes than it may, in a replay.
fn flush_full(
    core: &mut Core,
    changes: &mut Account,
    flushes: &FlushContext,
    sent: &Sent,
) -> Result<(), FlushFault> {
    let groups = core.plan.groups.len();
    for group in 0..groups {
        changes.set((0..groups).map(|group| core.weight_of(group)).sum());
        if changes.is_over(core.weight_of(group)) {
            let live: Vec<usize> = core.live_of(group).collect();
            flush_now(core, &live, flushes, sent.at_flush(&live))?;
        }
    }
    Ok(())
}

/// Version 1 flushed topologies apart that see each other: one that lies behind what it reads handles its
/// records again with what came of later ones.
fn warn_of_apart(options: &OpenOptions, core: &Core) {
    let plan = &options.plan;
    for (topology, consumer) in
        plan.topologies.iter().zip(&core.consumers).filter(|(_, consumer)| consumer.live)
    {
        for &pstate in &topology.at {
            let owner = plan.pstates[pstate].topology;
            let (of_owner, empty) = (&core.consumers[owner], core.cell(pstate).runs().is_empty());
            if of_owner.live && of_owner.next > consumer.next && !empty {
                let (module, partition) = (plan.name, options.partition);
                let (topology, reads) = (topology.name, plan.topologies[owner].name);
                tracing::warn!(
                    module, partition, topology, reads, from = %consumer.next, to = %of_owner.next,
                    "an older release wrote the snapshots of two topologies that see each other at \
                     different records: those between them are handled again with later state"
                );
            }
        }
    }
}

/// Cells that were taken out, each with the place that it had.
type Hidden = Vec<(usize, Box<dyn Cell>)>;

/// Puts empty cells in the places of those that belong to topologies which read the past: that is what
/// others saw of them in the live flow. Returns the cells.
fn hide_unfinished(core: &mut Core) -> Result<Hidden, Damaged> {
    let plan = Arc::clone(&core.plan);
    let read_past = |&pstate: &usize| !core.consumers[plan.pstates[pstate].topology].live;
    let hidden: Vec<usize> = (0..plan.pstates.len()).filter(read_past).collect();
    let hide = |pstate: usize| core.empty_cell(pstate).map(|cell| (pstate, cell));
    let empty = hidden.into_iter().map(hide).collect::<Result<Vec<_>, Damaged>>()?;
    let swap = |(pstate, cell)| (pstate, core.swap_cell(pstate, cell));
    Ok(empty.into_iter().map(swap).collect())
}

/// Notes that the replay begins; refuses where the starts before ended in one record.
fn begin_replay(options: &OpenOptions) -> Result<Breadcrumbs<'_>, StartError> {
    let begun = Breadcrumbs::begin(&*options.storage, &options.dir);
    begun.map_err(|source| options.log_fault(source))
}

/// About which records somebody wants to know what handlers say: appenders still wait for it, or may come again.
struct Heard {
    waiting_from: Option<Position>,
    /// Appends with an id, in the order of the log.
    ids: Vec<Position>,
}

impl Heard {
    fn new(options: &OpenOptions, ids: &[LoggedId]) -> Self {
        let ids = ids.iter().map(|id| Position::from_bits(id.position)).collect();
        Self { waiting_from: options.waiting_from, ids }
    }

    fn is_empty(&self) -> bool {
        self.waiting_from.is_none() && self.ids.is_empty()
    }

    fn has(&self, position: Position) -> bool {
        self.waiting_from.is_some_and(|from| position >= from)
            || self.ids.binary_search(&position).is_ok()
    }
}

/// Keeps what handlers said.
fn note_said(
    batch: &Batch,
    answers: Vec<ItemAnswers>,
    heard: &Heard,
    said: &mut Vec<RecoveredAnswer>,
) {
    if heard.is_empty() {
        return;
    }
    for (item, answers) in batch.items.iter().zip(answers) {
        let Item::Events(events) = item else { continue };
        let mut note = |index: u32, topology, what| {
            let position = events.infos[index as usize].position;
            if heard.has(position) {
                said.push(RecoveredAnswer { position, topology, what });
            }
        };
        for (topology, answers) in answers.topologies {
            for (index, value) in answers.replies {
                note(index, topology, AnswerBody::Reply(value));
            }
            for (index, refusal) in answers.refusals {
                note(index, topology, AnswerBody::Refusal(refusal));
            }
        }
        for (index, topology, message) in answers.quarantined {
            note(index, topology, AnswerBody::Quarantined(message));
        }
    }
}

/// Keeps the verdicts of the log: the partition may have ended between a verdict and the answer.
fn note_verdicts(batch: &Batch, core: &Core, heard: &Heard, said: &mut Vec<RecoveredAnswer>) {
    for item in &batch.items {
        let Item::Verdict(verdict) = item else { continue };
        // One that reads the past answers nobody.
        let topology = core.topology(&verdict.topology).filter(|&of| core.consumers[of].live);
        if let Some(topology) = topology.filter(|_| heard.has(verdict.position)) {
            let (position, message) = (verdict.position, verdict.message.clone());
            let what = match core.plan.skips(&verdict.topology, &verdict.depot) {
                true => AnswerBody::Refusal(skipped(&message)),
                false => AnswerBody::Quarantined(message),
            };
            said.push(RecoveredAnswer { position, topology, what });
        }
    }
}

fn set_skips(core: &mut Core, skip: &HashSet<(usize, Position)>) {
    for (topology, consumer) in core.consumers.iter_mut().enumerate() {
        let mine = skip.iter().filter(|&&(of, _)| of == topology);
        consumer.skip = mine.map(|&(_, position)| position).collect();
    }
}
