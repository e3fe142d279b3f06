//! Batches between the log and their answers: written, applied, durable, in whatever order the last
//! two come; shown and answered in the order of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use gridmill_client::engine::{Ack, Submission};
use gridmill_client::{Admission, AppendErrorKind, BatchReceipt};
use gridmill_persistence::Position;
use parking_lot::Mutex;
use tokio::sync::oneshot;

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

/// One batch.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The position after its last record.
    end: Position,
    waiting: Vec<Waiting>,
    durable: bool,
    /// The view that shows it, once it is applied.
    view: Option<Arc<PartitionView>>,
}

/// All batches that are under way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: Mutex<VecDeque<Flight>>,
}

impl Flights {
    pub(crate) fn len(&self) -> usize {
        self.flights.lock().len()
    }

    /// A batch was written.
    pub(crate) fn written(&self, end: Position, waiting: Vec<Waiting>) {
        let flight = Flight { end, waiting, durable: false, view: None };
        self.flights.lock().push_back(flight);
    }

    /// The newest batch was applied: its receipts are complete, `view` shows it, and its last
    /// record (a verdict may have come behind its events) ends at `end`.
    pub(crate) fn applied(
        &self,
        shared: &Shared,
        end: Position,
        receipts: impl FnOnce(&mut [Waiting]),
        view: Arc<PartitionView>,
    ) {
        let mut flights = self.flights.lock();
        let Some(flight) = flights.back_mut() else { return };
        receipts(&mut flight.waiting);
        if flight.end < end {
            flight.end = end;
            flight.durable = false;
        }
        flight.view = Some(view);
        land(shared, &mut flights);
    }

    /// Everything before `durable` is durable.
    pub(crate) fn durable(&self, shared: &Shared, durable: Position) {
        let mut flights = self.flights.lock();
        for flight in flights.iter_mut().filter(|flight| flight.end <= durable) {
            flight.durable = true;
            let appended = |waiting: &&mut Waiting| waiting.ack == Ack::Appended;
            flight.waiting.iter_mut().filter(appended).for_each(Waiting::answer);
        }
        land(shared, &mut flights);
    }

    /// After a restart: what is in the log has been replayed and is answered; the rest is not in it.
    pub(crate) fn recovered(&self, end: Position, reason: &str) {
        for mut flight in std::mem::take(&mut *self.flights.lock()) {
            let logged = flight.end.epoch() <= end.epoch() && flight.end.number() <= end.number();
            for waiting in &mut flight.waiting {
                if logged {
                    waiting.answer();
                } else {
                    waiting.fail(AppendErrorKind::NotLogged { reason: reason.to_owned() });
                }
            }
        }
    }

    /// The partition is gone for good: it is not known what became of these.
    pub(crate) fn abandon(&self, reason: &str) {
        for mut flight in std::mem::take(&mut *self.flights.lock()) {
            let kind = AppendErrorKind::Unknown { reason: reason.to_owned() };
            flight.waiting.iter_mut().for_each(|waiting| waiting.fail(kind.clone()));
        }
    }
}

/// Shows and answers batches that are durable and applied. The view goes first: an answer promises
/// that readers see the batch.
fn land(shared: &Shared, flights: &mut VecDeque<Flight>) {
    let ready = |flight: &Flight| flight.durable && flight.view.is_some();
    let count = flights.iter().take_while(|flight| ready(flight)).count();
    if count == 0 {
        return;
    }
    if let Some(view) = flights[count - 1].view.take() {
        shared.view.store(view);
    }
    for mut flight in flights.drain(..count) {
        for waiting in &mut flight.waiting {
            waiting.admission = None;
            waiting.answer();
        }
    }
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
