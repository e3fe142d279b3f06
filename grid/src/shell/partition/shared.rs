//! What a partition shares with its callers: the mailbox, the published view, answers that wait.
//!
//! It outlives the actor. When the actor restarts, what waited goes on waiting here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;
use gridmill_client::engine::{Single, Submission};
use gridmill_client::{AppendErrorKind, Gate};
use gridmill_persistence::{LogReader, Position, Run};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::machine::control::Verdict;
use crate::state::AnyView;

use super::Msg;
use super::commit::Commits;
use super::failing::Problem;
use super::part::Part;
use crate::shell::host::Host;
use crate::shell::load::Load;

/// Everything that a reader of a partition sees, as of one position.
#[derive(Debug, Default)]
pub(crate) struct PartitionView {
    /// Roots by PState.
    pub(crate) roots: Vec<AnyView>,
    /// By topology: whether its roots are those of the live flow.
    pub(crate) live: Vec<bool>,
    /// What stands in quarantine.
    pub(crate) quarantine: Arc<Vec<Verdict>>,
}

/// How far a topology has read the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records of the log that are read.
    pub done: u64,
    /// Records of the log when it was last looked at.
    pub total: u64,
}

/// Figures that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) merges: AtomicU64,
    pub(crate) merged_bytes: AtomicU64,
    pub(crate) flushed_bytes: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) failed_jobs: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) tail_bytes: AtomicU64,
    pub(crate) overlay_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// The mailbox: events in the order of their arrival.
#[derive(Debug, Default)]
struct Inbox {
    waiting: VecDeque<Part>,
    /// The actor has been told, and has not looked yet.
    rung: bool,
    /// The actor has taken events that are in no commit yet.
    in_hand: bool,
    /// The partition is counted among those of its thread that have something to do.
    busy: bool,
    closed: Option<String>,
}

impl Inbox {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.in_hand
    }

    fn rest(&mut self, load: &Load) {
        if std::mem::take(&mut self.busy) {
            load.end();
        }
    }
}

/// One partition, seen from outside of its actor.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) module: &'static str,
    pub(crate) partition: u32,
    pub(crate) gate: Gate,
    inbox: Mutex<Inbox>,
    /// A `Wake` was sent since the actor looked last.
    told: AtomicBool,
    pub(crate) load: Load,
    host: ArcSwapOption<Arc<dyn Host>>,
    pub(crate) view: ArcSwap<PartitionView>,
    pub(crate) reader: ArcSwapOption<LogReader>,
    pub(crate) commits: Commits,
    pub(crate) counters: Counters,
    /// By topology: those that read the past.
    pub(crate) progress: DashMap<usize, Progress>,
    /// By topology: why one that read the past has stopped.
    pub(crate) problems: DashMap<usize, String>,
    /// By PState: roots of topologies that read the past.
    pub(crate) partial: DashMap<usize, AnyView>,
    /// Counts every change that somebody may wait for.
    pub(crate) changed: watch::Sender<u64>,
    /// How the log had been stopped before the last start.
    pub(crate) recovery: Mutex<String>,
    /// The runs of the live flow, for the figures.
    pub(crate) runs: ArcSwap<Vec<Run>>,
    /// Why the partition does not run, while it does not.
    pub(crate) stopped: Mutex<Option<String>>,
    /// Why changes stay in memory, while flushes or merges fail.
    pub(crate) problem: Mutex<Option<Problem>>,
}

impl Shared {
    pub(crate) fn new(
        module: &'static str,
        partition: u32,
        mailbox_bytes_max: u32,
        load: Load,
    ) -> Self {
        Self {
            module,
            partition,
            gate: Gate::new(mailbox_bytes_max),
            inbox: Mutex::default(),
            told: AtomicBool::new(false),
            load,
            host: ArcSwapOption::empty(),
            view: ArcSwap::default(),
            reader: ArcSwapOption::empty(),
            commits: Commits::default(),
            counters: Counters::default(),
            progress: DashMap::new(),
            problems: DashMap::new(),
            partial: DashMap::new(),
            changed: watch::Sender::new(0),
            recovery: Mutex::default(),
            runs: ArcSwap::default(),
            stopped: Mutex::new(None),
            problem: Mutex::new(None),
        }
    }

    /// Puts events at the end of the mailbox and wakes the actor.
    pub(crate) fn submit(&self, part: Part) {
        let mut inbox = self.inbox.lock();
        if let Some(reason) = inbox.closed.clone() {
            drop(inbox);
            return part.fail(&AppendErrorKind::NotLogged { reason });
        }
        inbox.waiting.push_back(part);
        self.ring(inbox);
    }

