//! Appends of many events at once.

use std::sync::Arc;

use gridmill_model::{Depot, Event};

use crate::append::answer_for;
use crate::client::Client;
use crate::engine::{Ack, Answer, DepotEntry, EncodedEvents, Failure, Submission};
use crate::error::{AppendErrorKind, AppendManyError};
use crate::handles::{DepotMismatch, DepotRef};
use crate::prepare;
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
            let split = split(found, depot, events.into_iter());
            let (depot, parts) = split.map_err(|error| *error)?;
            let mut waiting = Vec::with_capacity(parts.len());
            for part in parts {
                waiting.push(submit_part(&depot, part, ack).await);
            }
            let mut outcome = Outcome::default();
            outcome.logged.topologies = Arc::clone(&depot.entry.topologies);
            for part in waiting {
                outcome.add(part).await;
            }
            outcome.finish().map_err(|error| *error)
        }
    }
}

/// Splits the events of a call by partition, or gives all of them back.
fn split<E: Event>(
    found: Result<Arc<DepotRef>, DepotMismatch>,
    depot: Depot<E>,
    mut events: impl Iterator<Item = E>,
) -> Result<Parts<E>, Failed<E>> {
    let found = match found {
        Ok(found) => found,
        Err(mismatch) => return Err(nothing_logged(mismatch.into(), events.enumerate())),
    };
    let mut split = Split::new(depot, &found.entry, events.size_hint().0);
    while let Some(event) = events.next() {
        if let Err((kind, event)) = split.add(event) {
            let before = split.into_events().into_iter();
            let events = before.chain([event]).chain(events).enumerate();
            return Err(nothing_logged(kind, events));
        }
    }
    let parts = split.parts.into_iter().filter(|part| !part.events.is_empty()).collect();
    Ok((found, parts))
}

/// Hands a part to the engine, once there is room.
async fn submit_part<E: Event>(depot: &DepotRef, part: Part<E>, ack: Ack) -> Submitted<E> {
    let bytes = part.encoded.bytes.len();
    let admission = match depot.entry.gate(part.partition) {
        Ok(gate) => gate.enter(bytes).await,
        Err(refused) => Err(refused),
    };
    let Part { partition, indexes, events, encoded } = part;
    let Ok(admission) = admission else {
        return Submitted { partition, indexes, fate: Fate::Refused(events) };
    };
    let (done, answer) = answer_for(ack);
    depot.engine.submit(Submission {
        depot: depot.entry.id,
        partition,
        events: Box::new(events),
        encoded,
        ack,
        admission,
        done,
    });
    Submitted { partition, indexes, fate: Fate::Queued(answer) }
}

/// The events of a call, told apart by partition, and the depot that they are for.
type Parts<E> = (Arc<DepotRef>, Vec<Part<E>>);

/// A failed call on its way to the caller. It is large, so that it is passed on in a box.
type Failed<E> = Box<AppendManyError<E>>;

/// The events of a call for one partition.
struct Part<E> {
    partition: u32,
    /// The events' numbers in the call.
    indexes: Vec<u32>,
    events: Vec<Option<E>>,
    encoded: EncodedEvents,
}

/// Beyond this, the encoded events of a part take memory as they come.
const RESERVE_BYTES_MAX: usize = 1 << 20;

/// A call's events while they are told apart: one part a partition, at the partition's number.
struct Split<'a, E> {
    depot: Depot<E>,
    entry: &'a DepotEntry,
    parts: Vec<Part<E>>,
    /// How many events a part probably gets.
    each: usize,
    count: u32,
}

impl<'a, E: Event> Split<'a, E> {
    fn new(depot: Depot<E>, entry: &'a DepotEntry, expected: usize) -> Self {
        // A hint is not to be trusted with memory: vectors grow by themselves beyond this.
        let each = (expected / entry.partitions.max(1) as usize).min(4096);
        let part = |partition| Part {
            partition,
            indexes: Vec::with_capacity(each),
            events: Vec::with_capacity(each),
            encoded: EncodedEvents { bytes: Vec::new(), ends: Vec::with_capacity(each) },
        };
        let parts = (0..entry.partitions).map(part).collect();
        Self { depot, entry, parts, each, count: 0 }
    }

    /// Adds the next event of the call, or gives it back.
    fn add(&mut self, event: E) -> Result<(), (AppendErrorKind, E)> {
        match self.place(&event) {
            Ok(partition) => {
                let part = &mut self.parts[partition as usize];
                part.indexes.push(self.count);
                part.events.push(Some(event));
                self.count += 1;
                Ok(())
            }
            Err(kind) => Err((kind, event)),
        }
    }

    /// Encodes `event` into the part of its partition.
    fn place(&mut self, event: &E) -> Result<u32, AppendErrorKind> {
        let partition = prepare::partition(&self.depot, self.entry, event)?;
        let encoded = &mut self.parts[partition as usize].encoded;
        if self.count == u32::MAX {
            let (depot, got) = (self.entry.name.clone(), encoded.bytes.len());
            let expected = prepare::BATCH_BYTES_MAX;
            return Err(AppendErrorKind::BatchTooLarge { depot, partition, expected, got });
        }
        prepare::encode(self.entry, partition, self.count as usize, event, encoded)?;
        if encoded.len() == 1 {
            // Events are mostly as long as the first.
            let others = self.each.saturating_sub(1);
            encoded.bytes.reserve((encoded.bytes.len() * others).min(RESERVE_BYTES_MAX));
        }
        Ok(partition)
    }

    /// All events, in the order of the call.
    fn into_events(self) -> Vec<E> {
        let parts = self.parts.into_iter();
        let mut events: Vec<_> =
            parts.flat_map(|part| part.indexes.into_iter().zip(part.events)).collect();
        events.sort_unstable_by_key(|(index, _)| *index);
        events.into_iter().filter_map(|(_, event)| event).collect()
    }
}

fn nothing_logged<E>(kind: AppendErrorKind, events: impl Iterator<Item = (usize, E)>) -> Failed<E> {
    let logged = ManyReceipt::default();
    let not_logged = events.collect();
    Box::new(AppendManyError { kind, not_logged, unknown: Vec::new(), logged })
}

/// A part that was offered to the engine.
struct Submitted<E> {
    partition: u32,
    indexes: Vec<u32>,
    fate: Fate<E>,
}

enum Fate<E> {
    /// The gate was closed.
    Refused(Vec<Option<E>>),
    /// It waits in the mailbox; no answer comes where none was asked for.
    Queued(Option<Answer>),
}

/// What became of the parts so far.
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
    /// Waits for a part's answer and takes note of it.
    async fn add(&mut self, part: Submitted<E>) {
        let Submitted { partition, indexes, fate } = part;
        let answered = match fate {
            Fate::Refused(events) => {
                return self.failed(AppendErrorKind::ShuttingDown, &indexes, Some(events));
            }
            Fate::Queued(Some(answer)) => {
                answer.await.unwrap_or_else(|_| Err(Failure::unanswered()))
            }
            Fate::Queued(None) => Ok(BatchReceipt { partition, ..BatchReceipt::default() }),
        };
        match answered {
            Ok(receipt) => self.logged(receipt, indexes),
            Err(failure) => {
                let (kind, events) = failure.into_parts();
                self.failed(kind, &indexes, events);
            }
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
