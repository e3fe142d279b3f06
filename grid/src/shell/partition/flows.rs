//! What a live partition sends to others, and what it takes from them.

use std::sync::Arc;
use std::time::Duration;

use gridmill_client::AppendErrorKind;
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::machine::budget::Account;
use crate::machine::flow::marks::Marks;
use crate::machine::flow::outbox::{Addressed, Outbox};
use crate::machine::flow::parcel::Parcel;
use crate::machine::flush::FlowsAtFlush;
use crate::machine::manifest::Intake;
use crate::module::Plan;
use crate::topology::Effects;

use super::counters::Counters;
use super::door::Gap;
use super::mailbox::Intake as LetIn;
use super::shared::Shared;
use super::{Msg, Partition};

/// How long deliveries wait after they could not be written, unless a write goes well before.
const HOLD: Duration = Duration::from_millis(100);

/// The flows that begin or end at a partition.
pub(crate) struct Flows {
    /// How far others have been heard.
    pub(crate) marks: Marks,
    outbox: Outbox,
    /// What the outbox takes.
    account: Account,
    /// Deliveries could not be written, and wait for the disk.
    on_hold: bool,
}

impl Flows {
    /// With what has come, and what was sent and is not confirmed.
    pub(crate) fn new(marks: Marks, outbox: Outbox, account: Account) -> Self {
        let mut flows = Self { marks, outbox, account, on_hold: false };
        flows.account.set(flows.outbox.bytes());
        flows
    }

    /// What a flush of topologies is to say of flows, where the log ends at `end`.
    pub(crate) fn at_flush(
        &self,
        plan: &Plan,
        topologies: &[usize],
        end: Position,
    ) -> FlowsAtFlush {
        let sends = |&&topology: &&usize| plan.topologies[topology].sends();
        let senders = topologies.iter().filter(sends);
        let forgets = is_planted(Bug::ForgetOutbox);
        let kept = |topology| {
            if forgets { Vec::new() } else { self.outbox.records(plan, topology) }
        };
        let outboxes = senders.map(|&topology| (topology, kept(topology)));
        let intake = Intake { at: end, marks: self.marks.snapshot() };
        FlowsAtFlush { intake: Some(intake), outboxes: outboxes.collect() }
    }

    /// Keeps what a step of a batch sends until its targets have it; returns it in parcels.
    pub(crate) fn send(&mut self, effects: &Effects) -> Vec<Addressed> {
        let sent = self.outbox.send(effects);
        self.account.set(self.outbox.bytes());
        sent
    }

    /// Lets go of what targets have.
    pub(crate) fn settle(&mut self) {
        self.outbox.settle();
        self.account.set(self.outbox.bytes());
    }

    /// What may be let in. Clients wait while too much is under way to other partitions; what these send never waits
    /// for that, so that everything under way arrives.
    pub(crate) fn intake(&self) -> LetIn {
        let events = !self.account.is_over(self.outbox.bytes());
        let gated = is_planted(Bug::GateHops) && !events;
        LetIn { deliveries: !self.on_hold && !gated, events }
    }

    /// Whether clients will wait for ever for one partition that has stopped: what goes there is all that may be kept.
    fn is_stalled_by(&self, target: u32) -> bool {
        self.account.is_over(self.outbox.bytes_to(target))
    }

    /// Deliveries can be written again.
    pub(crate) fn release(&mut self) {
        self.on_hold = false;
    }
}

impl Partition {
    /// Keeps what a step of a batch sends, and counts it; returns it in parcels.
    pub(crate) fn send(&mut self, effects: &Effects) -> Vec<Addressed> {
        // Most batches send nothing, and what all partitions share is not to be written for them.
        if effects.is_empty() {
            return Vec::new();
        }
        let sent = self.flows.send(effects);
        let records: usize = sent.iter().map(|(_, parcel)| parcel.len()).sum();
        Counters::add(&self.shared.counters.sent, records as u64);
        self.note_outbox();
        sent
    }

    /// Gives back what clients append where they would wait for a partition that will not run again.
    pub(crate) fn refuse_stalled(&mut self) {
        if self.flows.intake().events {
            return;
        }
        let by = |peer: &Arc<Shared>| self.flows.is_stalled_by(peer.partition);
        let Some(peer) = self.shared.peers.given_up().find(by) else { return };
        let (partition, target) = (self.shared.partition, peer.partition);
        let reason = peer.life.stopped().unwrap_or_default();
        self.refuse_waiting(&AppendErrorKind::Stalled { partition, target, reason });
    }

    fn note_outbox(&self) {
        Counters::set(&self.shared.counters.outbox_bytes, self.flows.outbox.bytes());
    }

    /// Lets deliveries wait for the disk.
    pub(crate) fn hold_deliveries(&mut self) {
        self.flows.on_hold = true;
        self.host.after(HOLD, || Msg::Release);
    }

    /// Asks partitions for what is missing before what they sent.
    pub(crate) fn ask_again(&self, gaps: Vec<Gap>) {
        for (topology, source) in gaps {
            if let Some(peer) = self.shared.peers.get(source) {
                peer.send(Msg::SendAgain { topology, target: self.shared.partition });
            }
        }
    }

    /// Sends a partition all of a topology that it has not confirmed.
    pub(crate) fn send_again(&self, topology: usize, target: u32) {
        self.hand_over_again(|to, parcel| to == target && parcel.topology == topology);
    }

    /// Sends what was sent before this life began, and is not confirmed.
    pub(crate) fn send_recovered(&self) {
        self.hand_over_again(|_, _| true);
        self.note_outbox();
    }

    fn hand_over_again(&self, wanted: impl Fn(u32, &Parcel) -> bool) {
        let unconfirmed = self.flows.outbox.unconfirmed();
        let again: Vec<Addressed> = unconfirmed
            .filter(|(target, parcel)| wanted(*target, parcel))
            .map(|(target, parcel)| (target, Arc::clone(parcel)))
            .collect();
        let records: usize = again.iter().map(|(_, parcel)| parcel.len()).sum();
        Counters::add(&self.shared.counters.sent_again, records as u64);
        self.shared.commits.send_again(again.into_iter(), &*self.shared);
    }

    /// What a flush of topologies is to say of flows.
    pub(crate) fn flows_at_flush(&self, topologies: &[usize]) -> FlowsAtFlush {
        self.flows.at_flush(&self.core.plan, topologies, self.writer.end())
    }

    /// Sees to what targets have confirmed, and asks to be told where that is waited for.
    pub(crate) fn settle_flows(&mut self) {
        if self.flows.outbox.is_empty() {
            return;
        }
        if !self.flows.intake().events {
            // Before it looks: what is confirmed after that wakes it.
            self.shared.await_confirmation();
        }
        self.flows.settle();
        self.note_outbox();
    }
}
