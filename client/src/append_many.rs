//! Appends of many events at once.

use std::sync::Arc;

use gridmill_model::{Depot, Event};

use crate::by_partition::{Failed, PartitionEvents, ToldApart, by_partition};
use crate::client::Client;
use crate::engine::{Ack, Answer};
use crate::error::{AppendErrorKind, AppendManyError};
use crate::handles::DepotRef;
use crate::receipt::{BatchReceipt, ManyReceipt, PartReceipt};

impl Client {
    /// Appends `events` to `depot` and waits until all of them are processed, as
    /// [`append`](Self::append) does.
    ///
    /// Events of one partition travel as one message and are logged one after the other, in the
    /// order of the call, with nothing in between. There is no order, and no atomicity, between
    /// partitions. This is the fast way to append: it costs one message a partition, however many
    /// events there are.
    ///
    /// An event that a handler refuses is no error of the call: it is in the depot like the others
    /// and is listed in [`ManyReceipt::rejections`].
    ///
    /// # Errors
    /// [`AppendManyError`] says what became of every event. One that is too large, cannot be
    /// encoded or has no partition fails the call before anything is queued, and all events come
    /// back.
    ///
    /// # Cancellation
    /// Nothing happens before the future is polled; the parts that were queued when it is dropped
    /// still count, those that waited for room do not.
    ///
    /// The future borrows nothing of the client, only what `events` borrow.
    pub fn append_many<E: Event, I: IntoIterator<Item = E>>(
        &self,
        depot: Depot<E>,
        events: I,
    ) -> impl Future<Output = Result<ManyReceipt, AppendManyError<E>>> + use<E, I> {
        self.append_many_with(depot, events, Ack::Processed)
    }

    /// Like [`append_many`](Self::append_many), answered as soon as `ack` asks for.
    ///
    /// # Errors
    /// Those of [`append_many`](Self::append_many).
    ///
    /// # Cancellation
    /// As with [`append_many`](Self::append_many).
    pub fn append_many_with<E: Event, I: IntoIterator<Item = E>>(
        &self,
        depot: Depot<E>,
        events: I,
        ack: Ack,
    ) -> impl Future<Output = Result<ManyReceipt, AppendManyError<E>>> + use<E, I> {
        let found = self.handles.depot(&self.engine, &depot);
        async move {
            let told_apart = by_partition(found, depot, events.into_iter());
            let ToldApart { depot, lists } = told_apart.map_err(|error| *error)?;
            let mut submitted = Vec::with_capacity(lists.len());
            for events in lists {
                submitted.push(submit(&depot, events, ack).await);
            }
            let mut outcome = Outcome::default();
            outcome.logged.topologies = Arc::clone(&depot.entry.topologies);
            for events in submitted {
                outcome.add(events).await;
            }
            outcome.finish().map_err(|error| *error)
        }
    }
}

/// Hands the events of one partition to the engine, once there is room.
async fn submit<E: Event>(depot: &DepotRef, events: PartitionEvents<E>, ack: Ack) -> Submitted<E> {
    let PartitionEvents { partition, indexes, events, encoded } = events;
    let answer = match depot.enter(partition, encoded.bytes.len()).await {
        Ok(admission) => Ok(depot.submit(partition, (Box::new(events), encoded), ack, admission)),
        Err(refused) => Err((depot.refused(partition, refused), events)),
    };
    Submitted { indexes, answer }
}

/// The events of one partition that were offered to the engine.
struct Submitted<E> {
    indexes: Vec<u32>,
    /// Or why they were not let in.
    answer: Result<Answer, (AppendErrorKind, Vec<Option<E>>)>,
}

/// What became of the events so far.
struct Outcome<E> {
    error: Option<AppendErrorKind>,
    not_logged: Vec<(usize, E)>,
    unknown: Vec<usize>,
    logged: ManyReceipt,
}

impl<E> Default for Outcome<E> {
    fn default() -> Self {
        Self {
            error: None,
            not_logged: Vec::new(),
            unknown: Vec::new(),
            logged: ManyReceipt::default(),
        }
    }
}

impl<E: Event> Outcome<E> {
    /// Waits for an answer and takes note of it.
    async fn add(&mut self, submitted: Submitted<E>) {
        let Submitted { indexes, answer } = submitted;
        let answered = match answer {
            Ok(answer) => answer.await.map_err(|failure| failure.into_parts()),
            Err((kind, events)) => Err((kind, Some(events))),
        };
        match answered {
            Ok(receipt) => self.logged(receipt, indexes),
            Err((kind, events)) => self.failed(kind, &indexes, events),
        }
    }

    fn logged(&mut self, receipt: BatchReceipt, indexes: Vec<u32>) {
        let in_call = |index: u32| indexes.get(index as usize).map(|index| *index as usize);
        let replies = receipt.replies.into_iter();
        let replies = replies.filter_map(|(index, reply)| Some((in_call(index)?, reply)));
        self.logged.replies.extend(replies);
        let rejections = receipt.rejections.into_iter();
        let rejections = rejections.filter_map(|(index, why)| Some((in_call(index)?, why)));
        self.logged.rejections.extend(rejections);
        self.logged.count += indexes.len() as u64;
        self.logged.parts.push(PartReceipt {
            partition: receipt.partition,
            first_offset: receipt.first_offset,
            first_position: receipt.first_position,
            indexes,
        });
    }

    /// Events that did not come back are unknown, whatever the error says: better to look once too
    /// often than to append twice.
    fn failed(&mut self, kind: AppendErrorKind, indexes: &[u32], events: Option<Vec<Option<E>>>) {
        let mut events = events.into_iter().flatten();
        for index in indexes {
            match events.next().flatten() {
                Some(event) => self.not_logged.push((*index as usize, event)),
                None => self.unknown.push(*index as usize),
            }
        }
        self.error.get_or_insert(kind);
    }

    /// The whole call's result, with everything in the order of the call.
    fn finish(mut self) -> Result<ManyReceipt, Failed<E>> {
        self.logged.replies.sort_by_key(|(index, _)| *index);
        self.logged.rejections.sort_by_key(|(index, _)| *index);
        self.not_logged.sort_by_key(|(index, _)| *index);
        self.unknown.sort_unstable();
        let Self { error, not_logged, unknown, logged } = self;
        match error {
            None => Ok(logged),
            Some(kind) => Err(Box::new(AppendManyError { kind, not_logged, unknown, logged })),
        }
    }
}
