//! Appends of one event.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gridmill_model::{Depot, Event};

use crate::client::Client;
use crate::engine::{Ack, Answer, DepotEntry, Done, Failure, Single};
use crate::error::{AppendError, AppendErrorKind};
use crate::gate::{Admission, Refused};
use crate::prepare;
use crate::receipt::{BatchReceipt, Receipt};

impl Client {
    /// Appends `event` to `depot` and waits until it is processed: durable, finished by every
    /// stream topology of the depot's module, and visible to any reader.
    ///
    /// Events that one caller appends one after the other to one partition are logged in that
    /// order. Of appends that run at the same time, those that are polled first go first while the
    /// mailbox has room; where order matters under overload, await one before the next, or use
    /// [`append_many`](Self::append_many).
    ///
    /// # Errors
    /// [`AppendError`] with the event where it was certainly not logged. A handler's refusal is
    /// [`Rejected`](AppendErrorKind::Rejected): the event is in the depot, what the handler wrote
    /// for it is undone.
    ///
    /// # Cancellation
    /// Nothing happens before the future is polled. Dropped while it waits for room in the
    /// mailbox, the event is gone. Dropped after it was queued, the event still counts: it is
    /// logged and processed, and only the answer is lost.
    pub async fn append<E: Event>(
        &self,
        depot: Depot<E>,
        event: E,
    ) -> Result<Receipt, AppendError<E>> {
        self.append_with(depot, event, Ack::Processed).await
    }

    /// Like [`append`](Self::append), answered as soon as `ack` asks for.
    ///
    /// With [`Ack::None`] the receipt names the partition alone, and an event that the partition
    /// could not log is lost without a word.
    ///
    /// # Errors
    /// Those of [`append`](Self::append); a rejection comes with [`Ack::Processed`] only.
    ///
    /// # Cancellation
    /// As with [`append`](Self::append).
    pub async fn append_with<E: Event>(
        &self,
        depot: Depot<E>,
        event: E,
        ack: Ack,
    ) -> Result<Receipt, AppendError<E>> {
        let ready = self.prepare(depot, event)?;
        match ready.admit().await {
            Ok(admission) => self.submit(ready, ack, admission).await,
            Err(_) => Err(ready.refused(Refused::Closed)),
        }
    }

    /// Appends `event` if its partition's mailbox has room for it now.
    ///
    /// Where this returns `Ok`, the event is queued and counts, whether the [`Pending`] answer is
    /// awaited or not; it comes when the event is processed, as with [`append`](Self::append).
    ///
    /// # Errors
    /// [`Overloaded`](AppendErrorKind::Overloaded) where the mailbox is full or others wait for
    /// room already, and the errors of [`append`](Self::append) that need no answer. All of them
    /// give the event back.
    pub fn try_append<E: Event>(
        &self,
        depot: Depot<E>,
        event: E,
    ) -> Result<Pending<E>, AppendError<E>> {
        let ready = self.prepare(depot, event)?;
        match ready.gate_try_enter() {
            Ok(admission) => Ok(self.submit(ready, Ack::Processed, admission)),
            Err(refused) => Err(ready.refused(refused)),
        }
    }

    fn prepare<E: Event>(&self, depot: Depot<E>, event: E) -> Result<Ready<E>, AppendError<E>> {
        let mut bytes = prepare::buffer();
        match self.address(depot, &event, &mut bytes) {
            Ok((entry, partition, variant)) => {
                Ok(Ready { entry, partition, event, variant, bytes })
            }
            Err(kind) => Err(AppendError { kind, events: Some(event) }),
        }
    }

    fn address<E: Event>(
        &self,
        depot: Depot<E>,
        event: &E,
        bytes: &mut Vec<u8>,
    ) -> Result<(Arc<DepotEntry>, u32, u16), AppendErrorKind> {
        let entry = self.handles.depot(&*self.engine, &depot)?;
        let partition = prepare::partition(&depot, &entry, event)?;
        let variant = prepare::encode_fields(&entry, 0, event, bytes)?;
        Ok((entry, partition, variant))
    }

    fn submit<E: Event>(&self, ready: Ready<E>, ack: Ack, admission: Admission) -> Pending<E> {
        let Ready { entry, partition, event, variant, bytes } = ready;
        let (done, answer) = answer_for(ack);
        self.engine.submit_one(Single {
            depot: entry.id,
            partition,
            event: &mut Some(event),
            variant,
            bytes: &bytes,
            ack,
            admission,
            done,
        });
        prepare::keep_buffer(bytes);
        Pending { partition, answer, event: PhantomData }
    }
}

/// Where a submission's answer is sent and received; nowhere if none is wanted.
pub(crate) fn answer_for(ack: Ack) -> (Option<Done>, Option<Answer>) {
    if ack == Ack::None {
        return (None, None);
    }
    let (done, answer) = Done::new();
    (Some(done), Some(answer))
}

/// An event that waits for room in its partition's mailbox.
struct Ready<E> {
    entry: Arc<DepotEntry>,
    partition: u32,
    event: E,
    variant: u16,
    bytes: Vec<u8>,
}

impl<E> Ready<E> {
    async fn admit(&self) -> Result<Admission, Refused> {
        self.entry.gate(self.partition)?.enter(self.bytes.len()).await
    }

    fn gate_try_enter(&self) -> Result<Admission, Refused> {
        self.entry.gate(self.partition)?.try_enter(self.bytes.len())
    }

    fn refused(self, refused: Refused) -> AppendError<E> {
        let kind = match refused {
            Refused::Closed => AppendErrorKind::ShuttingDown,
            Refused::Full => AppendErrorKind::Overloaded {
                depot: self.entry.name.clone(),
                partition: self.partition,
            },
        };
        AppendError { kind, events: Some(self.event) }
    }
}

/// The answer to an event that is queued.
///
/// Dropping it changes nothing but that nobody learns of the answer. Its result is that of
/// [`Client::append`].
#[derive(Debug)]
#[must_use = "the event counts either way, but only awaiting this tells what became of it"]
pub struct Pending<E> {
    partition: u32,
    answer: Option<Answer>,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> Future for Pending<E> {
    type Output = Result<Receipt, AppendError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Ok(Receipt::unasked(self.partition)));
        };
        let answered = ready!(Pin::new(answer).poll(context));
        Poll::Ready(match answered.unwrap_or_else(|_| Err(Failure::unanswered())) {
            Ok(batch) => single(batch).map_err(|kind| AppendError { kind, events: None }),
            Err(failure) => {
                let (kind, events) = failure.into_parts();
                Err(AppendError { kind, events: events.and_then(|mut events| events.pop()?) })
            }
        })
    }
}

/// The receipt of the one event of a submission.
pub(crate) fn single(batch: BatchReceipt) -> Result<Receipt, AppendErrorKind> {
    if let Some((_, rejection)) = batch.rejections.into_iter().next() {
        return Err(AppendErrorKind::Rejected(rejection));
    }
    Ok(Receipt {
        partition: batch.partition,
        offset: batch.first_offset,
        position: batch.first_position,
        replies: batch.replies.into_iter().map(|(_, reply)| reply).collect(),
    })
}
