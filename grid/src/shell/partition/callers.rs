//! Who waits for events that were logged, and what each is told of its own.

use std::sync::Arc;

use gridmill_client::engine::{Ack, Done};
use gridmill_client::{Admission, AppendErrorKind, BatchReceipt};
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::machine::answers::{RecoveredAnswer, complete, hear};
use crate::machine::core::ItemAnswers;
use crate::module::Plan;
use crate::topology::AnyEvents;

use super::tree::{Token, Tree};

/// One call to append, which waits for its answer.
#[derive(Debug)]
pub(crate) struct Caller {
    done: Option<Done>,
    ack: Ack,
    /// How many of the events are its own. They follow those of the callers before it.
    count: u32,
    /// What its events have led to.
    tree: Option<Arc<Tree>>,
}

impl Caller {
    /// A call with so many events.
    pub(crate) fn new(done: Option<Done>, ack: Ack, count: u32) -> Self {
        Self { done, ack, count, tree: None }
    }

    /// How many events are its own.
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// Puts something between the call and its answer.
    pub(crate) fn relay(&mut self, relay: impl FnOnce(Done) -> Done) {
        self.done = self.done.take().map(relay);
    }

    /// Answers without its events being logged.
    pub(crate) fn answer(self, receipt: BatchReceipt) {
        if let Some(done) = self.done {
            done.answer(receipt);
        }
    }

    /// Answers that it went wrong, with its events where they are not logged.
    pub(crate) fn fail(self, kind: &AppendErrorKind, own: Option<AnyEvents>) {
        if let Some(done) = self.done {
            done.fail(kind.clone(), own);
        }
    }
}

/// The callers whose events were logged one after the other.
#[derive(Debug)]
pub(crate) struct Callers {
    depot: usize,
    callers: Vec<Caller>,
    admission: Option<Admission>,
    /// What is known of all of its events.
    receipt: BatchReceipt,
}

impl Callers {
    /// `callers` had room by `admission`. `receipt` says where all of their events are.
    pub(crate) fn new(
        depot: usize,
        callers: Vec<Caller>,
        admission: Admission,
        receipt: BatchReceipt,
    ) -> Self {
        Self { depot, callers, admission: Some(admission), receipt }
    }

    /// The position of the first event.
    pub(crate) fn first_position(&self) -> Position {
        Position::from_bits(self.receipt.first_position)
    }

    /// Enters what handlers said, for those who wait for it.
    pub(crate) fn say(&mut self, plan: &Plan, answers: ItemAnswers) {
        if self.is_for_processed() {
            complete(plan, &mut self.receipt, answers);
        }
    }

    /// Whether anybody is told what handlers said.
    fn is_for_processed(&self) -> bool {
        self.callers.iter().any(|caller| caller.ack == Ack::Processed)
    }

    /// For what the event with this index leads to; `None` where its caller does not wait for that.
    pub(crate) fn token(&mut self, plan: &Arc<Plan>, index: u32) -> Option<Token> {
        let (number, first) = self.whose(index)?;
        let caller = &mut self.callers[number];
        if caller.ack != Ack::Processed || caller.done.is_none() {
            return None;
        }
        let tree = caller.tree.get_or_insert_with(|| Tree::new(plan));
        Some(tree.token(index - first))
    }

    /// The caller of the event with this index, and the index of its first one.
    fn whose(&self, index: u32) -> Option<(usize, u32)> {
        // Callers of single events are many, those of lists are few.
        if self.receipt.count == self.callers.len() as u64 {
            return (u64::from(index) < self.receipt.count).then_some((index as usize, index));
        }
        let mut first = 0;
        for (number, caller) in self.callers.iter().enumerate() {
            if index < first + caller.count {
                return Some((number, first));
            }
            first += caller.count;
        }
        None
    }

    /// After a restart of the partition: enters what handlers said in the replay about its records from `from` on.
    /// Where these may have sent something, it is not known how far that is.
    pub(crate) fn recover(&mut self, plan: &Arc<Plan>, said: &[RecoveredAnswer], from: Position) {
        if !self.is_for_processed() {
            return;
        }
        hear(plan, &mut self.receipt, said, from);
        let sends = plan
            .topologies
            .iter()
            .any(|topology| topology.sends() && topology.source(self.depot).is_some());
        let all = 0..if sends { self.receipt.count } else { 0 };
        all.for_each(|index| drop(self.token(plan, index as u32)));
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
            match (caller.done.take(), caller.tree.take()) {
                (Some(done), Some(_)) if is_planted(Bug::AckEarly) => done.answer(receipt),
                (Some(done), Some(tree)) => tree.root_done(done, receipt),
                (Some(done), None) => done.answer(receipt),
                (None, _) => {}
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
