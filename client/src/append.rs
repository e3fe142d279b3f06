//! Appends of one event.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gridmill_model::{Depot, Event, RouteKey, Uuid};

use crate::client::Client;
use crate::engine::{Ack, Answer, SingleEvent};
use crate::error::{AppendError, AppendErrorKind};
use crate::gate::{Admission, Refused};
use crate::handles::{DepotMismatch, DepotRef};
use crate::prepare;
use crate::receipt::{BatchReceipt, Receipt, Rejected};

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
    ///
    /// The future borrows nothing of the client and needs no runtime: it may be spawned as it is,
    /// and one task may wait for any number of them.
    pub fn append<E: Event>(
        &self,
        depot: Depot<E>,
        event: E,
    ) -> impl Future<Output = Result<Receipt, AppendError<E>>> + Send + use<E> {
        self.append_with(depot, event, Ack::Processed)
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
    pub fn append_with<E: Event>(
        &self,
        depot: Depot<E>,
        event: E,
        ack: Ack,
    ) -> impl Future<Output = Result<Receipt, AppendError<E>>> + Send + use<E> {
        let found = self.handles.depot(&self.engine, &depot);
        async move {
            let ready = Ready::new(found, depot, event, None)?;
            match ready.enter().await {
                Ok(admission) => ready.submit(ack, admission).await,
                Err(refused) => Err(ready.refused(refused)),
            }
        }
    }

    /// Like [`append`](Self::append), done at most once however often it is called with the same `id`: for whoever
    /// does not know what became of an append and wants to try again.
    ///
    /// Make an id for each thing that is to happen once, and keep it until the append is answered. A call with an id
    /// that was used before logs nothing. It is answered with the first one's offset, position, replies and
    /// refusals, and [`Receipt::repeated`] says so; where the first one is still under way, both get the same
    /// answer. That holds after a restart and after a crash too. Only where the process is killed right behind the
    /// first answer, where replies have more than 64 KiB, or where the module has another version since, nothing is
    /// known of the first one's replies and refusals
    /// ([`Repeated::BeforeRestart`](crate::Repeated::BeforeRestart)). After
    /// [`Unknown`](AppendErrorKind::Unknown), the same call again settles what became of the event.
    ///
    /// Ids are kept for a window of time, 10 minutes by default (`GridBuilder::once_window`); a call after that is
    /// another append. They belong to a partition of a depot. The same id used for another depot, or for an event
    /// that belongs to another partition, is another append. An event of a depot without partitioning
    /// ([`Depot::random`]) goes to the partition that its id chooses.
    ///
    /// ```
    /// # use gridmill_client::{AppendError, AppendErrorKind, Client};
    /// # use gridmill_model::{Depot, Uuid};
    /// const PAID: Depot<u64> = Depot::hash_by("bank/paid", |account| account.into());
    ///
    /// /// Tries until it is known that it was counted, which it is once.
    /// async fn pay(client: &Client, id: Uuid, account: u64) -> Result<u64, AppendError<u64>> {
    ///     loop {
    ///         match client.append_once(PAID, id, account).await {
    ///             Ok(receipt) => return Ok(receipt.offset),
    ///             Err(AppendError { kind: AppendErrorKind::Unknown { .. }, .. }) => continue,
    ///             Err(error) => return Err(error),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`append`](Self::append). [`IdTaken`](AppendErrorKind::IdTaken) where the id was used for another
    /// event, [`TooManyIds`](AppendErrorKind::TooManyIds) where the partition has no room for one more; both give the
    /// event back.
    ///
    /// # Cancellation
    /// As with [`append`](Self::append).
    pub fn append_once<E: Event>(
        &self,
        depot: Depot<E>,
        id: Uuid,
        event: E,
    ) -> impl Future<Output = Result<Receipt, AppendError<E>>> + Send + use<E> {
        let found = self.handles.depot(&self.engine, &depot);
        async move {
            let ready = Ready::new(found, depot, event, Some(id))?;
            match ready.enter().await {
                Ok(admission) => ready.submit_once(id, admission).await,
                Err(refused) => Err(ready.refused(refused)),
            }
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
        let found = self.handles.depot(&self.engine, &depot);
        let ready = Ready::new(found, depot, event, None)?;
        match ready.depot.try_enter(ready.partition, ready.bytes.len()) {
            Ok(admission) => Ok(ready.submit(Ack::Processed, admission)),
            Err(refused) => Err(ready.refused(refused)),
        }
    }
}

/// An event that waits for room in its partition's mailbox.
struct Ready<E> {
    depot: Arc<DepotRef>,
    partition: u32,
    event: E,
    variant: u16,
    bytes: Vec<u8>,
}

impl<E: Event> Ready<E> {
    /// Chooses the partition of `event` and encodes it, or gives it back. With an `id` it is the same each time.
    fn new(
        found: Result<Arc<DepotRef>, DepotMismatch>,
        depot: Depot<E>,
        event: E,
        id: Option<Uuid>,
    ) -> Result<Self, AppendError<E>> {
        let mut bytes = prepare::buffer();
        match address(found, depot, (&event, id), &mut bytes) {
            Ok((depot, partition, variant)) => Ok(Self { depot, partition, event, variant, bytes }),
            Err(kind) => Err(AppendError { kind, events: Some(event) }),
        }
    }

    async fn enter(&self) -> Result<Admission, Refused> {
        self.depot.enter(self.partition, self.bytes.len()).await
    }

    fn submit(self, ack: Ack, admission: Admission) -> Pending<E> {
        let Self { depot, partition, event, variant, bytes } = self;
        let mut event = Some(event);
        let single = SingleEvent::new(&mut event, variant, &bytes);
        let answer = depot.submit_one(partition, single, ack, admission);
        prepare::keep_buffer(bytes);
        let topologies = Some(Arc::clone(&depot.entry.topologies));
        Pending { answer, topologies, event: PhantomData }
    }

    fn submit_once(self, id: Uuid, admission: Admission) -> Pending<E> {
        let Self { depot, partition, event, variant, bytes } = self;
        let mut event = Some(event);
        let single = SingleEvent::new(&mut event, variant, &bytes);
        let answer = depot.submit_once(partition, single, id, admission);
        prepare::keep_buffer(bytes);
        let topologies = Some(Arc::clone(&depot.entry.topologies));
        Pending { answer, topologies, event: PhantomData }
    }

    fn refused(self, refused: Refused) -> AppendError<E> {
        let kind = self.depot.refused(self.partition, refused);
        AppendError { kind, events: Some(self.event) }
    }
}

fn address<E: Event>(
    found: Result<Arc<DepotRef>, DepotMismatch>,
    depot: Depot<E>,
    (event, id): (&E, Option<Uuid>),
    bytes: &mut Vec<u8>,
) -> Result<(Arc<DepotRef>, u32, u16), AppendErrorKind> {
    let found = found?;
    let partition = match id {
        Some(id) => prepare::partition_or(&depot, &found.entry, event, |count| {
            RouteKey::from(id).partition(count)
        }),
        None => prepare::partition(&depot, &found.entry, event),
    }?;
    let variant = prepare::encode_fields(&found.entry, 0, event, bytes)?;
    Ok((found, partition, variant))
}

/// The answer to an event that is queued.
///
/// Dropping it changes nothing but that nobody learns of the answer. Its result is that of
/// [`Client::append`].
#[derive(Debug)]
#[must_use = "the event counts either way, but only awaiting this tells what became of it"]
pub struct Pending<E> {
    answer: Answer,
    /// Those that may say something to it; taken by the receipt.
    topologies: Option<Arc<[String]>>,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> Future for Pending<E> {
    type Output = Result<Receipt, AppendError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = ready!(Pin::new(&mut self.answer).poll(context));
        let topologies = self.topologies.take().unwrap_or_default();
        Poll::Ready(match answered {
            Ok(batch) => {
                single(batch, topologies).map_err(|kind| AppendError { kind, events: None })
            }
            Err(failure) => {
                let (kind, events) = failure.into_parts();
                Err(AppendError { kind, events: events.and_then(|mut events| events.pop()?) })
            }
        })
    }
}

/// The receipt of the one event of a submission to a depot that these topologies read.
pub(crate) fn single(
    batch: BatchReceipt,
    topologies: Arc<[String]>,
) -> Result<Receipt, AppendErrorKind> {
    let receipt = Receipt {
        partition: batch.partition,
        offset: batch.first_offset,
        position: batch.first_position,
        replies: batch.replies.into_iter().map(|(_, reply)| reply).collect(),
        repeated: batch.repeated,
        topologies,
    };
    if batch.rejections.is_empty() {
        return Ok(receipt);
    }
    let rejections = batch.rejections.into_iter().map(|(_, rejection)| rejection).collect();
    Err(AppendErrorKind::Rejected(Box::new(Rejected { receipt, rejections })))
}