    /// Puts an event at the end of the mailbox and wakes the actor.
    pub(crate) fn submit_one(&self, single: Single<'_>) {
        let mut inbox = self.inbox.lock();
        let Inbox { waiting, closed, .. } = &mut *inbox;
        let joined = match waiting.back_mut().filter(|_| closed.is_none()) {
            Some(last) => last.join(single),
            None => Err(single),
        };
        let Err(single) = joined else { return self.ring(inbox) };
        drop(inbox);
        self.submit(Submission::from(single).into());
    }

    /// Wakes the actor, if it was not woken since it looked last.
    fn ring(&self, mut inbox: MutexGuard<'_, Inbox>) {
        let ring = !std::mem::replace(&mut inbox.rung, true);
        if !std::mem::replace(&mut inbox.busy, true) {
            self.load.begin();
        }
        drop(inbox);
        if ring {
            self.send(Msg::Wake);
            self.told.store(true, Ordering::Release);
        }
    }

    /// Whether a `Wake` is there, or was there a moment ago.
    pub(crate) fn was_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// Takes events out of the mailbox, until they cost about `cost_max`.
    pub(crate) fn take(&self, cost_max: usize, into: &mut Vec<Part>) {
        let mut inbox = self.inbox.lock();
        let mut cost = 0;
        while cost < cost_max {
            let Some(next) = inbox.waiting.pop_front() else { break };
            cost += next.cost();
            into.push(next);
        }
        inbox.rung = !inbox.waiting.is_empty();
        inbox.in_hand = !into.is_empty();
        self.told.store(false, Ordering::Relaxed);
    }

    /// What was taken is under way, or refused.
    pub(crate) fn put_down(&self) {
        self.inbox.lock().in_hand = false;
        self.touch();
    }

    /// Puts what could not be logged yet back to the front.
    pub(crate) fn put_back(&self, parts: Vec<Part>) {
        let mut inbox = self.inbox.lock();
        for part in parts.into_iter().rev() {
            inbox.waiting.push_front(part);
        }
        inbox.in_hand = false;
    }

    /// Says that there is nothing to do, where that is so; for the actor alone.
    pub(crate) fn settle(&self) {
        if self.commits.len() > 0 {
            return;
        }
        let mut inbox = self.inbox.lock();
        if inbox.is_idle() {
            inbox.rest(&self.load);
        }
    }

    /// Whether nothing waits to be logged.
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.lock().is_idle()
    }

    /// Whether events that cost at least `cost_min` wait in the mailbox, beside those that the actor
    /// has taken.
    pub(crate) fn has_waiting(&self, cost_min: usize) -> bool {
        let inbox = self.inbox.lock();
        let mut cost = 0;
        inbox.waiting.iter().any(|part| {
            cost += part.cost();
            cost >= cost_min
        })
    }

    /// Takes nothing any more, because the grid ends; what waits is given back.
    pub(crate) fn close(&self, reason: &str) {
        self.gate.close();
        self.give_up(reason);
    }

    /// Takes nothing any more, because this partition cannot go on; what waits is given back. Who
    /// appends later is told the reason.
    pub(crate) fn give_up(&self, reason: &str) {
        let waiting = {
            let mut inbox = self.inbox.lock();
            inbox.closed = Some(reason.to_owned());
            inbox.in_hand = false;
            inbox.rest(&self.load);
            std::mem::take(&mut inbox.waiting)
        };
        let kind = AppendErrorKind::NotLogged { reason: reason.to_owned() };
        waiting.into_iter().for_each(|part| part.fail(&kind));
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.inbox.lock().closed.is_some()
    }

    pub(crate) fn send(&self, message: Msg) {
        if let Some(host) = &*self.host.load() {
            // A message to an actor that just died is made up for when it restarts.
            host.tell(message);
        }
    }

    /// The actor runs; whatever waited for it is its business now.
    pub(crate) fn attach(&self, host: Arc<dyn Host>) {
        self.host.store(Some(Arc::new(host)));
        *self.stopped.lock() = None;
        *self.problem.lock() = None;
        {
            let mut inbox = self.inbox.lock();
            inbox.rung = true;
            inbox.in_hand = false;
        }
        self.send(Msg::Wake);
        self.touch();
    }

    pub(crate) fn detach(&self, reason: String) {
        self.host.store(None);
        *self.stopped.lock() = Some(reason);
        self.touch();
    }

    /// Shows all PStates of `view` but the first: a fault that can be planted.
    pub(crate) fn publish_half(&self, view: &PartitionView) {
        let shown = self.view.load();
        let mut roots = view.roots.clone();
        if let (Some(first), Some(old)) = (roots.first_mut(), shown.roots.first()) {
            *first = Arc::clone(old);
        }
        let (live, quarantine) = (view.live.clone(), Arc::clone(&view.quarantine));
        self.view.store(Arc::new(PartitionView { roots, live, quarantine }));
    }

    /// Wakes those who wait for a change.
    pub(crate) fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// The position after the last record that readers may see.
    pub(crate) fn readable(&self) -> Position {
        self.reader.load().as_ref().map_or(Position::START, |reader| reader.end())
    }
}
