//! Batches between the log and their answers: written, applied, durable, in whatever order the last
//! two come; shown and answered in the order of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use gridmill_client::engine::{Ack, Submission};
use gridmill_client::{Admission, AppendErrorKind, BatchReceipt, Rejection, Reply};
use gridmill_persistence::Position;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::partition::open::{Said, What};
use crate::partition::plan::Plan;
use crate::topology::Refusal;

use super::shared::{PartitionView, Shared};

type Done = oneshot::Sender<Result<BatchReceipt, AppendErrorKind>>;

/// One submission that waits for its answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    done: Option<Done>,
    ack: Ack,
    admission: Option<Admission>,
    pub(crate) receipt: BatchReceipt,
}

impl Waiting {
    pub(crate) fn new(
        done: Option<Done>,
        ack: Ack,
        admission: Admission,
        receipt: BatchReceipt,
    ) -> Self {
        Self { done, ack, admission: Some(admission), receipt }
    }

    /// Whether it is told what handlers said; who waits for less must not depend on who is faster.
    pub(crate) fn is_for_processed(&self) -> bool {
        self.ack == Ack::Processed
    }

    /// Enters what handlers said about its records in a replay.
    pub(crate) fn hear(&mut self, plan: &Plan, said: &[Said]) {
        if !self.is_for_processed() {
            return;
        }
        let receipt = &mut self.receipt;
        let first = Position::from_bits(receipt.first_position).number();
        for Said { position, topology, what } in said {
            let index = position.number().wrapping_sub(first);
            if index >= receipt.count {
                continue;
            }
            // A submission has far less than 2^32 records.
            let index = index as u32;
            let topology = plan.topologies[*topology].name.to_owned();
            let rejection = |message: &str, error: &[u8], quarantined| Rejection {
                topology: topology.clone(),
                message: message.to_owned(),
                error: error.to_vec(),
                quarantined,
            };
            match what {
                What::Reply(bytes) => {
                    let bytes = bytes.clone();
                    receipt.replies.push((index, Reply { topology, bytes }));
                }
                What::Refusal(Refusal { message, error }) => {
                    receipt.rejections.push((index, rejection(message, error, false)));
                }
                What::Quarantined(message) => {
                    receipt.rejections.push((index, rejection(message, &[], true)));
                }
            }
        }
    }

    fn answer(&mut self) {
        if let Some(done) = self.done.take() {
            // Nobody has to listen.
            let _ = done.send(Ok(std::mem::take(&mut self.receipt)));
        }
    }

    fn fail(&mut self, kind: AppendErrorKind) {
        if let Some(done) = self.done.take() {
            let _ = done.send(Err(kind));
        }
    }
}

/// An order of the operator (a retry, a discard) that waits until its effect is durable and shown.
#[derive(Debug)]
pub(crate) struct Order {
    done: oneshot::Sender<Result<(), String>>,
    /// What it will be answered with.
    pub(crate) answer: Result<(), String>,
}

impl Order {
    pub(crate) fn new(done: oneshot::Sender<Result<(), String>>) -> Self {
        Self { done, answer: Ok(()) }
    }

    fn answer(self) {
        // Nobody has to listen.
        let _ = self.done.send(self.answer);
    }
}

/// One batch.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The position after its last record.
    end: Position,
    waiting: Vec<Waiting>,
    order: Option<Order>,
    /// The view that shows it, once it is applied.
    view: Option<Arc<PartitionView>>,
}

/// All batches that are under way, oldest first.
#[derive(Debug, Default)]
struct UnderWay {
    flights: VecDeque<Flight>,
    /// Everything before it is durable. It is kept because a batch's end may move on (a verdict
    /// comes behind its events) after the sync that covers both.
    durable: Position,
    /// Why nothing will be answered any more.
    abandoned: Option<String>,
}

/// All batches that are under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    under_way: Mutex<UnderWay>,
}

impl Flights {
    pub(crate) fn len(&self) -> usize {
        self.under_way.lock().flights.len()
    }

    /// A batch was written.
    pub(crate) fn written(&self, end: Position, waiting: Vec<Waiting>, order: Option<Order>) {
        let mut flight = Flight { end, waiting, order, view: None };
        let mut under_way = self.under_way.lock();
        match &under_way.abandoned {
            // A dropped grid's actor may be in the middle of a batch: nobody else would answer.
            Some(reason) => flight.give_up(reason),
            None => under_way.flights.push_back(flight),
        }
    }

