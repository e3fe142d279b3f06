//! What handlers say to appenders, on its way into receipts: from the live flow, and from a replay.

use std::collections::BTreeMap;

use gridmill_client::{AppendErrorKind, BatchReceipt, Encoded, Rejection, Reply};
use gridmill_persistence::Position;

use crate::module::{Plan, Topology};
use crate::panics::caught;
use crate::topology::Refusal;

use super::core::ItemAnswers;

/// What a handler said in a replay to an appender that still waits.
pub(crate) struct RecoveredAnswer {
    /// The record's position.
    pub(crate) position: Position,
    pub(crate) topology: usize,
    pub(crate) what: AnswerBody,
}

pub(crate) enum AnswerBody {
    Reply(Encoded),
    Refusal(Refusal),
    Quarantined(String),
}

/// Enters what handlers said into the receipt of their events.
pub(crate) fn complete(plan: &Plan, receipt: &mut BatchReceipt, answers: ItemAnswers) {
    for (topology, answers) in answers.topologies {
        let name = plan.topologies[topology].name;
        for (index, value) in answers.replies {
            receipt.replies.push((index, Reply { topology: name.to_owned(), value }));
        }
        for (index, refusal) in answers.refusals {
            receipt.rejections.push((index, refused(name, None, refusal)));
        }
    }
    for (index, topology, message) in answers.quarantined {
        let name = plan.topologies[topology].name;
        receipt.rejections.push((index, set_aside(name, None, message)));
    }
}

pub(crate) fn refused(topology: &str, stage: Option<&str>, refusal: Refusal) -> Rejection {
    let Refusal { message, error } = refusal;
    let (topology, stage) = (topology.to_owned(), stage.map(str::to_owned));
    Rejection { topology, stage, message, error, quarantined: false }
}

pub(crate) fn set_aside(topology: &str, stage: Option<&str>, message: String) -> Rejection {
    let (topology, stage) = (topology.to_owned(), stage.map(str::to_owned));
    Rejection { topology, stage, message, error: None, quarantined: true }
}

/// What handlers of later stages said about the events of one append, which they are answered with beside what
/// the handlers of the events themselves said.
#[derive(Debug, Default)]
pub(crate) struct LaterAnswers {
    /// By index of the event in its append, and topology.
    replies: BTreeMap<(u32, usize), Encoded>,
    rejections: Vec<(u32, Rejection)>,
    /// Why replies did not add up.
    fault: Option<String>,
}

/// What one handler of a later stage said about one record.
#[derive(Debug)]
pub(crate) enum LaterAnswer {
    /// The topology, and what it replied.
    Reply(usize, Encoded),
    Rejection(Rejection),
}

/// What handlers of `depot` said, with the index of the record in its item.
pub(crate) fn later(
    plan: &Plan,
    depot: usize,
    answers: ItemAnswers,
) -> impl Iterator<Item = (u32, LaterAnswer)> {
    let stage = plan.depots[depot].inbox.map(|inbox| inbox.stage);
    let of = answers.topologies.into_iter().flat_map(move |(topology, answers)| {
        let name = plan.topologies[topology].name;
        let reply = move |(index, value)| (index, LaterAnswer::Reply(topology, value));
        let refuse =
            move |(index, refusal)| (index, LaterAnswer::Rejection(refused(name, stage, refusal)));
        answers.replies.into_iter().map(reply).chain(answers.refusals.into_iter().map(refuse))
    });
    let quarantined = answers.quarantined.into_iter().map(move |(index, topology, message)| {
        let name = plan.topologies[topology].name;
        (index, LaterAnswer::Rejection(set_aside(name, stage, message)))
    });
    of.chain(quarantined)
}

impl LaterAnswers {
    /// Enters what a handler said about something that an event has led to.
    pub(crate) fn add(&mut self, plan: &Plan, event: u32, answer: LaterAnswer) {
        match answer {
            LaterAnswer::Reply(topology, value) => {
                let earlier = self.replies.remove(&(event, topology));
                let value = self.added(&plan.topologies[topology], earlier, value);
                self.replies.insert((event, topology), value);
            }
            LaterAnswer::Rejection(rejection) => self.rejections.push((event, rejection)),
        }
    }

    /// A reply, with one before it: both together where the topology adds them up, the later one otherwise.
    fn added(&mut self, topology: &Topology, earlier: Option<Encoded>, later: Encoded) -> Encoded {
        let (Some(combiner), Some(earlier)) = (&topology.replies, earlier) else { return later };
        let sum = caught(|| combiner.add(earlier, later.clone()));
        if sum.is_none() {
            let name = topology.name;
            let fault =
                || format!("`.replies(..)` of topology `{name}` panicked; everything is processed");
            self.fault.get_or_insert_with(fault);
        }
        sum.unwrap_or(later)
    }

    /// Enters them into the receipt of the append.
    ///
    /// # Errors
    /// `Unknown` where replies did not add up.
    pub(crate) fn enter(
        mut self,
        plan: &Plan,
        receipt: &mut BatchReceipt,
    ) -> Result<(), AppendErrorKind> {
        let number = |name: &str| plan.topologies.iter().position(|known| known.name == name);
        for (index, reply) in std::mem::take(&mut receipt.replies) {
            let of = number(&reply.topology).map(|topology| (index, topology));
            match of.and_then(|of| Some((of, self.replies.remove(&of)?))) {
                Some((of, later)) => {
                    let value = self.added(&plan.topologies[of.1], Some(reply.value), later);
                    self.replies.insert(of, value);
                }
                None => receipt.replies.push((index, reply)),
            }
        }
        for ((index, topology), value) in self.replies {
            let topology = plan.topologies[topology].name.to_owned();
            receipt.replies.push((index, Reply { topology, value }));
        }
        receipt.rejections.extend(self.rejections);
        self.fault.map_or(Ok(()), |reason| Err(AppendErrorKind::Unknown { reason }))
    }
}

/// Enters what handlers said in a replay about the events of a receipt, of those from `from` on.
pub(crate) fn hear(
    plan: &Plan,
    receipt: &mut BatchReceipt,
    said: &[RecoveredAnswer],
    from: Position,
) {
    let first = Position::from_bits(receipt.first_position).number();
    for said in said.iter().filter(|said| said.position >= from) {
        let index = said.position.number().wrapping_sub(first);
        if index < receipt.count {
            // A submission has far less than 2^32 records.
            match said.answer(plan) {
                Ok(reply) => receipt.replies.push((index as u32, reply)),
                Err(rejection) => receipt.rejections.push((index as u32, *rejection)),
            }
        }
    }
}

impl RecoveredAnswer {
    /// As an appender is told.
    pub(crate) fn answer(&self, plan: &Plan) -> Result<Reply, Box<Rejection>> {
        let topology = plan.topologies[self.topology].name;
        match &self.what {
            AnswerBody::Reply(value) => {
                Ok(Reply { topology: topology.to_owned(), value: value.clone() })
            }
            AnswerBody::Refusal(Refusal { message, error }) => {
                let refusal = Refusal { message: message.clone(), error: error.clone() };
                Err(Box::new(refused(topology, None, refusal)))
            }
            AnswerBody::Quarantined(message) => {
                Err(Box::new(set_aside(topology, None, message.clone())))
            }
        }
    }
}
