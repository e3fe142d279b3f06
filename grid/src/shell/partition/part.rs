//! What waits in a mailbox: events of one depot, and the calls that appended them.
//!
//! Single events join those before them, so that the log and the machine meet long lists, however
//! small the calls are.

use gridmill_client::engine::{Ack, Done, EncodedEvents, Single, Split, Submission};
use gridmill_client::{Admission, AppendErrorKind, BatchReceipt};
use gridmill_persistence::Position;

use crate::machine::answers::{RecoveredAnswer, hear};
use crate::module::Plan;
use crate::topology::AnyEvents;

/// What a list may cost (see [`Part::cost`]) that another event joins: batches are to stay small.
const JOIN_COST_MAX: usize = 128 << 10;

/// One call to append, which waits for its answer.
#[derive(Debug)]
pub(crate) struct Caller {
    done: Option<Done>,
    ack: Ack,
    /// How many of the events are its own. They follow those of the callers before it.
    count: u32,
}

/// Events of one depot that wait to be logged one after the other.
pub(crate) struct Part {
    pub(crate) depot: usize,
    pub(crate) events: AnyEvents,
    pub(crate) encoded: EncodedEvents,
    admission: Admission,
    callers: Vec<Caller>,
    /// How the events are told apart again, where there are several callers.
    split: Option<Split>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (depot, events) = (self.depot, self.encoded.len());
        f.debug_struct("Part").field("depot", &depot).field("events", &events).finish()
    }
}

impl From<Submission> for Part {
    fn from(submission: Submission) -> Self {
        let Submission { depot, events, encoded, ack, admission, done, .. } = submission;
        // A submission has far less than 2^32 events.
        let callers = vec![Caller { done, ack, count: encoded.len() as u32 }];
        Self { depot, events, encoded, admission, callers, split: None }
    }
}

impl Part {
    /// About what its events cost to log and to apply, in bytes.
    pub(crate) fn cost(&self) -> usize {
        // A record costs time beyond its bytes.
        self.encoded.bytes.len() + 32 * self.encoded.len()
    }

    /// Adds an event of the same depot at the end, or gives it back.
    pub(crate) fn join<'a>(&mut self, single: Single<'a>) -> Result<(), Single<'a>> {
        let fits = single.depot == self.depot && self.cost() < JOIN_COST_MAX;
        if !fits || !single.event.join(&mut *self.events) {
            return Err(single);
        }
        self.encoded.push(single.variant, single.bytes);
        self.admission.merge(single.admission);
        self.callers.push(Caller { done: single.done, ack: single.ack, count: 1 });
        self.split = Some(single.event.split());
        Ok(())
    }

    /// Answers that it went wrong, with the events where it is certain that none was logged.
    pub(crate) fn fail(self, kind: &AppendErrorKind) {
        let Self { mut events, callers, split, .. } = self;
        if !kind.is_not_logged() {
            let waiting = callers.into_iter().filter_map(|caller| caller.done);
            return waiting.for_each(|done| done.fail(kind.clone(), None));
        }
        let Some(split) = split else {
            let done = callers.into_iter().find_map(|caller| caller.done);
            return done.map_or((), |done| done.fail(kind.clone(), Some(events)));
        };
        for caller in callers.into_iter().rev() {
            let own = split(&mut *events, caller.count as usize);
            if let Some(done) = caller.done {
                done.fail(kind.clone(), own);
            }
        }
    }

    /// What is applied of it, and who waits. Its first event was logged as `receipt` says.
    pub(crate) fn logged(self, receipt: BatchReceipt) -> (AnyEvents, EncodedEvents, Waiting) {
        let Self { events, encoded, admission, callers, .. } = self;
        (events, encoded, Waiting { callers, admission: Some(admission), receipt })
    }
}

/// The callers of a part that was logged.
#[derive(Debug)]
pub(crate) struct Waiting {
    callers: Vec<Caller>,
    admission: Option<Admission>,
    /// What is known of all of its events.
    pub(crate) receipt: BatchReceipt,
}

impl Waiting {
    /// Whether anybody is told what handlers said.
    pub(crate) fn is_for_processed(&self) -> bool {
        self.callers.iter().any(|caller| caller.ack == Ack::Processed)
    }

    /// Enters what handlers said in a replay about its records from `from` on.
    pub(crate) fn hear(&mut self, plan: &Plan, said: &[RecoveredAnswer], from: Position) {
        if self.is_for_processed() {
            hear(plan, &mut self.receipt, said, from);
        }
    }

    /// Answers those who wait for nothing but the log.
    pub(crate) fn answer_appended(&mut self) {
        let mut first = 0;
        for caller in &mut self.callers {
            let done = caller.done.take_if(|_| caller.ack == Ack::Appended);
            if let Some(done) = done {
                done.answer(part_of(&self.receipt, first, caller.count));
            }
            first += caller.count;
        }
    }

    /// Answers everybody who has no answer yet, with what handlers said about their events.
    pub(crate) fn answer(&mut self) {
        self.admission = None;
        let mut replies = by_index(std::mem::take(&mut self.receipt.replies));
        let mut rejections = by_index(std::mem::take(&mut self.receipt.rejections));
        let mut first = 0;
        for caller in &mut self.callers {
            let end = first + caller.count;
            let mut receipt = part_of(&self.receipt, first, caller.count);
            while let Some((index, reply)) = replies.next_if(|(index, _)| *index < end) {
                receipt.replies.push((index - first, reply));
            }
            while let Some((index, rejection)) = rejections.next_if(|(index, _)| *index < end) {
                receipt.rejections.push((index - first, rejection));
            }
            if caller.ack != Ack::Processed {
                // What one is told must not depend on who is faster.
                receipt.replies.clear();
                receipt.rejections.clear();
            }
            if let Some(done) = caller.done.take() {
                done.answer(receipt);
            }
            first = end;
        }
    }

    /// Answers everybody who has no answer yet that it went wrong.
    pub(crate) fn fail(&mut self, kind: &AppendErrorKind) {
        for caller in &mut self.callers {
            if let Some(done) = caller.done.take() {
                done.fail(kind.clone(), None);
            }
        }
    }
}

/// The receipt of `count` events from `first` on, without what handlers said.
fn part_of(whole: &BatchReceipt, first: u32, count: u32) -> BatchReceipt {
    let (first, count) = (u64::from(first), u64::from(count));
    let position = Position::from_bits(whole.first_position).forward(first);
    BatchReceipt {
        partition: whole.partition,
        count,
        first_offset: whole.first_offset + first,
        first_position: position.to_bits(),
        ..BatchReceipt::default()
    }
}

type ByIndex<T> = std::iter::Peekable<std::vec::IntoIter<(u32, T)>>;

/// In the order of the events; of one event, in the order in which it was said.
fn by_index<T>(mut said: Vec<(u32, T)>) -> ByIndex<T> {
    said.sort_by_key(|(index, _)| *index);
    said.into_iter().peekable()
}