    /// The newest batch was applied: `complete` enters what handlers said, `view` shows it, and its
    /// last record (a verdict may have come behind its events) ends at `end`.
    pub(crate) fn applied(
        &self,
        shared: &Shared,
        end: Position,
        complete: impl FnOnce(&mut [Waiting], Option<&mut Order>),
        view: Arc<PartitionView>,
    ) {
        let mut under_way = self.under_way.lock();
        let Some(flight) = under_way.flights.back_mut() else { return };
        complete(&mut flight.waiting, flight.order.as_mut());
        flight.end = flight.end.max(end);
        flight.view = Some(view);
        land(shared, &mut under_way);
    }

    /// Everything before `durable` is durable.
    pub(crate) fn durable(&self, shared: &Shared, durable: Position) {
        let mut under_way = self.under_way.lock();
        under_way.durable = under_way.durable.max(durable);
        for flight in under_way.flights.iter_mut().filter(|flight| flight.end <= durable) {
            let appended = |waiting: &&mut Waiting| waiting.ack == Ack::Appended;
            flight.waiting.iter_mut().filter(appended).for_each(Waiting::answer);
        }
        land(shared, &mut under_way);
    }

    /// After a restart: `view` shows everything before `end`, which is what the log has kept. What
    /// is in it is answered; the rest is not in it. A sync of the old actor that ends only now finds
    /// nothing to show any more.
    pub(crate) fn recovered(
        &self,
        shared: &Shared,
        end: Position,
        view: Arc<PartitionView>,
        complete: impl Fn(&mut Waiting),
        reason: &str,
    ) {
        let mut under_way = self.under_way.lock();
        shared.view.store(view);
        for mut flight in std::mem::take(&mut under_way.flights) {
            let logged = flight.end.epoch() <= end.epoch() && flight.end.number() <= end.number();
            if logged {
                if flight.view.is_none() {
                    // It was not applied before the restart: the replay says what handlers said.
                    flight.waiting.iter_mut().for_each(&complete);
                }
                flight.answer();
                continue;
            }
            for waiting in &mut flight.waiting {
                waiting.fail(AppendErrorKind::NotLogged { reason: reason.to_owned() });
            }
        }
    }

    /// The first record whose appender has not heard yet what handlers say.
    pub(crate) fn waiting_from(&self) -> Option<Position> {
        let under_way = self.under_way.lock();
        let open = under_way.flights.iter().filter(|flight| flight.view.is_none());
        let first = open.flat_map(|flight| &flight.waiting).next();
        first.map(|waiting| Position::from_bits(waiting.receipt.first_position))
    }

    /// The partition is gone for good: it is not known what became of these, nor of any that its
    /// actor may still write.
    pub(crate) fn abandon(&self, reason: &str) {
        let mut under_way = self.under_way.lock();
        under_way.abandoned = Some(reason.to_owned());
        for mut flight in std::mem::take(&mut under_way.flights) {
            flight.give_up(reason);
        }
    }
}

impl Flight {
    fn answer(&mut self) {
        for waiting in &mut self.waiting {
            waiting.admission = None;
            waiting.answer();
        }
        if let Some(order) = self.order.take() {
            order.answer();
        }
    }

    fn give_up(&mut self, reason: &str) {
        let kind = AppendErrorKind::Unknown { reason: reason.to_owned() };
        self.waiting.iter_mut().for_each(|waiting| waiting.fail(kind.clone()));
    }
}

/// Shows and answers batches that are durable and applied. The view goes first: an answer promises
/// that readers see the batch.
fn land(shared: &Shared, under_way: &mut UnderWay) {
    let UnderWay { flights, durable, .. } = under_way;
    let ready = |flight: &&Flight| flight.end <= *durable && flight.view.is_some();
    let count = flights.iter().take_while(ready).count();
    if count == 0 {
        return;
    }
    if let Some(view) = flights[count - 1].view.take() {
        shared.view.store(view);
    }
    flights.drain(..count).for_each(|mut flight| flight.answer());
    shared.touch();
}

/// Hands a submission back that was not logged.
pub(crate) fn give_back(submission: Submission, reason: String) {
    fail(submission, AppendErrorKind::NotLogged { reason });
}

/// Answers a submission of which nothing was logged.
pub(crate) fn fail(submission: Submission, kind: AppendErrorKind) {
    submission.returned.put(submission.events);
    if let Some(done) = submission.done {
        let _ = done.send(Err(kind));
    }
}
