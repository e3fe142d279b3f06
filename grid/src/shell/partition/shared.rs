//! What a partition shares with its callers: the mailbox, what is published, answers that wait.
//!
//! It outlives the actor. When the actor restarts, what waited goes on waiting here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_client::Gate;
use gridmill_client::engine::Single;
use gridmill_persistence::Position;

use crate::module::Plan;

use super::Msg;
use super::calls::CallTokens;
use super::commit::{PendingCommand, StepDone};
use super::commits::{Commits, Completed, Publish, ReceivedMark};
use super::counters::Counters;
use super::delivery::Delivery;
use super::life::Life;
use super::mailbox::Mailbox;
use super::past::{Past, Progress};
use super::peers::Peers;
use super::published::{PartitionView, Published};
use super::queued::QueuedEvents;
use super::tree::Token;
use super::waiting::Waiting;
use super::watching::Watching;
use crate::shell::clock::Watcher;
use crate::shell::host::Host;
use crate::shell::load::Load;
use crate::state::marks::ScopeId;

/// One partition, seen from outside of its actor.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) module: &'static str,
    pub(crate) partition: u32,
    pub(crate) gate: Gate,
    pub(crate) mailbox: Mailbox,
    pub(crate) commits: Commits,
    pub(crate) published: Published,
    pub(crate) past: Past,
    pub(crate) life: Life,
    pub(crate) counters: Counters,
    pub(crate) peers: Peers,
    /// Who waits for calls to the outside.
    pub(crate) calls: CallTokens,
    /// What is watched.
    pub(crate) watching: Watching,
    /// Its actor wants to be woken when something that it sent is confirmed.
    awaits_confirmation: AtomicBool,
}

impl Publish for Shared {
    fn show(&self, view: Arc<PartitionView>) {
        self.published.show(view);
    }

    fn touched(&self, scopes: &[ScopeId]) {
        self.watching.touched(scopes);
    }

    fn watched(&self, scopes: &[ScopeId]) {
        self.watching.watched(scopes);
    }

    fn deliver(&self, target: u32, delivery: Delivery) {
        if let Some(peer) = self.peers.get(target) {
            peer.mailbox.deliver(delivery, || peer.send(Msg::Wake));
        }
    }

    fn keep_call(&self, topology: usize, position: Position, token: Token) {
        self.calls.keep(topology, position, token);
    }

    fn confirm(&self, received: &ReceivedMark) {
        let ReceivedMark { topology, source, mark } = *received;
        if let Some(confirmed) = self.peers.confirmed() {
            confirmed.confirm(self.partition, topology, source, mark);
        }
        if let Some(peer) = self.peers.get(source)
            && peer.awaits_confirmation.swap(false, Ordering::AcqRel)
        {
            peer.send(Msg::Wake);
        }
    }
}

impl Watcher for Shared {
    fn time_passed(&self) {
        self.mailbox.time_passed(|| self.send(Msg::Wake));
    }
}

impl Shared {
    pub(crate) fn new(
        module: &'static str,
        partition: u32,
        (mailbox_bytes_max, watches_max): (u32, usize),
        load: Load,
    ) -> Self {
        Self {
            module,
            partition,
            gate: Gate::new(mailbox_bytes_max),
            mailbox: Mailbox::new(load),
            commits: Commits::default(),
            published: Published::default(),
            past: Past::default(),
            life: Life::default(),
            counters: Counters::default(),
            peers: Peers::default(),
            calls: CallTokens::default(),
            watching: Watching::new(watches_max),
            awaits_confirmation: AtomicBool::new(false),
        }
    }

    /// Puts events at the end of the mailbox and wakes the actor.
    pub(crate) fn submit(&self, events: QueuedEvents) {
        self.mailbox.push(events, || self.send(Msg::Wake));
    }

    /// Puts an event at the end of the mailbox and wakes the actor.
    pub(crate) fn submit_one(&self, single: Single<'_>) {
        self.mailbox.push_one(single, || self.send(Msg::Wake));
    }

    /// Everything before `durable` counts as durable. Commits that were applied are shown and answered.
    pub(crate) fn durable(&self, durable: Position) {
        self.answer(self.commits.durable(durable, self));
    }

    /// Everything before `synced` is as safe as it will be: partitions need not keep what they sent any longer.
    pub(crate) fn synced(&self, synced: Position) {
        self.commits.synced(synced, self);
    }

    /// Has the actor woken at the next confirmation of something that it sent.
    pub(crate) fn await_confirmation(&self) {
        self.awaits_confirmation.store(true, Ordering::Release);
    }

    /// A step of the newest batch was applied: `say` enters what handlers said. Commits that are durable are
    /// shown and answered.
    pub(crate) fn applied(
        &self,
        plan: &Arc<Plan>,
        step: StepDone,
        say: impl FnOnce(&mut [Waiting], Option<&mut PendingCommand>),
    ) {
        self.answer(self.commits.applied(plan, step, say, self));
    }

    fn answer(&self, completed: Completed) {
        if completed.len() > 0 {
            completed.answer();
            self.published.touch();
        }
        self.evaluate();
    }

    /// These are watched from the newest batch on.
    pub(crate) fn watched(&self, scopes: Vec<ScopeId>) {
        self.commits.watched(scopes, self);
        self.evaluate();
    }

    /// Waits until nothing waits here to be logged, or to be answered, and no call to the outside is open.
    pub(crate) async fn done(&self) {
        let mut changed = self.published.changes();
        while !self.is_done() || self.counters.calls.load(Ordering::Acquire) > 0 {
            // On tokio it is no matter of a task's budget, as no future of a client is.
            let _ = tokio::task::unconstrained(changed.changed()).await;
        }
    }

    /// Whether nothing waits to be logged, or to be answered.
    pub(crate) fn is_done(&self) -> bool {
        self.mailbox.is_idle() && self.commits.len() == 0
    }

    /// Says that there is nothing to do, where that is so; for the actor alone.
    pub(crate) fn settle(&self) {
        if self.commits.len() == 0 {
            self.mailbox.settle();
        }
    }

    /// How far a topology has read that reads the past.
    pub(crate) fn progress_of(&self, topology: usize) -> Progress {
        let unread = || Progress { done: 0, total: self.published.log_end().number() };
        self.past.progress_of(topology).unwrap_or_else(unread)
    }

    pub(crate) fn send(&self, message: Msg) {
        self.life.send(message);
    }

    /// The actor runs; whatever waited for it is its business now.
    pub(crate) fn attach(&self, host: Arc<dyn Host>) {
        self.life.begin(host);
        self.mailbox.begin();
        self.send(Msg::Wake);
        self.published.touch();
        self.evaluate();
    }

    pub(crate) fn detach(&self, reason: String) {
        self.life.end(reason);
        self.published.touch();
    }

    /// Takes nothing any more, because the grid ends; what waits is given back.
    pub(crate) fn close(&self, reason: &str) {
        self.gate.close();
        self.mailbox.close(reason);
        self.watching.end(self.partition, reason);
    }

    /// Nobody knows any more what becomes of calls to the outside.
    pub(crate) fn lose_calls(&self) {
        self.counters.calls.store(0, Ordering::Release);
        self.calls.lose();
    }

    /// The grid ends without an answer to what is under way.
    pub(crate) fn abandon(&self, reason: &str) {
        self.close(reason);
        self.commits.abandon(reason);
        self.lose_calls();
    }

    /// This partition cannot go on: nothing of what is under way is known, and nothing more is taken.
    pub(crate) fn give_up(&self, reason: &str) {
        self.life.give_up(reason.to_owned());
        self.mailbox.close(reason);
        self.commits.abandon(reason);
        self.lose_calls();
        self.watching.end(self.partition, reason);
        self.published.touch();
        // What they sent here will not be confirmed.
        self.peers.wake();
    }
}
